"""The configuration that an experiment was started with, beside its records: what ``nnictl resume`` starts it with."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni import errors

FILE = "config.json"


def write(directory: Path, config: Mapping[str, Any]) -> None:
    """Keep the configuration of an experiment, for its owner alone.

    Args:
        directory: The experiment's own.
        config: In canonical JSON.
    """
    descriptor = os.open(directory / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(config, file, indent=2)


def read(directory: Path) -> Mapping[str, Any]:
    """Return the configuration of an experiment.

    Raises:
        RecordsError: It is not there, or damaged.
    """
    path = directory / FILE
    try:
        config: Mapping[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        message = f"{path}, with what the experiment was started with, cannot be read ({error})."
        raise errors.RecordsError(message) from error
    return config
