"""The process that runs an experiment: the loop, and the one place where its parts are joined."""
