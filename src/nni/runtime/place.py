"""The places that a replica works in, and the environment that tells the command about them."""

import contextlib
import os
import tempfile
import zipfile
from typing import Dict, Mapping, NamedTuple

from nni import errors
from nni.runtime import bundle, settings, tree
from nni.wire import layout

_KEPT_FROM_COMMAND = ("NNI_TRIAL_TOKEN",)


class Place(NamedTuple):
    """Directories of this pod; all absolute, all exist."""

    pod: str
    is_ours: bool
    """Whether the pod directory was made by us, so that we remove it."""

    @property
    def code(self) -> str:
        """Where the runtime is extracted to: what the command imports nni from."""
        return os.path.join(self.pod, "runtime")

    @property
    def work(self) -> str:
        """The code directory, unpacked: where the command starts."""
        return os.path.join(self.pod, "work")

    @property
    def trial(self) -> str:
        """What NNI_SYS_DIR names."""
        return os.path.join(self.pod, "trial")


def make(given: str) -> Place:
    """Make the pod's directories, empty ones.

    Args:
        given: The pod's own directory; empty to make one.

    Raises:
        TrialError: There is nowhere to write.
    """
    try:
        pod = os.path.abspath(given) if given else tempfile.mkdtemp(prefix="nni-pod-")
        place = Place(pod, not given)
        for directory in (place.code, place.work, place.trial):
            # A container that was restarted in place finds what its predecessor left.
            tree.remove(directory)
            os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise errors.TrialError(f"there is no directory to work in: {error}") from error
    return place


def fill(place: Place, archive: str, told: settings.Settings) -> bytes:
    """Extract the runtime, unpack the code directory, fetch the parameter file and return its content.

    Raises:
        TrialError: One of them is missing or broken.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(place.code)
        # It is not a package's business to be run by the command.
        os.unlink(os.path.join(place.code, "__main__.py"))
    except (OSError, zipfile.BadZipFile) as error:
        raise errors.TrialError(f"the runtime cannot be extracted from {archive}: {error}") from error
    bundle.unpack(told.bundle_path, place.work)
    path = os.path.join(told.attempt_directory, layout.PARAMETERS)
    try:
        with open(path, "rb") as file:
            content = file.read()
        with open(os.path.join(place.trial, layout.PARAMETERS), "wb") as file:
            file.write(content)
    except OSError as error:
        raise errors.TrialError(f"the parameter file cannot be read from {path}: {error}") from error
    return content


def environment(given: Mapping[str, str], place: Place, told: settings.Settings, metric_socket: str) -> Dict[str, str]:
    """Return the command's environment: what the container got, without secrets, and what the trial needs."""
    found = {name: text for name, text in given.items() if name not in _KEPT_FROM_COMMAND}
    found.update(
        NNI_PLATFORM=told.platform,
        NNI_EXP_ID=told.experiment,
        NNI_TRIAL_JOB_ID=told.trial,
        NNI_TRIAL_SEQ_ID=str(told.sequence),
        NNI_TRIAL_ATTEMPT=str(told.attempt),
        NNI_ROLE=told.role,
        NNI_REPLICA_INDEX=str(told.replica),
        NNI_POD_DIR=place.pod,
        NNI_SYS_DIR=place.trial,
        NNI_CODE_DIR=place.work,
        NNI_OUTPUT_DIR=os.path.join(told.directory, layout.OUTPUT),
        NNI_CHECKPOINT_DIR=told.checkpoint,
        # So that a stock nni asks for no more parameters, and reports on standard output everywhere.
        MULTI_PHASE="false",
        REUSE_MODE="true",
    )
    if metric_socket:
        found["NNI_METRIC_SOCKET"] = metric_socket
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (place.code, given.get("PYTHONPATH"))))
    # Output is wanted while it runs; whoever set it otherwise knows why.
    found.setdefault("PYTHONUNBUFFERED", "1")
    found.update(_homes(given, place))
    return found


def remove(place: Place) -> None:
    """Remove the pod's directory if it was made by us."""
    if place.is_ours:
        tree.remove(place.pod)


def _homes(given: Mapping[str, str], place: Place) -> Dict[str, str]:
    """Return homes in the pod's directory in place of those that cannot be written."""
    home = given.get("HOME", "")
    cache = given.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    homes = {}
    if not _is_writable(home):
        homes["HOME"] = os.path.join(place.pod, "home")
    if not _is_writable(cache if os.path.exists(cache) else os.path.dirname(cache)):
        homes["XDG_CACHE_HOME"] = os.path.join(place.pod, "cache")
    for directory in homes.values():
        with contextlib.suppress(OSError):
            os.makedirs(directory, exist_ok=True)
    return homes


def _is_writable(directory: str) -> bool:
    # Asked by doing: permissions say little about root, and nothing about mounts that are read-only.
    try:
        with tempfile.TemporaryFile(dir=directory or os.devnull):
            return True
    except OSError:
        return False
