"""What runs in the pod as its first process: files, the command, signals, the journal, the push."""
