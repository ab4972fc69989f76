"""CMA-ES, by Optuna and the package cmaes: for numbers alone, best where many trials can be afforded.

N. Hansen, A. Ostermeier, Completely Derandomized Self-Adaptation in Evolution Strategies, 2001.
"""

from collections.abc import Mapping
from typing import Any

import optuna

from nni.core import objectives
from nni.core.dimension import Space
from nni.tuners import study


def make(space: Space, arguments: Mapping[str, Any]) -> study.Study:
    """Make the tuner that is called CMA-ES."""
    sampler = optuna.samplers.CmaEsSampler(seed=arguments["seed"], warn_independent_sampling=False)
    return study.Study(space, sampler, optimize=objectives.of(arguments), seed=arguments["seed"])
