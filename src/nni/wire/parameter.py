"""The file ``parameter.cfg``: the parameters of a trial, in NNI's form."""

import json
from typing import Any, Mapping, NamedTuple

from nni import errors
from nni.wire import report


class Parameters(NamedTuple):
    """What ``parameter.cfg`` holds."""

    parameter_id: report.ParameterId
    parameters: Any
    """Usually a dict; a custom tuner may have chosen anything that is JSON."""


def encode(parameter_id: int, parameters: Mapping[str, Any], source: str = "algorithm") -> bytes:
    """Return the content of the file; the order of the parameters is kept."""
    record = {
        "parameter_id": parameter_id,
        "parameter_source": source,
        "parameters": parameters,
        "parameter_index": 0,
    }
    return json.dumps(record).encode("ascii")


def decode(content: bytes) -> Parameters:
    """Read the content of the file.

    Raises:
        WireError: It is not one.
    """
    record = report.parse(content)
    if not isinstance(record, dict) or "parameters" not in record:
        raise errors.WireError("no parameters in the parameter file")
    return Parameters(record.get("parameter_id"), record["parameters"])
