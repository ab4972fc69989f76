"""The experiments of this machine: a small JSON file for each, in one directory.

Each file is written by its experiment's manager alone and replaced as a whole, so no lock is needed. Whether the
manager lives is found out when the file is read.
"""

import contextlib
import dataclasses
import json
import logging
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni import errors
from nni.core import model

_log = logging.getLogger(__name__)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of an experiment. It holds no secret; the portal's token is in the experiment's directory."""

    id: str
    name: str | None
    platform: str
    port: int
    url_prefix: str | None
    pid: int
    """Of the manager."""
    process_mark: str
    """What tells the manager's process from a later one with the same pid; see ``process_mark``."""
    status: str
    """An ``ExperimentStatus``; STOPPED when the manager died without saying how it ended."""
    start_time: float | None
    """Seconds since the epoch."""
    end_time: float | None
    directory: Path
    """The experiment's own."""
    working_directory: Path
    """The one that the experiment's directory is in."""
    best: float | None = None
    """The best final metric so far."""
    left: str | None = None
    """What may be left of it on its platform, and how it is removed, as people read it."""
    is_alive: bool = False
    """Whether the manager lived when this was read; not written."""
    was_cut_off: bool = False
    """Whether the manager died without saying how the experiment ended; not written."""


class Registry:
    """The experiments in one directory."""

    def __init__(self, directory: Path) -> None:
        """Take the directory; it is made when the first experiment is written."""
        self._directory = directory

    def write(self, known: Known) -> None:
        """Add an experiment, or replace what is known of it.

        Raises:
            RecordsError: It cannot be written.
        """
        fields = dataclasses.asdict(known)
        del fields["is_alive"], fields["was_cut_off"]
        text = json.dumps(fields, default=os.fspath, indent=2)
        target = self._path(known.id)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            temporary.touch(mode=0o600, exist_ok=False)
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise errors.RecordsError(
                f"Experiment {known.id} cannot be entered in {self._directory}: {error.strerror}."
            ) from error

    def read(self, experiment_id: str) -> Known:
        """Return what is known of an experiment.

        Raises:
            ExperimentNotFoundError: Nothing is known of it.
        """
        known = self._read(self._path(experiment_id)) if _ID.fullmatch(experiment_id) else None
        if known is None:
            raise errors.ExperimentNotFoundError(f"No experiment {experiment_id} is known on this machine.")
        return known

    def list(self) -> list[Known]:
        """Return all experiments, the oldest first."""
        found = [self._read(path) for path in sorted(self._directory.glob("*.json"))]
        return sorted((known for known in found if known is not None), key=lambda known: known.start_time or 0.0)

    def find(self, prefix: str) -> Known:
        """Return the experiment with this id, or the only one whose id begins so.

        Raises:
            ExperimentNotFoundError: There is none, or there are several; the message names them.
        """
        ids = sorted(path.stem for path in self._directory.glob("*.json"))
        candidates = [prefix] if prefix in ids else [one for one in ids if one.startswith(prefix)]
        if not candidates:
            there = f"; there are {', '.join(ids)}" if ids else ""
            raise errors.ExperimentNotFoundError(f"No experiment {prefix} is known on this machine{there}.")
        if len(candidates) > 1:
            raise errors.ExperimentNotFoundError(
                f"{prefix!r} could be any of {', '.join(candidates)}: write more of the id."
            )
        return self.read(candidates[0])

    def remove(self, experiment_id: str) -> None:
        """Forget an experiment; its own directory stays. Nothing happens when it is not known."""
        if _ID.fullmatch(experiment_id):
            self._path(experiment_id).unlink(missing_ok=True)

    def _path(self, experiment_id: str) -> Path:
        return self._directory / f"{experiment_id}.json"

    def _read(self, path: Path) -> Known | None:
        try:
            known = _known(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s is passed over, it says nothing of an experiment: %r", path, error)
            return None
        is_alive = process_mark(known.pid) == known.process_mark
        was_cut_off = not is_alive and not model.ExperimentStatus(known.status).is_over
        status = model.ExperimentStatus.STOPPED.value if was_cut_off else known.status
        return dataclasses.replace(known, is_alive=is_alive, was_cut_off=was_cut_off, status=status)


def default_directory() -> Path:
    """Return where the experiments of this user are listed."""
    return Path.home() / "nni-experiments" / ".experiments"


def process_mark(pid: int) -> str:
    """Return what no other process with this pid has or had on this machine; empty when there is no such process."""
    if sys.platform != "linux":
        printed = subprocess.run(
            ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        state, _, started = printed.stdout.strip().partition(" ")
        return "" if state.startswith("Z") else started.strip()
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    # The second field, the program's name in brackets, may hold anything.
    fields = text.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return "" if state in "ZX" else f"{boot}/{started}"


def _known(fields: Mapping[str, Any]) -> Known:
    """Return what a file says; fields of a later release are passed over, and an earlier one had fewer."""
    model.ExperimentStatus(fields["status"])
    wanted = [field.name for field in dataclasses.fields(Known) if field.name not in ("is_alive", "was_cut_off")]
    paths = {name: Path(fields[name]) for name in ("directory", "working_directory")}
    return Known(**{name: fields[name] for name in wanted if name in fields} | paths)
