"""NSGA-II, by Optuna: evolution towards the Pareto front of several objectives.

K. Deb and others, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002. Trials of before a restart
are one generation: parents are the best of all that came before, and so they are of these.
"""

from collections.abc import Mapping
from typing import Any

import optuna

from nni.core import objectives
from nni.core.dimension import Space
from nni.tuners import study

_GENERATION = "NSGAIISampler:generation"
"""Where Optuna's sampler counts them."""


def make(space: Space, arguments: Mapping[str, Any]) -> study.Study:
    """Make the tuner that is called NSGA-II."""

    def sampler(seed: int | None) -> optuna.samplers.NSGAIISampler:
        return optuna.samplers.NSGAIISampler(population_size=arguments["population_size"], seed=seed)

    optimize = objectives.of(arguments)
    return study.Study(space, sampler, optimize=optimize, seed=arguments["seed"], generation_key=_GENERATION)
