"""The API server: HTTP in front of the registry."""
