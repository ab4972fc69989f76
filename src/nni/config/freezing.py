"""Turns a configuration into the record that everything else reads, or names all its mistakes at once."""

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.config import algorithm, base, files, platform
from nni.config.view import View, join
from nni.core import dimension, nearest, plain, space, spec, units

if typing.TYPE_CHECKING:
    from nni.config.experiment import ExperimentConfig

DEFAULT_TUNER = "Auto"
"""Takes every search space, so that nobody needs to know the others' names."""

_LEVELS = ("trace", "debug", "info", "warning", "error", "fatal")
_CLASS_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")

_REFUSED = {
    "use_annotation": "annotations are not read; describe the search space in search_space",
    "shared_storage": "is not supported; set training_service.storage",
    "tuner_gpu_indices": "is not supported; set CUDA_VISIBLE_DEVICES where the experiment is started",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Chosen:
    """A tuner or an assessor."""

    spec: spec.AlgorithmSpec
    at: Callable[[str], str]
    """Gives the path of one of its fields, as the user wrote it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What became of a configuration."""

    problems: tuple[errors.Problem, ...]
    experiment: "spec.ExperimentSpec | None"
    """None when there are problems."""
    tuner: Chosen | None
    """None when there are problems in it, or it is not set; the same holds for the assessor."""
    assessor: Chosen | None
    search_space: "dimension.Space | None" = None
    """None when there are mistakes in it, or a tuner of the user's own reads it."""
    has_initial: bool = False
    """Whether there are initial parameters."""


def freeze(config: "ExperimentConfig") -> spec.ExperimentSpec:
    """Return the experiment that a configuration describes.

    It touches no file but a search space's, makes sure that the directories with code are there, and leaves the
    configuration as it is.

    Raises:
        ConfigError: There are mistakes. All come together, each with its path as the user wrote it.
    """
    examined = examine(config)
    if examined.experiment is None:
        raise errors.ConfigError(examined.problems)
    return examined.experiment


def examine(config: "ExperimentConfig", *, is_begun: bool = False) -> Examined:
    """Return the experiment that a configuration describes, or all its mistakes.

    Args:
        config: The configuration.
        is_begun: Whether the experiment has begun before: its trials run what was packed then, so nobody asks whether
            the directories with their code are still there.
    """
    problems: list[errors.Problem] = []
    top = View(config, "", problems, is_begun=is_begun)
    _check_limits(top)
    for name, message in _REFUSED.items():
        top.refused(name, message)
    tuner = _algorithm(top, "tuner")
    assessor = _algorithm(top, "assessor")
    advisor = _algorithm(top, "advisor")
    if tuner is not None and advisor is not None:
        top.wrong("advisor", "an advisor takes the tuner's place; keep one of the two")
    if advisor is not None and advisor.spec.class_name is not None:
        sentence = "an advisor of one's own cannot be run; derive a tuner from nni.tuner.Tuner and name it in tuner"
        top.wrong("advisor", sentence)
    tuner = tuner or advisor
    if tuner is None and not any(_is_set(top, name) for name in ("tuner", "advisor")):
        tuner = Chosen(spec.AlgorithmSpec(name=DEFAULT_TUNER), lambda field: join("tuner", field))
    parsed = _check_search_space(top, is_custom=tuner is not None and tuner.spec.class_name is not None)
    has_initial = _check_initial(top, parsed)
    where = platform.freeze(top)
    address = platform.manager_address(top)
    keeping = platform.keeping(top)
    durations = {
        name: top.parsed(name, units.parse_duration) for name in ("max_experiment_duration", "max_trial_duration")
    }
    if problems or tuner is None or where is None:
        found = tuple(dict.fromkeys(problems))
        return Examined(
            problems=found,
            experiment=None,
            tuner=tuner,
            assessor=assessor,
            search_space=parsed,
            has_initial=has_initial,
        )
    canonical = config.completed()
    frozen = spec.ExperimentSpec(
        name=canonical.experiment_name,
        search_space=plain.of(canonical.search_space),
        tuner=tuner.spec,
        assessor=None if assessor is None else assessor.spec,
        initial_parameters=tuple(plain.of(canonical.initial_parameters or [])),
        platform=where,
        trial_concurrency=canonical.trial_concurrency,
        max_trial_number=canonical.max_trial_number,
        max_experiment_seconds=durations["max_experiment_duration"],
        max_trial_seconds=durations["max_trial_duration"],
        working_directory=str(canonical.experiment_working_directory),
        manager_address=address,
        max_trial_retries=canonical.max_trial_retries or 0,
        **keeping,
        log_level=canonical.log_level or "info",
        canonical=base.to_json(canonical),
    )
    return Examined(
        problems=(),
        experiment=frozen,
        tuner=tuner,
        assessor=assessor,
        search_space=parsed,
        has_initial=has_initial,
    )


def _check_limits(top: View) -> None:
    top.checked("experiment_type", lambda kind: kind == "hpo", "is not supported: 'hpo' is the only type")
    top.needed("trial_concurrency", "write how many trials may run at once, such as 2")
    for name, most in (("trial_concurrency", spec.MOST_AT_ONCE), ("max_trial_number", spec.MOST_TRIALS)):
        top.checked(name, lambda number: number > 0, "is not above 0")
        top.checked(name, most.__ge__, f"is above {most}, the most that is possible")
    top.checked("max_trial_retries", lambda number: number >= 0, "is below 0")
    level = top.get("log_level")
    if level is not None and level not in _LEVELS:
        top.wrong("log_level", f"{level!r} is not a level; {nearest.advice(level, _LEVELS)}")


def _algorithm(top: View, name: str) -> Chosen | None:
    """Return a tuner or an assessor; None when it is not set or has a mistake."""
    view = top.child(name)
    if view is None:
        return None
    config = typing.cast(algorithm.AlgorithmConfig, view.config)
    is_right = not view.has_bad("name", "class_name", "code_directory", "class_args")
    before = len(view.problems)
    for argument, value in (view.get("class_args") or {}).items():
        _check_plain(view, join(view.at("class_args"), argument), value)
    if not config.is_set:
        return None
    directory = None
    if config.class_name is None:
        view.refused("code_directory", "is for class_name, an algorithm of your own; remove it")
    else:
        view.refused("name", "is for built-in algorithms, and class_name is set; keep one of the two")
        view.checked(
            "class_name", _CLASS_NAME.fullmatch, "is not a class in a module; write for example 'my_tuner.MyTuner'"
        )
        directory = view.directory("code_directory") or config.resolved(".")
    if len(view.problems) > before or not is_right:
        return None
    chosen = spec.AlgorithmSpec(
        name=config.name,
        class_name=config.class_name,
        code_directory=directory,
        class_args=plain.of(config.class_args or {}),
    )
    return Chosen(chosen, view.at)


def _is_set(top: View, name: str) -> bool:
    """Whether the user named a tuner or an assessor, be it wrongly."""
    value = getattr(top.config, name)
    return value.is_set if isinstance(value, algorithm.AlgorithmConfig) else True


def _check_search_space(top: View, *, is_custom: bool) -> "dimension.Space | None":
    """Report mistakes in the search space, and return it; a tuner of the user's own may have its own kind of it."""
    value = top.get("search_space")
    if value is None and top.get("search_space_file") is not None:
        file = Path(top.config.resolved(top.get("search_space_file")))
        try:
            value = files.read_search_space(file)
        except errors.ConfigError as error:
            top.wrong("search_space_file", f"{file} {error.problems[0].message}")
            return None
    path = top.at("search_space")
    if value is None:
        top.wrong(
            "search_space", 'is not set; write for example {"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]}}'
        )
    elif is_custom and isinstance(value, Mapping):
        _check_plain(top, path, value)
    else:
        try:
            return space.parse(value, path)
        except errors.ConfigError as error:
            top.problems.extend(error.problems)
    return None


def _check_initial(top: View, parsed: "dimension.Space | None") -> bool:
    """Report initial parameters that are not of the search space; return whether there are any."""
    given = top.get("initial_parameters") or []
    for index, parameters in enumerate(given):
        path = f"{top.at('initial_parameters')}[{index}]"
        before = len(top.problems)
        if not isinstance(parameters, Mapping):
            top.report(path, f"{plain.shown(parameters)} is not a mapping of names to values")
        else:
            _check_plain(top, path, parameters)
        if parsed is not None and len(top.problems) == before:
            try:
                space.flatten(parsed, parameters)
            except ValueError as error:
                top.report(path, f"is not of the search space: {error}")
    return bool(given)


def _check_plain(top: View, path: str, value: Any) -> None:
    """Report the first thing in a value that JSON cannot hold."""
    if plain.is_plain(value):
        return
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, item in items:
        if not plain.is_plain(item):
            _check_plain(top, join(path, name) if isinstance(name, str) else f"{path}[{name!r}]", item)
            return
    top.report(path, f"{plain.shown(value)} cannot be written as JSON; use text, finite numbers, lists and mappings")
