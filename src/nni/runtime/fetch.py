"""What comes before the script where there is no shared volume: its files are fetched from the intake.

The container's command brought this archive here. What is fetched stands in the pod's own directory as it would on a
shared volume, so that the script and all that follows need not know the difference.
"""

import functools
import os
import random
import signal
import sys
import time
from typing import Any, Callable, Mapping, TypeVar

from nni import errors
from nni.runtime import post, remote, settings
from nni.wire import intake, layout

_SECONDS = 120.0
"""How long the intake is tried."""
_LONGEST_PAUSE = 5.0
_CANNOT_START = 126

_T = TypeVar("_T")


def run(environ: Mapping[str, str]) -> int:
    """Fetch what this replica needs and give way to its script; return an exit code when that cannot be.

    Args:
        environ: The container's environment.
    """
    # The first process of a container takes no notice of a signal that it has no handler for.
    signal.signal(signal.SIGTERM, _leave)
    try:
        script = _fetch(environ)
    except errors.TrialError as error:
        sys.stderr.write(f"nni: this trial cannot start: {error}\n")
        return _CANNOT_START
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        os.execvpe("sh", ["sh", script], dict(environ))  # noqa: S606, S607 - the image's own shell
    except OSError as error:
        sys.stderr.write(f"nni: this trial cannot start: the image has no sh on its PATH ({error.strerror}).\n")
    return _CANNOT_START


def _leave(number: int, frame: Any) -> None:
    os._exit(128 + number)


def _fetch(environ: Mapping[str, str]) -> str:
    """Fetch everything and return the script's path."""
    try:
        volume, experiment, trial = (environ[name] for name in ("NNI_VOLUME", "NNI_EXP_ID", "NNI_TRIAL_JOB_ID"))
        attempt, role = int(environ["NNI_TRIAL_ATTEMPT"]), environ["NNI_ROLE"]
        index = int(environ.get("NNI_REPLICA_INDEX") or "0")
    except (KeyError, ValueError) as error:
        raise errors.TrialError(f"the container's environment does not say who it is: {error}") from error
    url = settings.url(environ)
    path = intake.path(experiment, trial, attempt, role, index)
    connection = post.Post(url, path, settings.token(environ), settings.fingerprint(environ))
    files = remote.Remote(connection)
    until = time.monotonic() + _SECONDS
    try:
        for needed in _insist(files.needed, url, until):
            target = os.path.join(volume, needed.path)
            _check_inside(volume, target)
            _insist(functools.partial(files.fetch, needed, target), url, until)
    finally:
        files.close()
    return os.path.join(volume, layout.attempt(experiment, trial, attempt), layout.script(role))


def _insist(call: Callable[[], _T], url: str, until: float) -> _T:
    """Repeat a call while the intake does not answer."""
    pause = 0.1
    while True:
        try:
            return call()
        except remote.RefusedError as error:
            raise errors.TrialError(f"the manager at {url} {error.strerror}") from error
        except post.TlsError as error:
            raise errors.TrialError(f"the manager at {url} {error}") from error
        except OSError as error:
            if time.monotonic() >= until:
                raise errors.TrialError(
                    f"its files cannot be fetched from the manager at {url} ({error}); let pods reach that address, "
                    "set nni_manager_ip, or use a storage that pods can mount"
                ) from error
        # Many pods that lost the same manager must not come back in step.
        time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
        pause = min(2 * pause, _LONGEST_PAUSE)


def _check_inside(volume: str, target: str) -> None:
    root = os.path.realpath(volume)
    if os.path.commonpath([root, os.path.realpath(target)]) != root:
        raise errors.TrialError(f"the manager names {target}, which is not in the pod's own directory")
