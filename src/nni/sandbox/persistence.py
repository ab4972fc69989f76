"""The objects of a sandbox in a directory, so that its next run has them: a journal of every write, one JSON a line.

Processes do not outlive a run. A pod that had begun and had not ended is told as lost, in the words that Kubernetes
has for containers that it cannot find after a restart of their node.
"""

import contextlib
import fcntl
import json
import logging
import os
import pathlib
from collections.abc import Iterator
from typing import IO

from nni import errors
from nni.sandbox import kinds, schema, store, times

_JOURNAL = "objects.jsonl"
_NOT_KEPT = (kinds.NODE.resource, kinds.EVENT.resource)
"""Nodes are declared anew by each run's options, and events are short-lived everywhere."""
_PARTS = ("containerStatuses", "initContainerStatuses")
_LEAST_PAST = 32 * 1024 * 1024
"""Characters of the past that are not worth a new file."""
_LOST = "The container could not be located when the pod was terminated"
_Entry = tuple[str, store.Key]

_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def kept(folder: pathlib.Path, objects: store.Store, now: times.Now) -> Iterator[None]:
    """Fill a new store with the objects of a directory, and write there whatever it stores from now on.

    Raises:
        SandboxError: the directory cannot be used, or another sandbox uses it.
    """
    with _held(folder), contextlib.closing(_begun(folder / _JOURNAL, objects, now)) as journal:
        objects.listeners.append(journal.write)
        yield
        objects.close()


class _Journal:
    """The file. It is written anew, under another name first, whenever most of it is of the past."""

    def __init__(self, path: pathlib.Path, objects: store.Store) -> None:
        self._path = path
        self._objects = objects
        self._is_broken = False
        self._present = self._past = 0
        """Characters that were written at once, and since then."""
        self._file = self._written()

    def write(self, resource: str, change: store.Change) -> None:
        """Append a write; after the first that fails nothing more is kept, and the sandbox works on."""
        if resource in _NOT_KEPT or self._is_broken:
            return
        try:
            self._past += self._file.write(_line(resource, change.object, is_deleted=change.happening == "DELETED"))
            self._file.flush()
            if self._past > max(_LEAST_PAST, 2 * self._present):
                self._file.close()
                self._file = self._written()
        except OSError as error:
            self._is_broken = True
            _logger.error("the state of the sandbox is no longer kept in %s: %s", self._path, error.strerror)  # noqa: TRY400

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _written(self) -> IO[str]:
        """Write all that there is into a new file, put it into the old one's place, and return it open."""
        new = self._path.with_name(f"{self._path.name}.new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        file = new.open("w", encoding="utf-8")
        lines = (_line(resource, found) for resource, found in self._objects.everything() if resource not in _NOT_KEPT)
        self._present, self._past = sum(map(file.write, lines)), 0
        file.flush()
        new.replace(self._path)
        return file


@contextlib.contextmanager
def _held(folder: pathlib.Path) -> Iterator[None]:
    """Make a directory where it is missing, and keep other sandboxes out of it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: pathlib.Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise errors.SandboxError(f"Another sandbox uses the directory {folder}; give another --state.") from error


def _begun(path: pathlib.Path, objects: store.Store, now: times.Now) -> _Journal:
    try:
        if path.exists():
            with path.open(encoding="utf-8") as file:
                _restore(objects, _read(file, path), now)
        return _Journal(path, objects)
    except OSError as error:
        raise _unusable(path.parent, error) from error


def _unusable(folder: pathlib.Path, error: OSError) -> errors.SandboxError:
    return errors.SandboxError(f"The directory {folder} cannot be used for --state: {error.strerror}.")


def _read(file: IO[str], path: pathlib.Path) -> dict[_Entry, schema.Object]:
    """Read what was there in the end. A last line without its end was being written when the machine stopped."""
    found: dict[_Entry, schema.Object] = {}
    for number, line in enumerate(file, 1):
        try:
            entry = json.loads(line)
            metadata = entry["object"]["metadata"]
            key = (metadata.get("namespace", ""), metadata["name"])
        except (ValueError, KeyError, TypeError) as error:
            if not line.endswith("\n"):
                break
            raise errors.SandboxError(
                f"Line {number} of {path} is no object of a sandbox; move the file away to start with nothing."
            ) from error
        if entry.get("deleted"):
            found.pop((entry["resource"], key), None)
        else:
            found[entry["resource"], key] = entry["object"]
    return found


def _restore(objects: store.Store, found: dict[_Entry, schema.Object], now: times.Now) -> None:
    for (resource, key), one in found.items():
        if resource != kinds.POD.resource or not _has_begun(one):
            objects.restore(resource, key, one)
        elif not one["metadata"].get("deletionTimestamp"):
            objects.restore(resource, key, _lost(one, now))


def _has_begun(pod: schema.Object) -> bool:
    """Say whether a pod had a process and no end; one that had none yet can still start."""
    if pod["status"].get("phase") in ("Succeeded", "Failed"):
        return False
    states = [each["state"] for part in _PARTS for each in pod["status"].get(part, [])]
    return any("waiting" not in state for state in states)


def _lost(pod: schema.Object, now: times.Now) -> schema.Object:
    moment = times.stamp(now())
    ended = {
        "exitCode": 137, "reason": "ContainerStatusUnknown", "message": _LOST, "startedAt": None, "finishedAt": None,
    }  # fmt: skip
    disrupted = {
        "type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet",
        "message": "Pod was terminated in response to imminent node shutdown.", "lastTransitionTime": moment,
    }  # fmt: skip
    state = {
        **pod["status"],
        "phase": "Failed",
        "reason": "Terminated",
        "message": "Pod was terminated in response to imminent node shutdown.",
        "conditions": [*pod["status"].get("conditions", []), disrupted],
    }
    for part in _PARTS:
        if part in state:
            state[part] = [
                each if "terminated" in each["state"] else {**each, "ready": False, "state": {"terminated": ended}}
                for each in state[part]
            ]
    return {**pod, "status": state}


def _line(resource: str, found: schema.Object, *, is_deleted: bool = False) -> str:
    kept_object = {"metadata": found["metadata"]} if is_deleted else found
    entry = {"resource": resource, "object": kept_object} | ({"deleted": True} if is_deleted else {})
    return json.dumps(entry, separators=(",", ":")) + "\n"
