"""Hyper-parameter tuning on Kubernetes: NNI's interface, rebuilt."""

from nni._version import __version__

__all__ = ["__version__"]
