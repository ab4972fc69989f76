"""What turns objects into other objects: job operators, garbage collection, the end of namespaces."""
