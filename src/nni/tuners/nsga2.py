"""NSGA-II, by Optuna: evolution towards the Pareto front of several objectives.

K. Deb and others, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002.
"""

from collections.abc import Mapping
from typing import Any

import optuna

from nni.core import objectives
from nni.core.dimension import Space
from nni.tuners import study


def make(space: Space, arguments: Mapping[str, Any]) -> study.Study:
    """Make the tuner that is called NSGA-II."""
    sampler = optuna.samplers.NSGAIISampler(population_size=arguments["population_size"], seed=arguments["seed"])
    return study.Study(space, sampler, optimize=objectives.of(arguments), seed=arguments["seed"])
