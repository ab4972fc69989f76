"""What an experiment was started with, beside its records: its configuration, and which code its trials run.

It is what ``nnictl resume`` starts it with, and any other start but the first.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni import errors

FILE = "config.json"
CODE_FILE = "code.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Code:
    """What a code directory was when it was packed."""

    digest: str
    """The bundle's name on the volume."""
    length: int
    """Bytes of the archive there."""


def put(path: Path, content: Any, holds: str) -> None:
    """Write a file of JSON for its owner alone, so that it is there whole or not at all.

    Args:
        path: In the experiment's own directory.
        content: What JSON can hold.
        holds: How messages call it.

    Raises:
        RecordsError: It cannot be written.
    """
    temporary = path.with_suffix(".part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise errors.RecordsError(f"{path}, with {holds}, cannot be written ({error.strerror}).") from error


def write(directory: Path, config: Mapping[str, Any]) -> None:
    """Keep the configuration of an experiment.

    Args:
        directory: The experiment's own.
        config: In canonical JSON.

    Raises:
        RecordsError: It cannot be written.
    """
    put(directory / FILE, config, "what the experiment was started with")


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


def write_code(directory: Path, code: Mapping[str, Code]) -> None:
    """Keep which code the trials of an experiment run.

    Args:
        directory: The experiment's own.
        code: By code directory. What is known of others is kept.

    Raises:
        RecordsError: It cannot be written.
    """
    before = read_code(directory)
    after = {**before, **code}
    if after != before:
        content = {place: dataclasses.asdict(one) for place, one in after.items()}
        put(directory / CODE_FILE, content, "which code the trials run")


def read_code(directory: Path) -> Mapping[str, Code]:
    """Return which code the trials of an experiment run, by code directory; nothing before it has been kept.

    Raises:
        RecordsError: It is damaged.
    """
    path = directory / CODE_FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {str(place): Code(str(one["digest"]), int(one["length"])) for place, one in kept.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.RecordsError(
            f"{path}, with which code the trials run, cannot be read ({error!r}); delete it, and further trials run "
            "the code as it is now."
        ) from error
