"""The tuners and assessors by name, with the arguments that they take: known without importing any of them."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from nni import errors
from nni.core import nearest, objectives, spec
from nni.core.dimension import Space
from nni.tuners import arguments, gone, spaces
from nni.tuners.arguments import Argument

_MAX_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A tuner or an assessor that is built in."""

    name: str
    arguments: Mapping[str, Argument]
    factory: str
    """``module:function``; a tuner's takes the search space and the arguments, an assessor's the arguments."""
    aliases: tuple[str, ...] = ()
    is_staged: bool = False
    """Whether its trials get parameters beside those of the search space: a budget, or checkpoints."""
    is_blind: bool = False
    """Whether what it suggests depends on no result."""
    promotes: bool = False
    """Whether it has ended trials go on in another attempt."""
    contradicts: Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[str, str] | None] | None = None
    """Returns which of its arguments, complete and as they were written, does not go with the others, and why; None
    when all do."""
    refuses: Callable[[Space], str | None] | None = None
    """Returns why a tuner cannot have a search space, None when it can."""

    def make(self, *given: Any) -> Any:
        """Import it and make one.

        Args:
            given: What the factory takes; arguments complete, see ``arguments_of``.
        """
        module, _, function = self.factory.partition(":")
        factory: Callable[..., Any] = getattr(importlib.import_module(module), function)
        return factory(*given)


_TUNERS_MODE = Argument(kind=str, values=("minimize", "maximize", None))
"""An assessor's; the tuner's when None."""
_SEED = Argument(kind=int, minimum=0, maximum=_MAX_SEED)
_OPTIMIZE = Argument(kind=dict, each=Argument(kind=str, default="minimize", values=("minimize", "maximize")))
_SEVERAL = {"optimize": _OPTIMIZE, "primary": Argument(kind=str)}
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
_SERIAL = {"serial": "leave it out; brackets overlap, so that no node waits"}


def _usual(name: str) -> Mapping[str, Argument]:
    """Return the arguments that most tuners take."""
    return {**_mode(name), "seed": _SEED}


def _mode(name: str) -> Mapping[str, Argument]:
    default = objectives.default_mode(name)
    return {"optimize_mode": Argument(kind=str, default=default, values=("minimize", "maximize"))}


def _several(given: Mapping[str, Any], written: Mapping[str, Any]) -> tuple[str, str] | None:
    named, optimize = given["primary"], given["optimize"] or {}
    if named is not None and not optimize:
        return ("primary", "names one of several objectives; write them as optimize: {NAME: minimize, ...}")
    if named is not None and named not in optimize:
        return ("primary", f"{named!r} is not one of the objectives; {nearest.advice(named, tuple(optimize))}")
    primary, mode = objectives.primary(given), written.get("optimize_mode")
    if not optimize or mode in (None, optimize[primary]):
        return None
    return ("optimize_mode", f"is {mode!r}, and optimize has {primary!r} {optimize[primary]}d; leave optimize_mode out")


def _budgets(given: Mapping[str, Any], written: Mapping[str, Any]) -> tuple[str, str] | None:
    least, most = given["min_budget"], given["max_budget"]
    return ("max_budget", f"is {most}, less than min_budget ({least})") if most < least else None


def _count(default: int, minimum: int = 1) -> Argument:
    return Argument(kind=int, default=default, minimum=minimum)


def _share(default: float) -> Argument:
    return Argument(kind=float, default=default, minimum=0, maximum=1)


