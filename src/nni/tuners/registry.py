"""The tuners by name, with the arguments that they take: known without importing any of them."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from nni import errors
from nni.core import nearest, spec
from nni.core.dimension import Space

_MAX_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What an argument may be."""

    kind: type
    default: Any = None
    """An argument whose default is None may be None."""
    values: tuple[Any, ...] = ()
    """The only ones allowed; any of its kind when empty."""
    minimum: int | None = None
    maximum: int | None = None
    members: Mapping[str, "Argument"] = dataclasses.field(default_factory=dict)
    """The arguments in an argument that is a mapping."""
    gone: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Members and values that NNI has and this tuner has not, with what to do instead."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tuner:
    """A tuner that is built in."""

    name: str
    arguments: Mapping[str, Argument]
    factory: str
    """``module:function``; takes the search space and the arguments, and returns an ``algorithm.Algorithm``."""

    def make(self, space: Space, arguments: Mapping[str, Any]) -> Any:
        """Import the tuner and make one.

        Args:
            space: The search space.
            arguments: All of them; see ``arguments_of``.
        """
        module, _, function = self.factory.partition(":")
        factory: Callable[..., Any] = getattr(importlib.import_module(module), function)
        return factory(space, arguments)


_OPTIMIZE_MODE = Argument(kind=str, default="minimize", values=("minimize", "maximize"))
_SEED = Argument(kind=int, minimum=0, maximum=_MAX_SEED)
_TPE_ARGS = Argument(
    kind=dict,
    members={
        "n_startup_jobs": Argument(kind=int, default=10, minimum=0),
        "n_ei_candidates": Argument(kind=int, default=24, minimum=1),
        "constant_liar_type": Argument(
            kind=str,
            default="worst",
            values=("worst", None),
            gone=dict.fromkeys(("best", "mean"), "use 'worst', which counts running trials as bad ones, or null"),
        ),
    },
    gone=dict.fromkeys(("linear_forgetting", "prior_weight", "gamma"), "leave it out, it is fixed in this tuner"),
)

TUNERS: Mapping[str, Tuner] = {
    tuner.name: tuner
    for tuner in (
        Tuner(
            name="TPE",
            arguments={"optimize_mode": _OPTIMIZE_MODE, "seed": _SEED, "tpe_args": _TPE_ARGS},
            factory="nni.tuners.tpe:make",
        ),
        Tuner(
            name="Random",
            arguments={"optimize_mode": _OPTIMIZE_MODE, "seed": _SEED},
            factory="nni.tuners.random_search:make",
        ),
    )
}

_NOT_YET = ("Anneal", "Batch", "BatchTuner", "Evolution", "GP", "GPTuner", "GridSearch", "Hyperband", "PBT", "PBTTuner")
_NEVER = (
    "BOHB", "DNGO", "DNGOTuner", "Metis", "MetisTuner", "NetworkMorphism", "PPO", "PPOTuner",
    "RegularizedEvolutionTuner", "SMAC", "TPE_legacy",
)  # fmt: skip


def names() -> tuple[str, ...]:
    """Return the names of the tuners."""
    return tuple(TUNERS)


def find(name: str) -> Tuner | None:
    """Return the tuner of a name, in any case."""
    return next((tuner for tuner in TUNERS.values() if tuner.name.lower() == name.lower()), None)


def problems(algorithm: spec.AlgorithmSpec, path: str) -> list[errors.Problem]:
    """Return every mistake in the choice of a tuner and in its arguments.

    Args:
        algorithm: What the user chose.
        path: Where the user chose it: ``tuner``.
    """
    if algorithm.class_name is not None:
        sentence = f"tuners of one's own are not in this release; use a built-in one: {nearest.either(names())}"
        return [errors.Problem(f"{path}.class_name", sentence)]
    if algorithm.name is None:
        return [errors.Problem(f"{path}.name", f"is not set; use {nearest.either(names())}")]
    tuner = find(algorithm.name)
    if tuner is None:
        return [errors.Problem(f"{path}.name", _unknown(algorithm.name))]
    return _members(tuner.arguments, {}, algorithm.class_args, f"{path}.class_args", f"an argument of {tuner.name}")


