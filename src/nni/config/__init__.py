"""What users write, checked: assignable classes, YAML, and ``freeze()`` into the records of the core."""

from nni.config.freezing import freeze

__all__ = ["freeze"]
