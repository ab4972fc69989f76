"""How much each parameter matters to the metric: PED-ANOVA, by Optuna.

``python -m nni.tuners.importance`` reads one JSON object from standard input, ``{"search_space": ..., "maximize":
true, "results": [[parameters, value], ...]}``, and writes the shares by name to standard output. It is a process of
its own: thousands of results take a second, in which the tuner has better things to do.
"""

import json
import math
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import optuna

from nni.core import space as spaces
from nni.core.dimension import Space
from nni.tuners import points

LEAST = 10
"""Results below this number tell nothing."""


def shares(space: Space, results: Iterable[tuple[Mapping[str, Any], float]], *, maximize: bool) -> dict[str, float]:
    """Return the share of each parameter in what makes results good, the largest first; they add up to 1.

    A parameter below an option of a nested choice counts among the trials that have it: ``net[cnn].k``.

    Args:
        space: The search space.
        results: Parameters and metric of trials. Those that are not of this space, a user's own, are passed over.
        maximize: Whether larger metrics are better.

    Returns:
        Nothing when there are too few results, or when all are alike.
    """
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    trials = [trial for parameters, value in results if (trial := _trial(space, parameters, value)) is not None]
    if len(trials) < LEAST or len({trial.value for trial in trials}) == 1:
        return {}
    study.add_trials(trials)
    found = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(), normalize=True
    )
    return {name: share for name, share in found.items() if math.isfinite(share)}


def _trial(space: Space, parameters: Mapping[str, Any], value: float) -> optuna.trial.FrozenTrial | None:
    numbers = points.locate(space, parameters)
    if numbers is None:
        return None
    return optuna.trial.create_trial(
        value=value,
        params={key: number for key, (_, number) in numbers.items()},
        distributions={key: _distribution(domain) for key, (domain, _) in numbers.items()},
    )


def _distribution(domain: points.Domain) -> optuna.distributions.BaseDistribution:
    match domain:
        case points.Categories(size):
            return optuna.distributions.CategoricalDistribution(range(size))
        case points.Integers(low, high):
            return optuna.distributions.IntDistribution(low, high)
        case points.Reals(low, high, is_log):
            return optuna.distributions.FloatDistribution(low, high, log=is_log)


def main() -> None:
    """Answer the one question on standard input."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    asked = json.load(sys.stdin)
    found = shares(spaces.parse(asked["search_space"]), asked["results"], maximize=asked["maximize"])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
