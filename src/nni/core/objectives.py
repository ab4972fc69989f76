"""What is better: one number of a metric or several, each to be minimised or maximised."""

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from nni.core import model
from nni.core import trial as trials

Name = TypeVar("Name")
Mode = Literal["minimize", "maximize"]
Objectives = Mapping[str, Mode]
"""``minimize`` or ``maximize`` for each key of a metric; ``default`` stands for a metric that is a plain number too."""


def of(arguments: Mapping[str, Any]) -> Objectives:
    """Return the objectives in a tuner's arguments: ``optimize``, else ``optimize_mode`` for ``default``."""
    return several(arguments) or {"default": arguments["optimize_mode"]}


def several(arguments: Mapping[str, Any]) -> Objectives:
    """Return ``optimize`` of a tuner's arguments, empty where it is not there, or means something else to its owner."""
    found = arguments.get("optimize")
    return found if isinstance(found, Mapping) else {}


def primary(optimize: Mapping[str, Any]) -> str:
    """Return the objective that trials are compared by: ``default``, or the first where that is not among them."""
    return "default" if "default" in optimize else next(iter(optimize), "default")


def is_maximized(arguments: Mapping[str, Any]) -> bool:
    """Return whether a larger primary objective is better, by a tuner's arguments; NNI's default is minimize."""
    optimize = several(arguments)
    mode = optimize.get(primary(optimize)) or arguments.get("optimize_mode", "minimize")
    return bool(mode == "maximize")


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
