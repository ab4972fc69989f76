"""What tuners are measured on: a search space, a loss, and the least loss that there is.

All optima lie off the centre of their space. ``DESIGN`` were used to design the tuners of this project, and no
figure of theirs is claimed; ``REPORT`` were not looked at before the design was fixed. The training problems of
``tables`` belong to the second kind.

Standard library alone: peers run this in environments of their own.
"""

import dataclasses
import itertools
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Loss = Callable[[Mapping[str, Any]], Any]
"""Returns a number."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something to minimise."""

    name: str
    space: Mapping[str, Any]
    loss: Loss
    least: float = 0.0


def _uniform(low: float, high: float) -> Mapping[str, Any]:
    return {"_type": "uniform", "_value": [low, high]}


def _log(low: float, high: float) -> Mapping[str, Any]:
    return {"_type": "loguniform", "_value": [low, high]}


def _ints(low: int, high: int) -> Mapping[str, Any]:
    return {"_type": "randint", "_value": [low, high]}


def _choice(*options: Any) -> Mapping[str, Any]:
    return {"_type": "choice", "_value": list(options)}


def _box(
    name: str, bounds: tuple[float, float], size: int, loss: Callable[[Sequence[float]], Any], least: float = 0.0
) -> Problem:
    """Return a problem of numbers between the same bounds."""
    names = [f"x{index}" for index in range(size)]
    space = {one: _uniform(*bounds) for one in names}
    return Problem(name=name, space=space, loss=lambda at: loss([at[one] for one in names]), least=least)


def _shift(size: int, low: float, high: float, seed: int) -> list[float]:
    """Return a place away from the centre and from the bounds."""
    chance = random.Random(seed)
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle + chance.choice((-1, 1)) * half * chance.uniform(0.2, 0.7) for _ in range(size)]


def _rotation(size: int, seed: int) -> list[list[float]]:
    """Return an orthogonal matrix, by Gram and Schmidt."""
    chance = random.Random(seed)
    rows: list[list[float]] = []
    while len(rows) < size:
        row = [chance.gauss(0, 1) for _ in range(size)]
        for other in rows:
            dot = sum(a * b for a, b in zip(row, other, strict=True))
            row = [a - dot * b for a, b in zip(row, other, strict=True)]
        length = math.sqrt(sum(a * a for a in row))
        rows.append([a / length for a in row])
    return rows


# Reported.


def _branin(at: Sequence[float]) -> float:
    x, y = at[0] * 15 - 5, at[1] * 15
    bowl = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_H6_A = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
_H6_P = (
    (1312, 1696, 5569, 124, 8283, 5886),
    (2329, 4135, 8307, 3736, 1004, 9991),
    (2348, 1451, 3522, 2883, 3047, 6650),
    (4047, 8828, 8732, 5743, 1091, 381),
)


def _hartmann6(at: Sequence[float]) -> float:
    total = 0.0
    for weight, row, centre in zip((1.0, 1.2, 3.0, 3.2), _H6_A, _H6_P, strict=True):
        far = sum(a * (x - p / 10_000) ** 2 for a, x, p in zip(row, at, centre, strict=True))
        total -= weight * math.exp(-far)
    return total


def _rosenbrock(at: Sequence[float]) -> float:
    return sum(100 * (y - x * x) ** 2 + (1 - x) ** 2 for x, y in itertools.pairwise(at))


def _ackley(at: Sequence[float]) -> float:
    shift = _shift(len(at), -20, 30, 11)
    moved = [x - s for x, s in zip(at, shift, strict=True)]
    size = len(moved)
    waves = sum(math.cos(2 * math.pi * x) for x in moved) / size
    return 20 - 20 * math.exp(-0.2 * math.sqrt(sum(x * x for x in moved) / size)) + math.e - math.exp(waves)