def arguments_of(algorithm: spec.AlgorithmSpec) -> tuple[Tuner, Mapping[str, Any]]:
    """Return the tuner that was chosen and all of its arguments, defaults filled in.

    Raises:
        ConfigError: The choice has problems.
    """
    found = problems(algorithm, "tuner")
    tuner = find(algorithm.name or "")
    if found or tuner is None:
        raise errors.ConfigError(found)
    return tuner, _filled(tuner.arguments, algorithm.class_args)


def assessor_problems(algorithm: spec.AlgorithmSpec, path: str) -> list[errors.Problem]:
    """Return every mistake in the choice of an assessor; there is none to choose in this release."""
    chosen = algorithm.name or algorithm.class_name
    return [errors.Problem(path, f"assessors are not in this release; leave {chosen!r} out")]


def _unknown(name: str) -> str:
    """Return what to say of a name that is not one of a tuner."""
    for listed, is_coming in (*((one, True) for one in _NOT_YET), *((one, False) for one in _NEVER)):
        if listed.lower() == name.lower():
            what = "is not in this release" if is_coming else "is not carried over from NNI"
            return f"the tuner {listed!r} {what}; use {nearest.either(names())}"
    near = nearest.nearest(name, names())
    hint = f"did you mean {near!r}?" if near else f"use {nearest.either(names())}"
    return f"there is no tuner {name!r}; {hint}"


def _members(
    valid: Mapping[str, Argument], gone: Mapping[str, str], given: Mapping[str, Any], path: str, what: str
) -> list[errors.Problem]:
    found = []
    for name, value in given.items():
        where = f"{path}.{name}"
        if name in gone:
            found.append(errors.Problem(where, f"has no counterpart in this tuner; {gone[name]}"))
        elif name not in valid:
            found.append(errors.Problem(where, f"is not {what}; there are {_listed(valid)}"))
        else:
            found += _value(valid[name], value, where)
    return found


def _value(argument: Argument, value: Any, where: str) -> list[errors.Problem]:
    if isinstance(value, str) and value in argument.gone:
        return [errors.Problem(where, f"{value!r} has no counterpart in this tuner; {argument.gone[value]}")]
    if value is None and argument.default is None and not argument.values:
        return []
    if isinstance(value, Mapping) and argument.kind is dict:
        return _members(argument.members, argument.gone, value, where, f"one of {where.rpartition('.')[2]}")
    is_right = value in argument.values if argument.values else _is_a(argument, value)
    return [] if is_right else [errors.Problem(where, f"must be {_allowed(argument)}, not {value!r}")]


def _is_a(argument: Argument, value: Any) -> bool:
    if not isinstance(value, argument.kind) or isinstance(value, bool) is not (argument.kind is bool):
        return False
    if not isinstance(value, int):
        return True
    return (argument.minimum is None or value >= argument.minimum) and (
        argument.maximum is None or value <= argument.maximum
    )


def _allowed(argument: Argument) -> str:
    """Return what an argument may be, in words."""
    if argument.values:
        return " or ".join("null" if value is None else repr(value) for value in argument.values)
    if argument.kind is dict:
        return f"a mapping with any of {_listed(argument.members)}"
    words = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}[argument.kind]
    if argument.minimum is not None and argument.maximum is not None:
        words += f" from {argument.minimum} to {argument.maximum}"
    elif argument.minimum is not None:
        words += f" of at least {argument.minimum}"
    return words + (" or null" if argument.default is None else "")


def _listed(valid: Mapping[str, Any]) -> str:
    return ", ".join(valid)


def _filled(valid: Mapping[str, Argument], given: Mapping[str, Any]) -> Mapping[str, Any]:
    filled = {}
    for name, argument in valid.items():
        value = given.get(name, argument.default)
        filled[name] = _filled(argument.members, value or {}) if argument.kind is dict else value
    return filled