_TUNERS = (
    Entry(name="Auto", arguments=_usual("Auto"), factory="nni.tuners.auto:make"),
    Entry(
        name="TPE",
        arguments={**_usual("TPE"), "tpe_args": _TPE_ARGS, **_SEVERAL},
        contradicts=_several,
        factory="nni.tuners.tpe:make",
    ),
    Entry(name="Random", arguments=_usual("Random"), factory="nni.tuners.random_search:make", is_blind=True),
    Entry(name="GridSearch", arguments=_mode("GridSearch"), factory="nni.tuners.grid:make", is_blind=True),
    Entry(name="Anneal", arguments=_usual("Anneal"), factory="nni.tuners.anneal:make"),
    Entry(
        name="Evolution",
        arguments={**_usual("Evolution"), "population_size": _count(32, 2)},
        factory="nni.tuners.evolution:make",
    ),
    Entry(
        name="Batch",
        arguments=_mode("Batch"),
        factory="nni.tuners.batch:make",
        aliases=("BatchTuner",),
        is_blind=True,
        refuses=spaces.one_choice,
    ),
    Entry(name="GP", arguments=_usual("GP"), factory="nni.tuners.auto:make_gp", aliases=("GPTuner",)),
    Entry(name="CMA-ES", arguments=_usual("CMA-ES"), factory="nni.tuners.cmaes:make", refuses=spaces.numbers_alone),
    Entry(name="QMC", arguments=_usual("QMC"), factory="nni.tuners.qmc:make", is_blind=True),
    Entry(
        name="NSGA-II",
        arguments={**_usual("NSGA-II"), **_SEVERAL, "population_size": _count(50, 2)},
        contradicts=_several,
        factory="nni.tuners.nsga2:make",
    ),
    Entry(
        name="Hyperband",
        arguments={
            **_usual("Hyperband"),
            "R": _count(60),
            "eta": _count(3, 2),
            "exec_mode": Argument(kind=str, default="parallelism", values=("parallelism",), gone=_SERIAL),
        },
        factory="nni.tuners.hyperband:make",
        refuses=spaces.without_budget,
        is_staged=True,
        promotes=True,
    ),
    Entry(
        name="ASHA",
        arguments={**_usual("ASHA"), "min_budget": _count(1), "max_budget": _count(81), "eta": _count(3, 2)},
        contradicts=_budgets,
        factory="nni.tuners.asha:make",
        refuses=spaces.without_budget,
        is_staged=True,
        promotes=True,
    ),
    Entry(
        name="PBT",
        arguments={
            **_usual("PBT"),
            "all_checkpoint_dir": Argument(
                kind=str, is_needed=True, meaning="a directory on a storage that all trials share, as they see it"
            ),
            "population_size": _count(10, 2),
            "factor": _share(0.2),
            "resample_probability": _share(0.25),
            "fraction": _share(0.2),
        },
        factory="nni.tuners.pbt:make",
        is_staged=True,
        aliases=("PBTTuner",),
    ),
)
TUNERS: Mapping[str, Entry] = {entry.name: entry for entry in _TUNERS}

_ASSESSORS = (
    Entry(
        name="Medianstop",
        arguments={"optimize_mode": _TUNERS_MODE, "start_step": _count(0, 0)},
        factory="nni.tuners.quantile:make_median",
    ),
    Entry(
        name="Percentile",
        arguments={
            "optimize_mode": _TUNERS_MODE,
            "start_step": _count(0, 0),
            "percentile": Argument(kind=float, default=50.0, minimum=0, maximum=100),
        },
        factory="nni.tuners.quantile:make",
    ),
    Entry(
        name="Curvefitting",
        arguments={
            "optimize_mode": _TUNERS_MODE,
            "epoch_num": _count(20),
            "start_step": _count(6, 0),
            "threshold": _share(0.95),
            "gap": _count(1),
        },
        factory="nni.tuners.curve_fitting:make",
    ),
    Entry(
        name="ASHA",
        arguments={"optimize_mode": _TUNERS_MODE, "min_step": _count(1), "eta": _count(3, 2)},
        factory="nni.tuners.halving:make",
    ),
)
ASSESSORS: Mapping[str, Entry] = {entry.name: entry for entry in _ASSESSORS}


def names() -> tuple[str, ...]:
    """Return the names of the tuners."""
    return tuple(TUNERS)


def find(name: str, among: Mapping[str, Entry] = TUNERS) -> Entry | None:
    """Return what has a name, in any case."""
    wanted = name.lower()
    return next((one for one in among.values() if wanted in map(str.lower, (one.name, *one.aliases))), None)


def problems(chosen: spec.AlgorithmSpec, path: str) -> list[errors.Problem]:
    """Return every mistake in the choice of a tuner and in its arguments.

    Args:
        chosen: What the user chose.
        path: Where the user chose it: ``tuner``.
    """
    return _problems(chosen, path, TUNERS, "tuner")