def _levy(at: Sequence[float]) -> float:
    shift = _shift(len(at), -10, 10, 12)
    w = [1 + (x - s) / 4 for x, s in zip(at, shift, strict=True)]
    middle = sum((a - 1) ** 2 * (1 + 10 * math.sin(math.pi * a + 1) ** 2) for a in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def _powell(at: Sequence[float]) -> float:
    shift = _shift(len(at), -4, 5, 13)
    total = 0.0
    for start in range(0, len(at), 4):
        a, b, c, d = (x - s for x, s in zip(at[start : start + 4], shift[start : start + 4], strict=True))
        total += (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4
    return total


_MIXED10 = {
    "lr": _log(1e-5, 1.0),
    "decay": _log(1e-6, 1e-1),
    "eps": _log(1e-8, 1e-2),
    "momentum": _uniform(0.0, 1.0),
    "dropout": _uniform(0.0, 0.8),
    "layers": _ints(1, 9),
    "width": {"_type": "quniform", "_value": [16, 512, 16]},
    "batch": _ints(1, 65),
    "activation": _choice("relu", "tanh", "gelu", "swish"),
    "schedule": _choice("none", "cosine", "step"),
}


def _mixed10(at: Mapping[str, Any]) -> Any:
    lr, decay, eps = (math.log10(at[name]) for name in ("lr", "decay", "eps"))
    ideal = -2.7 + 0.3 * math.log2(at["batch"] / 16)
    loss = 0.5 * (lr - ideal) ** 2 + 0.15 * (decay + 3.6) ** 2 + 0.02 * (eps + 6.3) ** 2
    loss += 2 * (at["momentum"] - 0.87) ** 2 + 1.5 * (at["dropout"] - 0.23) ** 2
    loss += 0.05 * (at["layers"] - 6) ** 2 + 0.3 * (math.log2(at["width"]) - 8) ** 2 + 0.002 * abs(at["batch"] - 16)
    loss += {"relu": 0.25, "tanh": 0.6, "gelu": 0.0, "swish": 0.1}[at["activation"]]
    loss += {"none": 0.5, "cosine": 0.0, "step": 0.2}[at["schedule"]]
    return loss


_CONDITIONAL = {
    "decay": _log(1e-6, 1e-1),
    "optimizer": {
        "_type": "choice",
        "_value": [
            {"_name": "sgd", "lr": _log(1e-4, 1.0), "momentum": _uniform(0.0, 1.0), "nesterov": _choice(True, False)},
            {"_name": "adam", "lr": _log(1e-5, 1e-1), "beta1": _uniform(0.5, 1.0), "beta2": _uniform(0.9, 1.0)},
            {"_name": "lbfgs", "history": _ints(1, 51)},
        ],
    },
    "depth": _ints(1, 11),
}


def _conditional(at: Mapping[str, Any]) -> Any:
    chosen = at["optimizer"]
    loss = 0.1 * (math.log10(at["decay"]) + 4.2) ** 2 + 0.04 * (at["depth"] - 7) ** 2
    if chosen["_name"] == "sgd":
        lr = math.log10(chosen["lr"]) + 1.1 + 2 * (chosen["momentum"] - 0.5)
        return loss + 0.4 * lr**2 + 3 * (chosen["momentum"] - 0.9) ** 2 + 0.05 * (not chosen["nesterov"])
    if chosen["_name"] == "adam":
        lr = math.log10(chosen["lr"]) + 3.2
        return loss + 0.15 + 0.3 * lr**2 + 2 * (chosen["beta1"] - 0.88) ** 2 + 30 * (chosen["beta2"] - 0.985) ** 2
    return loss + 0.35 + 0.0004 * (chosen["history"] - 33) ** 2


REPORT = (
    _box("branin2", (0.0, 1.0), 2, _branin, 0.39788735772973816),
    _box("hartmann6", (0.0, 1.0), 6, _hartmann6, -3.322368011415511),
    _box("rosenbrock4", (-5.0, 10.0), 4, _rosenbrock),
    _box("ackley5", (-20.0, 30.0), 5, _ackley),
    _box("levy8", (-10.0, 10.0), 8, _levy),
    _box("powell8", (-4.0, 5.0), 8, _powell),
    Problem(name="mixed10", space=_MIXED10, loss=_mixed10),
    Problem(name="conditional", space=_CONDITIONAL, loss=_conditional),
)

# Designed on.


def _zakharov(at: Sequence[float]) -> float:
    shift = _shift(len(at), -5, 10, 1)
    moved = [x - s for x, s in zip(at, shift, strict=True)]
    slope = sum(0.5 * (index + 1) * x for index, x in enumerate(moved))
    return sum(x * x for x in moved) + slope**2 + slope**4


def _ellipsoid(at: Sequence[float]) -> Any:
    size = len(at)
    shift = _shift(size, -5, 5, 2)
    moved = [x - s for x, s in zip(at, shift, strict=True)]
    turned = [sum(a * x for a, x in zip(row, moved, strict=True)) for row in _rotation(size, 2)]
    return sum(1000 ** (index / (size - 1)) * x * x for index, x in enumerate(turned))


def _michalewicz(at: Sequence[float]) -> float:
    return -sum(math.sin(x) * math.sin((index + 1) * x * x / math.pi) ** 20 for index, x in enumerate(at))


def _griewank(at: Sequence[float]) -> float:
    shift = _shift(len(at), -100, 100, 3)
    moved = [x - s for x, s in zip(at, shift, strict=True)]
    waves = math.prod(math.cos(x / math.sqrt(index + 1)) for index, x in enumerate(moved))
    return sum(x * x for x in moved) / 4000 - waves + 1


def _styblinski(at: Sequence[float]) -> Any:
    return sum(x**4 - 16 * x * x + 5 * x for x in at) / 2


def _rastrigin(at: Sequence[float]) -> Any:
    shift = _shift(len(at), -5, 5, 4)
    return sum((x - s) ** 2 - 10 * math.cos(2 * math.pi * (x - s)) + 10 for x, s in zip(at, shift, strict=True))


_MIXED6 = {
    "lr": _log(1e-5, 1.0),
    "reg": _log(1e-6, 1.0),
    "size": _ints(1, 33),
    "rate": _uniform(0.0, 1.0),
    "kind": _choice("a", "b", "c", "d"),
    "steps": _ints(1, 101),
}


def _mixed6(at: Mapping[str, Any]) -> Any:
    far = (math.log10(at["lr"]) + 1.9) ** 2 + 0.3 * (math.log10(at["reg"]) + 4.5) ** 2
    far += (
        ((at["size"] - 21) / 10) ** 2
        + 4 * (at["rate"] - 0.31) ** 2
        + {"a": 1.0, "b": 0.4, "c": 0.0, "d": 0.7}[at["kind"]]
    )
    return 1 - math.exp(-0.5 * far) + 0.3 * (1 - at["steps"] / 100)


_CON3 = {
    "model": {
        "_type": "choice",
        "_value": [
            {"_name": "linear", "c": _log(1e-4, 1e4)},
            {"_name": "tree", "depth": _ints(1, 21), "leaf": _ints(1, 51)},
            {"_name": "net", "lr": _log(1e-5, 1.0), "width": _ints(4, 257), "drop": _uniform(0.0, 0.9)},
        ],
    }
}


def _con3(at: Mapping[str, Any]) -> Any:
    model = at["model"]
    if model["_name"] == "linear":
        return 0.5 + 0.05 * (math.log10(model["c"]) - 1.3) ** 2
    if model["_name"] == "tree":
        return 0.35 + 0.004 * (model["depth"] - 8) ** 2 + 0.0006 * (model["leaf"] - 12) ** 2
    lr, width = math.log10(model["lr"]) + 2.4, math.log2(model["width"]) - 6.6
    return 0.3 * lr**2 + 0.08 * width**2 + 1.5 * (model["drop"] - 0.27) ** 2


def _noisy(problem: Problem, size: float) -> Problem:
    """Return a problem with a loss that is read with an error; regret is counted without it."""
    return dataclasses.replace(problem, name=problem.name + "-noisy", loss=_Noisy(problem.loss, size))


class _Noisy:
    def __init__(self, loss: Loss, size: float) -> None:
        self.true, self._size = loss, size
        self._chance = random.Random(0)

    def __call__(self, at: Mapping[str, Any]) -> float:
        return float(self.true(at)) + self._chance.gauss(0, self._size)


_MIXED = Problem(name="mixed6", space=_MIXED6, loss=_mixed6)
_CON = Problem(name="con3", space=_CON3, loss=_con3)
_STYBLINSKI = _box("styblinski6", (-5.0, 5.0), 6, _styblinski, -39.16616570377142 * 6)

DESIGN = (
    _box("zakharov6", (-5.0, 10.0), 6, _zakharov),
    _box("ellipsoid4", (-5.0, 5.0), 4, _ellipsoid),
    _box("michalewicz5", (0.0, math.pi), 5, _michalewicz, -4.687658),
    _box("griewank8", (-100.0, 100.0), 8, _griewank),
    _STYBLINSKI,
    _MIXED,
    _CON,
    _box("rastrigin10", (-5.0, 5.0), 10, _rastrigin),
)
ROBUSTNESS = (
    _box("ellipsoid15", (-5.0, 5.0), 15, _ellipsoid),
    _noisy(_MIXED, 0.03),
    _noisy(_CON, 0.05),
    _noisy(_STYBLINSKI, 5.0),
)


def trained(tables: Path) -> tuple[Problem, ...]:
    """Return the training problems, from the tables that ``tables`` has computed."""
    return tuple(_Table(one).problem() for one in json.loads(tables.read_text()))


class _Table:
    """A loss measured on a grid; between its lines it is interpolated, so that the least loss stands in the table."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._name: str = table["name"]
        self._axes: Sequence[Mapping[str, Any]] = table["axes"]
        self._losses: Sequence[float] = table["losses"]

    def problem(self) -> Problem:
        space = {}
        for axis in self._axes:
            values = axis["values"]
            kind = axis["kind"]
            space[axis["name"]] = {"_type": kind, "_value": values if kind == "choice" else [values[0], values[-1]]}
        return Problem(name=self._name, space=space, loss=self._loss, least=min(self._losses))

    def _loss(self, at: Mapping[str, Any]) -> float:
        corners = [(0, 1.0)]
        for axis in self._axes:
            values, value = axis["values"], at[axis["name"]]
            sides = [(values.index(value), 1.0)] if axis["kind"] == "choice" else _between(values, value, axis["kind"])
            corners = [
                (place * len(values) + index, weight * share)
                for place, weight in corners
                for index, share in sides
                if share
            ]
        return sum(self._losses[place] * weight for place, weight in corners)


def _between(values: Sequence[float], value: float, kind: str) -> list[tuple[int, float]]:
    """Return the two lines of a grid around a value, with the share of each."""
    scale = math.log if kind == "loguniform" else float
    value = min(max(value, values[0]), values[-1])
    high = next(index for index in range(1, len(values)) if value <= values[index])
    low = high - 1
    share = (scale(value) - scale(values[low])) / (scale(values[high]) - scale(values[low]))
    return [(low, 1 - share), (high, share)]
