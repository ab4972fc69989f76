"""Every problem of a configuration at once: its fields, its search space, its roles, and its tuner's arguments."""

from nni import errors
from nni.config import experiment, freezing
from nni.core import spec
from nni.tuners import registry


def problems(config: experiment.ExperimentConfig) -> list[errors.Problem]:
    """Return all mistakes of a configuration, each with its path as the user wrote it; none when it can be started."""
    return _problems(freezing.examine(config))


def checked(config: experiment.ExperimentConfig) -> spec.ExperimentSpec:
    """Return the experiment that a configuration describes.

    Raises:
        ConfigError: There are mistakes; all of them are named.
    """
    examined = freezing.examine(config)
    found = _problems(examined)
    if examined.experiment is None or found:
        raise errors.ConfigError(found)
    return examined.experiment


def _problems(examined: freezing.Examined) -> list[errors.Problem]:
    found = list(examined.problems)
    if examined.tuner is not None:
        found += registry.problems(examined.tuner, examined.tuner_path, examined.search_space)
        if examined.has_initial:
            found += registry.initial_problems(examined.tuner)
    if examined.assessor is not None:
        found += registry.assessor_problems(examined.assessor, "assessor")
    return found
