"""The tree-structured Parzen estimator, by Optuna: multivariate, with running trials counted as bad ones by default.

J. Bergstra and others, Algorithms for Hyper-Parameter Optimization, 2011; S. Falkner, A. Klein, F. Hutter, BOHB, 2018,
for several parameters at once.
"""

from collections.abc import Mapping
from typing import Any

import optuna

from nni.core import objectives
from nni.core.dimension import Space
from nni.tuners import study


def make(space: Space, arguments: Mapping[str, Any]) -> study.Study:
    """Make the tuner that is called TPE."""
    tpe_args = arguments["tpe_args"]

    def sampler(seed: int | None) -> optuna.samplers.TPESampler:
        return optuna.samplers.TPESampler(
            n_startup_trials=tpe_args["n_startup_jobs"],
            n_ei_candidates=tpe_args["n_ei_candidates"],
            constant_liar=tpe_args["constant_liar_type"] is not None,
            seed=seed,
        )

    return study.Study(space, sampler, optimize=objectives.of(arguments), seed=arguments["seed"])
