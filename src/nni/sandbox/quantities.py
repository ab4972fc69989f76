"""Quantities of resources: ``500m``, ``4Gi``, ``2``."""

import decimal
import math

from nni.sandbox import schema

_SCALES: dict[str, int | decimal.Decimal] = {
    "": 1, "m": decimal.Decimal("0.001"), "u": decimal.Decimal("0.000001"), "n": decimal.Decimal("0.000000001"),
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
Amounts = dict[str, decimal.Decimal]
ONE = decimal.Decimal(1)
_NOTHING = decimal.Decimal()


def parse(text: str | float) -> decimal.Decimal:
    """Read a quantity. Raises ValueError."""
    text = str(text)
    number = text.rstrip("KMGTPEikmun")
    suffix = text[len(number) :]
    try:
        return decimal.Decimal(number if number.strip() == number else "") * _SCALES[suffix]
    except (decimal.InvalidOperation, KeyError) as error:
        raise ValueError(f"{text} is not a quantity such as 2, 500m or 4Gi") from error


def in_units(text: str | float, divisor: str | float) -> str:
    """Say how many ``divisor`` a quantity makes, rounded up, as ``resourceFieldRef`` does."""
    unit = parse(divisor)
    return str(math.ceil(parse(text) / (unit or 1)))


def requests(spec: schema.Object) -> Amounts:
    """Sum what a pod asks for: its containers together, or more where an init container needs more.

    Sidecars (init containers that restart always) run beside the containers, and beside the init containers after them.
    """
    beside: Amounts = {}
    greediest: Amounts = {}
    for container in spec.get("initContainers", []):
        asked = of_container(container)
        if container.get("restartPolicy") == "Always":
            beside = _sum(beside, asked)
        else:
            greediest = _most(greediest, _sum(beside, asked))
    total = beside
    for container in spec.get("containers", []):
        total = _sum(total, of_container(container))
    return _most(total, greediest)


def of_container(container: schema.Object) -> Amounts:
    """Say what one container asks for; a limit without a request is a request."""
    resources = container.get("resources", {})
    asked = {**resources.get("limits", {}), **resources.get("requests", {})}
    return {name: parse(text) for name, text in asked.items()}


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, _NOTHING) + other.get(name, _NOTHING) for name in one | other}


def _most(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, _NOTHING), other.get(name, _NOTHING)) for name in one | other}
