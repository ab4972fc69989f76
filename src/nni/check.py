"""Every problem of a configuration at once: its fields, its search space, its roles, and its tuner's arguments."""

from collections.abc import Iterable, Iterator

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
        found += _placed(registry.problems(examined.tuner.spec, ""), examined.tuner)
        found += registry.space_problems(examined.tuner.spec, examined.search_space)
        if examined.has_initial:
            found += registry.initial_problems(examined.tuner.spec)
    if examined.assessor is not None:
        found += _placed(registry.assessor_problems(examined.assessor.spec, ".name"), examined.assessor)
    return found


def _placed(found: Iterable[errors.Problem], chosen: freezing.Chosen) -> Iterator[errors.Problem]:
    """Yield problems of an algorithm, whose paths begin with one of its fields, at the paths that the user wrote."""
    for problem in found:
        field, dot, rest = problem.path.removeprefix(".").partition(".")
        yield errors.Problem(chosen.at(field) + dot + rest, problem.message)
