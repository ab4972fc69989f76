"""The value of a metric as JSON text: what ``report_*`` takes, and what everything behind it stores."""

import json
from typing import Any

from nni import errors

LIMIT = 1_000_000
"""Characters that the JSON text of one metric may have, as in NNI."""


def encode(value: Any) -> str:
    """Return a metric as JSON text; NaN and Infinity are written as Python writes them.

    Numbers of numpy, PyTorch and the like become plain numbers, and their arrays the object that NNI stores
    (``{"__ndarray__": [...], "dtype": "float64", "shape": [3]}``); none of these libraries is imported for it.

    Raises:
        TrialError: The metric is not JSON, or longer than ``LIMIT`` characters.
    """
    try:
        text = json.dumps(value, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise errors.TrialError(
            f"A metric must be a number, or a dict of numbers with the key 'default', but this one is no JSON: {error}."
        ) from error
    if len(text) > LIMIT:
        raise errors.TrialError(
            "A metric may have %d characters of JSON, this one has %d: write large results to a file in "
            "NNI_OUTPUT_DIR instead." % (LIMIT, len(text))
        )
    return text


def check(text: str) -> None:
    """Raise WireError unless a text is the JSON of a metric."""
    if len(text) > LIMIT:
        raise errors.WireError("a metric has %d characters, more than %d" % (len(text), LIMIT))
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise errors.WireError(f"a metric's value is no JSON: {error}") from error


def _plain(value: Any) -> Any:
    """Return what json can write in place of a value that it does not know."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        if not hasattr(value, "tolist"):
            value = value.numpy()
        if tuple(value.shape) == ():
            number = value.item()
            # numpy's long double gives itself back.
            return float(number) if type(number) is type(value) else number
        return _array(value)
    raise TypeError(f"{type(value).__name__} is not a number")


def _array(value: Any) -> Any:
    form = {"__ndarray__": value.tolist(), "dtype": str(value.dtype), "shape": list(value.shape)}
    if len(value.shape) > 1:
        # tolist() gives rows whatever the memory order is.
        form["Corder"] = True
    return form
