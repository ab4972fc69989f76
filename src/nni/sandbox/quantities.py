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
    """Sum what a pod asks for: its containers together, or its greediest init container where that is more."""
    total: Amounts = {}
    for container in spec.get("containers", []):
        for name, amount in of_container(container).items():
            total[name] = total.get(name, decimal.Decimal()) + amount
    for container in spec.get("initContainers", []):
        for name, amount in of_container(container).items():
            total[name] = max(total.get(name, decimal.Decimal()), amount)
    return total


def of_container(container: schema.Object) -> Amounts:
    """Say what one container asks for; a limit without a request is a request."""
    resources = container.get("resources", {})
    asked = {**resources.get("limits", {}), **resources.get("requests", {})}
    return {name: parse(text) for name, text in asked.items()}
