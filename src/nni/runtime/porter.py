"""The porter: does on a claim what the manager cannot, because it does not have the claim."""

import os
import random
import signal
import sys
import time
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from nni import errors
from nni.runtime import post, settings, tree
from nni.wire import errand

_REQUEST_SECONDS = errand.HOLD_SECONDS + 40.0
_LOST_SECONDS = 60.0
"""A manager that does not answer for so long has gone, and whoever comes after it makes a porter of its own."""
_LONGEST_PAUSE = 5.0
_REFUSED = (400, 401, 403, 404)
_GO = 410
_FAILED = 1

Exchange = Callable[[bytes], Tuple[int, bytes]]
"""Posts answers; returns status and body of what the intake says."""


def run(environ: Mapping[str, str]) -> int:
    """Do errands until there is nobody any more who has some; return the container's exit code.

    Args:
        environ: The container's environment.
    """
    # The first process of a container takes no notice of a signal that it has no handler for.
    signal.signal(signal.SIGTERM, _leave)
    try:
        root, experiment, scope = (environ[name] for name in ("NNI_VOLUME", "NNI_EXP_ID", "NNI_PORTER_SCOPE"))
        url = settings.url(environ)
    except (KeyError, errors.TrialError) as error:
        return _say(f"the environment does not say what a porter has to know: {error}")
    connection = post.Post(url, errand.path(experiment), settings.token(environ), settings.fingerprint(environ))

    def exchange(body: bytes) -> Tuple[int, bytes]:
        return connection.request(post.Request("POST", body=body, limit=errand.MOST_BYTES + 1), _REQUEST_SECONDS)

    porter = Porter(tree.Tree(root), scope)
    try:
        return serve(porter, exchange, url)
    finally:
        connection.close()


class Porter:
    """Does errands.

    Args:
        volume: The claim.
        scope: The directory that errands stay in: one experiment's files, whatever else is on the claim.
    """

    def __init__(self, volume: tree.Tree, scope: str) -> None:
        self._volume = volume
        self._scope = [name for name in scope.split("/") if name]

    def do(self, wanted: errand.Errand) -> errand.Answer:
        """Do an errand; what goes wrong is the answer."""
        try:
            self._check(wanted.path)
            if wanted.verb == "rename":
                self._check(wanted.target)
            if wanted.verb == "read":
                content = self._volume.read(wanted.path, wanted.offset, wanted.limit)
                return errand.Answer(wanted.number, content=content)
            return errand.Answer(wanted.number, self._act(wanted))
        except errors.VolumeError as error:
            is_denied = isinstance(error.__cause__, PermissionError)
            return errand.Answer(wanted.number, error=str(error), is_denied=is_denied)

    def _act(self, wanted: errand.Errand) -> Any:
        volume, path = self._volume, wanted.path
        acts: Dict[str, Callable[[], Any]] = {
            "delete": lambda: volume.delete(path),
            "list": lambda: volume.list(path),
            "make": lambda: volume.make(path),
            "put": lambda: volume.put(path, wanted.content),
            "rename": lambda: volume.rename(path, wanted.target),
            "stat": lambda: volume.stat(path),
            "usage": lambda: volume.usage(path),
        }
        return acts[wanted.verb]()

    def _check(self, path: str) -> None:
        names = [name for name in path.split("/") if name not in ("", ".")]
        if names[: len(self._scope)] != self._scope:
            raise errors.VolumeError(f"{path!r} is not in {'/'.join(self._scope)}, and this porter goes nowhere else.")


def serve(porter: Porter, exchange: Exchange, url: str, lost_seconds: float = _LOST_SECONDS) -> int:
    """Ask for errands and do them, until told to go; return the container's exit code.

    Args:
        porter: Does them.
        exchange: Asks for them, and takes the answers along.
        url: How messages call the manager.
        lost_seconds: How long a manager that does not answer is tried.
    """
    answers: List[errand.Answer] = []
    heard, pause = time.monotonic(), 0.1
    while True:
        try:
            status, body = exchange(_body(answers))
            if status == _GO:
                return 0
            if status in _REFUSED:
                return _say(f"the manager at {url} answers {status}: it has no use for this porter")
            errands = _errands(status, body)
        except OSError as error:
            if time.monotonic() - heard > lost_seconds:
                return _say(f"the manager at {url} does not answer: {error}")
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not all at once
            pause = min(2 * pause, _LONGEST_PAUSE)
            continue
        heard, pause = time.monotonic(), 0.1
        answers = [porter.do(wanted) for wanted in errands]
        heard = time.monotonic()


def _body(answers: Sequence[errand.Answer]) -> bytes:
    body = errand.encode_answers(answers)
    if len(body) <= errand.MOST_BYTES:
        return body
    why = "The answer is too large to be sent: it has too many names."
    return errand.encode_answers(errand.Answer(answer.number, error=why) for answer in answers)


def _errands(status: int, body: bytes) -> List[errand.Errand]:
    if status == 204:
        return []
    if status != 200:
        raise ConnectionError("answers %d" % status)
    try:
        return errand.decode_errands(body)
    except errors.WireError as error:
        raise ConnectionError(str(error)) from error


def _leave(number: int, frame: object) -> None:
    os._exit(128 + number)


def _say(sentence: str) -> int:
    sys.stderr.write(f"nni: the porter ends: {sentence}\n")
    return _FAILED
