"""The training problems: real models, trained on a grid once. ``python -m benchmarks.search.tables FILE``."""

import itertools
import json
import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sklearn import datasets, ensemble, model_selection, neural_network, pipeline, preprocessing, svm

Axis = Mapping[str, Any]


def _axis(name: str, kind: str, values: Sequence[Any]) -> Axis:
    return {"name": name, "kind": kind, "values": list(values)}


def _logs(low: float, high: float, count: int) -> list[float]:
    """Return powers of ten between two of them, evenly spaced."""
    step = (high - low) / (count - 1)
    return [10 ** (low + index * step) for index in range(count)]


SVM = [
    _axis("C", "loguniform", _logs(-2, 4, 10)),
    _axis("gamma", "loguniform", _logs(-5, 1, 10)),
    _axis("kernel", "choice", ["rbf", "poly", "sigmoid"]),
]
BOOSTING = [
    _axis("learning_rate", "loguniform", _logs(-3, 0, 6)),
    _axis("subsample", "uniform", [0.3, 0.6, 1.0]),
    _axis("max_depth", "uniform", [1, 3, 6]),
    _axis("max_features", "choice", ["sqrt", "all"]),
]
NETWORK = [
    _axis("learning_rate", "loguniform", _logs(-4, -0.5, 7)),
    _axis("alpha", "loguniform", _logs(-6, 1, 5)),
    _axis("width", "loguniform", [4, 16, 64]),
    _axis("activation", "choice", ["relu", "tanh", "logistic"]),
]


def _svm() -> Callable[[Mapping[str, Any]], float]:
    data, target = datasets.load_digits(return_X_y=True)
    data, target = data[:800] / 16, target[:800]

    def loss(at: Mapping[str, Any]) -> float:
        model = svm.SVC(C=at["C"], gamma=at["gamma"], kernel=at["kernel"], cache_size=50)
        return float(1 - model_selection.cross_val_score(model, data, target, cv=3).mean())

    return loss


def _boosting() -> Callable[[Mapping[str, Any]], float]:
    data, target = datasets.load_diabetes(return_X_y=True)

    def loss(at: Mapping[str, Any]) -> float:
        model = ensemble.GradientBoostingRegressor(
            n_estimators=60,
            learning_rate=at["learning_rate"],
            subsample=at["subsample"],
            max_depth=at["max_depth"],
            max_features=None if at["max_features"] == "all" else "sqrt",
            random_state=0,
        )
        return float(1 - model_selection.cross_val_score(model, data, target, cv=3, scoring="r2").mean())

    return loss


def _network() -> Callable[[Mapping[str, Any]], float]:
    data, target = datasets.load_wine(return_X_y=True)
    folds = model_selection.StratifiedKFold(3, shuffle=True, random_state=0)

    def loss(at: Mapping[str, Any]) -> float:
        network = neural_network.MLPClassifier(
            (at["width"],),
            activation=at["activation"],
            alpha=at["alpha"],
            learning_rate_init=at["learning_rate"],
            max_iter=40,
            random_state=0,
            tol=0,
        )
        model = pipeline.make_pipeline(preprocessing.StandardScaler(), network)
        scores = model_selection.cross_val_score(model, data, target, cv=folds, scoring="neg_log_loss")
        return float(min(-scores.mean(), 10.0))

    return loss


def main() -> int:
    """Train all and write the tables."""
    warnings.simplefilter("ignore")
    tables = []
    for name, axes, make in (("svm", SVM, _svm), ("boosting", BOOSTING, _boosting), ("network", NETWORK, _network)):
        loss = make()
        points = itertools.product(*(axis["values"] for axis in axes))
        losses = [loss(dict(zip([axis["name"] for axis in axes], point, strict=True))) for point in points]
        assert all(map(math.isfinite, losses))
        print(f"{name}: {len(losses)} trainings, best {min(losses):.4f}", flush=True)
        tables.append({"name": name, "axes": axes, "losses": losses})
    Path(sys.argv[1]).write_text(json.dumps(tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
