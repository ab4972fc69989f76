"""What users write, checked: assignable classes, YAML, and ``freeze()`` into the records of the core."""