def space_problems(chosen: spec.AlgorithmSpec, space: Space | None) -> list[errors.Problem]:
    """Return why a tuner cannot have a search space; None stands for one that nobody here can read."""
    entry = find(chosen.name or "")
    refused = entry.refuses(space) if entry is not None and entry.refuses is not None and space is not None else None
    return [errors.Problem("search_space", refused)] if refused else []


def promotes(chosen: spec.AlgorithmSpec) -> bool:
    """Return whether a tuner has ended trials go on."""
    entry = find(chosen.name or "")
    return entry is not None and entry.promotes


def may_have_more_later(chosen: spec.AlgorithmSpec) -> bool:
    """Return whether a tuner that has no more to suggest may have when more trials have ended, as a user's own may."""
    return promotes(chosen) or chosen.class_name is not None


def is_blind(chosen: spec.AlgorithmSpec) -> bool:
    """Return whether a tuner learns nothing from results, so that its suggestions can be fetched at any time."""
    entry = find(chosen.name or "")
    return entry is not None and entry.is_blind


def initial_problems(chosen: spec.AlgorithmSpec) -> list[errors.Problem]:
    """Return what is wrong with having initial parameters beside a tuner."""
    entry = find(chosen.name or "")
    if entry is None or not entry.is_staged:
        return []
    sentence = f"is not for {entry.name}, whose trials get more than parameters; leave it out, or use 'Auto'"
    return [errors.Problem("initial_parameters", sentence)]


def pair_problems(chosen: spec.AlgorithmSpec) -> list[errors.Problem]:
    """Return what is wrong with having an assessor beside a tuner."""
    if not promotes(chosen):
        return []
    # A trial that goes on from its checkpoint would be judged by what others had at their beginning.
    sentence = f"is not for {chosen.name}, which spares bad trials the larger budgets itself; leave it out"
    return [errors.Problem("assessor", sentence)]


def assessor_problems(chosen: spec.AlgorithmSpec, path: str) -> list[errors.Problem]:
    """Return every mistake in the choice of an assessor and in its arguments."""
    return _problems(chosen, path, ASSESSORS, "assessor")


def arguments_of(chosen: spec.AlgorithmSpec, among: Mapping[str, Entry] = TUNERS) -> tuple[Entry, Mapping[str, Any]]:
    """Return the built-in tuner (or assessor) that was chosen and all of its arguments, defaults filled in.

    Raises:
        ConfigError: The choice has problems.
    """
    found = _problems(chosen, "tuner" if among is TUNERS else "assessor", among, "tuner")
    entry = find(chosen.name or "", among)
    if found or entry is None:
        raise errors.ConfigError(found)
    return entry, arguments.filled(entry.arguments, chosen.class_args)


def _problems(chosen: spec.AlgorithmSpec, path: str, among: Mapping[str, Entry], what: str) -> list[errors.Problem]:
    if chosen.class_name is not None:
        return []
    if chosen.name is None:
        return [errors.Problem(f"{path}.name", f"is not set; use {nearest.either(tuple(among))}")]
    entry = find(chosen.name, among)
    if entry is None:
        return [errors.Problem(f"{path}.name", _unknown(chosen.name, among, what))]
    where = f"{path}.class_args"
    old = gone.arguments(entry.name) if among is TUNERS else {}
    found = arguments.problems(entry.arguments, old, chosen.class_args, where, f"an argument of {entry.name}")
    if not found and entry.contradicts is not None:
        wrong = entry.contradicts(arguments.filled(entry.arguments, chosen.class_args), chosen.class_args)
        found += [errors.Problem(f"{where}.{wrong[0]}", wrong[1])] if wrong else []
    return found


def _unknown(name: str, among: Mapping[str, Entry], what: str) -> str:
    """Return what to say of a name that is not one of a tuner, or not one of an assessor."""
    for old, instead in gone.NAMES.items():
        if old.lower() == name.lower() and what == "tuner":
            return f"the tuner {old!r} is not carried over from NNI; use {instead}"
    near = nearest.nearest(name, tuple(among))
    hint = f"did you mean {near!r}?" if near else f"use {nearest.either(tuple(among))}"
    return f"there is no {what} {name!r}; {hint}"
