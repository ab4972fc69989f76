"""What is better: one number of a metric or several, each to be minimised or maximised."""

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeVar

from nni.core import model
from nni.core import trial as trials

Name = TypeVar("Name")
Mode = Literal["minimize", "maximize"]
Objectives = Mapping[str, Mode]
"""``minimize`` or ``maximize`` for each key of a metric; ``default`` stands for a metric that is a plain number too."""

_NNI_MAXIMIZES = ("evolution", "gp", "gptuner", "hyperband", "pbt", "pbttuner")
"""The tuners, in small letters, that NNI has maximise where a configuration says nothing."""
_NNI_HAS_NONE = ("batch", "batchtuner", "gridsearch", "random")
"""Those to which NNI has no direction matter."""
_NNI_STOPS_LOW = ("curvefitting", "medianstop")
"""The assessors that NNI has maximise where a configuration says nothing."""


class Choice(Protocol):
    """A tuner or an assessor with its arguments."""

    @property
    def name(self) -> str | None:
        """Of a built-in one, in any case."""
        ...

    @property
    def class_name(self) -> str | None:
        """Of a user's own."""
        ...

    @property
    def class_args(self) -> Mapping[str, Any]:
        """As the user wrote them."""
        ...


def of(arguments: Mapping[str, Any]) -> Objectives:
    """Return the objectives in a tuner's arguments: ``optimize``, else ``optimize_mode`` for ``default``."""
    return several(arguments) or {"default": arguments["optimize_mode"]}


def several(arguments: Mapping[str, Any]) -> Objectives:
    """Return ``optimize`` of a tuner's arguments, empty where it is not there, or means something else to its owner."""
    found = arguments.get("optimize")
    if isinstance(found, Mapping) and all(mode in ("minimize", "maximize") for mode in found.values()):
        return found
    return {}


def primary(arguments: Mapping[str, Any]) -> str:
    """Return the objective that trials are compared by, from a tuner's arguments.

    It is the one that ``primary`` names, else ``default``, or the first where that is not among them.
    """
    optimize, named = several(arguments), arguments.get("primary")
    if isinstance(named, str) and named in optimize:
        return named
    return "default" if "default" in optimize else next(iter(optimize), "default")


def default_mode(name: str) -> Mode:
    """Return what a built-in tuner looks for where its arguments do not say: what NNI's of that name does."""
    return "maximize" if name.lower() in _NNI_MAXIMIZES else "minimize"


def is_maximized(tuner: Choice, assessor: Choice | None = None) -> bool:
    """Return whether a larger primary objective is better.

    As the tuner's arguments say, else as is usual for it. Where the tuner goes no way, as random search does, the
    assessor decides: ``Medianstop`` beside it stops what is low in NNI.
    """
    optimize = several(tuner.class_args)
    mode = optimize.get(primary(tuner.class_args)) or tuner.class_args.get("optimize_mode")
    has_none = tuner.class_name is not None or (tuner.name or "").lower() in _NNI_HAS_NONE
    if mode is None and assessor is not None and has_none:
        mode = assessor.class_args.get("optimize_mode")
        if mode is None and (assessor.name or "").lower() in _NNI_STOPS_LOW:
            mode = "maximize"
    return bool((mode or default_mode(tuner.name or "")) == "maximize")


def values(outcome: model.Outcome, optimize: Objectives) -> list[float] | None:
    """Return a number for each objective, in order; None when one is missing or not finite, or the trial failed."""
    if not outcome.succeeded:
        return None
    if len(optimize) == 1 and outcome.value is not None:
        return [outcome.value] if math.isfinite(outcome.value) else None
    return numbers(outcome.metric or "null", optimize)


def numbers(metric: str, optimize: Objectives) -> list[float] | None:
    """Return the number that a metric has for each objective, None when one is missing or not finite.

    Args:
        metric: As JSON text.
        optimize: What is better.
    """
    found = [trials.scalar(metric, name) for name in optimize]
    is_whole = len(optimize) == 1 or isinstance(trials.decoded(metric), dict)
    return [one for one in found if one is not None] if is_whole and None not in found else None


def front(points: Mapping[Name, list[float]], optimize: Objectives) -> list[Name]:
    """Return the names of the points that no other is better than in all objectives: the Pareto front.

    Args:
        points: The objectives' numbers of each, in the order of ``optimize``.
        optimize: What is better.
    """
    signs = [1.0 if mode == "minimize" else -1.0 for mode in optimize.values()]
    losses = {name: tuple(s * one for s, one in zip(signs, its, strict=True)) for name, its in points.items()}
    kept: list[Name] = []
    # In this order whatever dominates a point comes before it, and of two objectives the last one kept has the least.
    for name in sorted(losses, key=losses.__getitem__):
        rivals = kept[-1:] if len(signs) <= 2 else kept
        if not any(_dominates(losses[other], losses[name]) for other in rivals):
            kept.append(name)
    return kept


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
