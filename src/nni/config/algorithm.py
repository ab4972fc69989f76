"""The configuration of tuners and assessors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni.config import base


class AlgorithmConfig(base.Config):
    """A tuner or an assessor: a built-in one by its name, or the user's own by its class.

    ``class_args`` is a dict from the start, so that ``config.tuner.class_args["optimize_mode"] = "maximize"`` works.
    """

    name: str | None = None
    """A built-in one, in any case: ``TPE``, ``Random`` ..."""
    class_name: str | None = None
    """The user's own: ``module.Class``."""
    code_directory: base.AnyPath | None = None
    """Where that module is; the current directory when unset."""
    class_args: dict[str, Any] = base.REQUIRED
    """Keyword arguments."""

    def fill(self, values: Mapping[str, Any], directory: Path | None) -> None:
        """See the base class."""
        super().fill(values, directory)
        # NNI's JSON tells arguments that were not given from an empty dict that was.
        self._has_args = self.class_args is not None
        if not self._has_args:
            object.__setattr__(self, "class_args", {})

    def json_fields(self) -> dict[str, Any]:
        """See the base class."""
        fields = super().json_fields()
        return fields if self.class_args or self._has_args else {**fields, "class_args": None}

    @property
    def is_set(self) -> bool:
        """Whether this is more than the placeholder that a new experiment has."""
        return self.name is not None or self.class_name is not None


class CustomAlgorithmConfig(AlgorithmConfig):
    """A tuner or an assessor of the user's own."""

    code_directory: base.AnyPath | None = "."
    """Where its module is."""


def placeholder() -> AlgorithmConfig:
    """Return what an experiment has before an algorithm is named."""
    return AlgorithmConfig(class_args={})


def make(values: Mapping[str, Any], directory: Path | None) -> AlgorithmConfig:
    """Return an algorithm's configuration."""
    return AlgorithmConfig.from_dict(values, directory)
