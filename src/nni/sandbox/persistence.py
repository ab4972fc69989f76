"""The objects of a sandbox in a directory, so that its next run has them: a journal of every write, one JSON a line.

Processes do not outlive a run. A pod that had a node and had not ended is told as lost, in the words that Kubernetes
has for containers that it cannot find after a restart of their node.
"""

import contextlib
import fcntl
import json
import logging
import pathlib
from collections.abc import Iterator
from typing import IO

from nni import errors
from nni.sandbox import kinds, schema, store, times

_JOURNAL = "objects.jsonl"
_NOT_KEPT = (kinds.NODE.resource, kinds.EVENT.resource)
"""Nodes are declared anew by each run's options, and events are short-lived everywhere."""
_LOST = "The container could not be located when the pod was terminated"
_Entry = tuple[str, store.Key]

_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def kept(folder: pathlib.Path, objects: store.Store, now: times.Now) -> Iterator[None]:
    """Fill a new store with the objects of a directory, and write there whatever it stores from now on.

    Raises:
        SandboxError: the directory cannot be used, or another sandbox uses it.
    """
    with _open(folder) as file:
        _lock(file, folder)
        _restore(objects, _read(file, folder / _JOURNAL), now)
        _rewrite(file, objects)
        objects.listeners.append(_Journal(file).write)
        yield
        objects.close()


class _Journal:
    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._is_broken = False

    def write(self, resource: str, change: store.Change) -> None:
        """Append a write; after the first that fails nothing more is kept, and the sandbox works on."""
        if resource in _NOT_KEPT or self._is_broken:
            return
        try:
            self._file.write(_line(resource, change.object, is_deleted=change.happening == "DELETED"))
            self._file.flush()
        except OSError as error:
            self._is_broken = True
            _logger.error("the state of the sandbox is no longer kept in %s: %s", self._file.name, error.strerror)  # noqa: TRY400


def _open(folder: pathlib.Path) -> IO[str]:
    path = folder / _JOURNAL
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        return path.open("r+", encoding="utf-8")
    except OSError as error:
        raise errors.SandboxError(f"The directory {folder} cannot be used for --state: {error.strerror}.") from error


def _lock(file: IO[str], folder: pathlib.Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise errors.SandboxError(f"Another sandbox uses the directory {folder}; give another --state.") from error


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
    is_over = pod["status"].get("phase") in ("Succeeded", "Failed")
    return bool(pod["spec"].get("nodeName")) and not is_over


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
    for part in ("containerStatuses", "initContainerStatuses"):
        if part in state:
            state[part] = [
                each if "terminated" in each["state"] else {**each, "ready": False, "state": {"terminated": ended}}
                for each in state[part]
            ]
    return {**pod, "status": state}


def _rewrite(file: IO[str], objects: store.Store) -> None:
    file.seek(0)
    file.truncate()
    file.writelines(_line(resource, found) for resource, found in objects.everything())
    file.flush()


def _line(resource: str, found: schema.Object, *, is_deleted: bool = False) -> str:
    kept_object = {"metadata": found["metadata"]} if is_deleted else found
    entry = {"resource": resource, "object": kept_object} | ({"deleted": True} if is_deleted else {})
    return json.dumps(entry, separators=(",", ":")) + "\n"
