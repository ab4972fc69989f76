"""A Kubernetes cluster in one process, for laptops and tests.

It knows Kubernetes, not this project: nothing here imports our other packages but errors.
"""
