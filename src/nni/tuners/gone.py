"""What NNI's tuners are called and take, and ours do not, with what to do instead."""

from collections.abc import Mapping

NAMES: Mapping[str, str] = {
    "BOHB": "'ASHA' for budgets, 'Auto' for its model",
    "DNGO": "'Auto'",
    "DNGOTuner": "'Auto'",
    "Metis": "'Auto'",
    "MetisTuner": "'Auto'",
    "NetworkMorphism": "'Auto' over a search space of architectures",
    "PPO": "'Evolution' over a search space of architectures",
    "PPOTuner": "'Evolution' over a search space of architectures",
    "RegularizedEvolutionTuner": "'Evolution'",
    "SMAC": "'Auto'",
    "TPE_legacy": "'TPE'",
}
"""Tuners."""

_RUNNING = "leave it out, running trials always count"
_FIXED = "leave it out, the tuner finds it by itself"
_BY_CHANCE = "leave it out, nothing is drawn by chance"
_SEVERAL = "name 'NSGA-II' or 'TPE', which take several objectives, or write optimize_mode for the one called 'default'"
_GP = {
    "utility": "leave it out, it is the expected improvement",
    **dict.fromkeys(("kappa", "xi"), "leave it out, the expected improvement needs none"),
    "nu": "leave it out, it is 2.5, NNI's default",
    **dict.fromkeys(("alpha", "selection_num_warm_up", "selection_num_starting_points"), _FIXED),
    "cold_start_num": "leave it out, or give initial_parameters to begin with",
}
_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "TPE": {"parallel_optimize": _RUNNING, "constant_liar_type": "write it in tpe_args"},
    "Anneal": {"parallel_optimize": _RUNNING, "constant_liar_type": _RUNNING},
    "Evolution": {"sample_size": "leave it out, of two members the better one is a parent"},
    "GridSearch": {"seed": _BY_CHANCE},
    "Batch": {"seed": _BY_CHANCE},
    "GP": _GP,
    "PBT": {"factors": "write factor"},
    "Hyperband": {
        **dict.fromkeys(("min_budget", "max_budget"), "write R, the largest budget, or name 'ASHA', which takes it"),
    },
    "ASHA": {"R": "write max_budget", "exec_mode": "leave it out, it never waits"},
}


def arguments(name: str) -> Mapping[str, str]:
    """Return the arguments that a tuner is given elsewhere and does not take, with what to do instead."""
    return {"optimize": _SEVERAL, **_ARGUMENTS.get(name, {})}
