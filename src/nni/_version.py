"""The version, read by the build and by everything that reports one."""

__version__ = "0.1.0"
