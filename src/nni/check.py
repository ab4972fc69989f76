"""Every problem of a configuration at once: its fields, its search space, its roles, and its tuner's arguments."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nni import errors
from nni.config import experiment, freezing
from nni.core import plain, space, spec
from nni.tuners import registry


def problems(config: experiment.ExperimentConfig) -> list[errors.Problem]:
    """Return all mistakes of a configuration, each with its path as the user wrote it; none when it can be started."""
    return _problems(freezing.examine(config))


def checked(config: experiment.ExperimentConfig, *, is_begun: bool = False) -> spec.ExperimentSpec:
    """Return the experiment that a configuration describes.

    Args:
        config: The configuration.
        is_begun: Whether the experiment has begun before; the directories with its trials' code may be gone then.

    Raises:
        ConfigError: There are mistakes; all of them are named.
    """
    examined = freezing.examine(config, is_begun=is_begun)
    found = _problems(examined)
    if examined.experiment is None or found:
        raise errors.ConfigError(found)
    return examined.experiment


def space_problems(
    running: spec.ExperimentSpec, value: Any, tried: Iterable[Mapping[str, Any]]
) -> list[errors.Problem]:
    """Return all mistakes of a search space that a running experiment is to go on with.

    Args:
        running: The experiment.
        value: The new search space, as JSON gives it.
        tried: The parameters of its trials; initial parameters that are among them need not fit any more.
    """
    path = "search_space"
    if running.tuner.class_name is not None and isinstance(value, Mapping):
        # What it may hold is the affair of the user's own tuner.
        return []
    try:
        parsed = space.parse(value, path)
    except errors.ConfigError as error:
        return list(error.problems)
    found = registry.space_problems(running.tuner, parsed)
    known = [plain.of(one) for one in tried] if running.initial_parameters else []
    for index, initial in enumerate(running.initial_parameters):
        if initial in known:
            continue
        try:
            space.flatten(parsed, initial)
        except ValueError as error:
            sentence = f"has not been tried yet, and is not of the new search space: {error}"
            found.append(errors.Problem(f"initial_parameters[{index}]", sentence))
    return found


def _problems(examined: freezing.Examined) -> list[errors.Problem]:
    found = list(examined.problems)
    if examined.tuner is not None:
        found += _placed(registry.problems(examined.tuner.spec, ""), examined.tuner)
        found += registry.space_problems(examined.tuner.spec, examined.search_space)
        if examined.has_initial:
            found += registry.initial_problems(examined.tuner.spec)
    if examined.assessor is not None:
        found += _placed(registry.assessor_problems(examined.assessor.spec, ""), examined.assessor)
        if examined.tuner is not None:
            found += registry.pair_problems(examined.tuner.spec)
    return found


def _placed(found: Iterable[errors.Problem], chosen: freezing.Chosen) -> Iterator[errors.Problem]:
    """Yield problems of an algorithm, whose paths begin with one of its fields, at the paths that the user wrote."""
    for problem in found:
        field, dot, rest = problem.path.removeprefix(".").partition(".")
        yield errors.Problem(chosen.at(field) + dot + rest, problem.message)
