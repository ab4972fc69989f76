"""Trials as Kubeflow jobs; everything the project says to a Kubernetes API server."""
