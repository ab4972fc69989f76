"""Files at the intake, for a replica that shares no volume with the manager."""

import hashlib
import os
import socket
import sys
import time
from typing import BinaryIO, Callable, Dict, List, Mapping, Optional

from nni import errors
from nni.runtime import files, growth, post
from nni.wire import files as wire
from nni.wire import report

_REQUEST_SECONDS = 30.0
_PAUSE_SECONDS = 0.5
_FULL = 507
_CHANGED = 422


class RefusedError(OSError):
    """The intake answered that it will not; the same request would be refused again."""


class NoRoomError(RefusedError):
    """There is no room for it.

    Args:
        reason: What the intake said.
        left: Bytes that the trial may still leave; None when the manager's disk is full, which may be over soon.
    """

    def __init__(self, reason: str, left: Optional[int]) -> None:
        super().__init__(_FULL, reason)
        self.left = left


class Remote:
    """Reads and writes the trial's files at the intake. To be used by one thread.

    Args:
        connection: Sends requests below the replica's path.
    """

    def __init__(self, connection: post.Post) -> None:
        self._connection = connection

    def needed(self) -> List[wire.Needed]:
        """Return what this replica needs.

        Raises:
            RefusedError: It is not let in.
            OSError: The intake does not answer.
        """
        status, body = self._connection.request(post.Request("GET", wire.ROOM, limit=64 * wire.PIECE), _REQUEST_SECONDS)
        if status != 200:
            raise _refusal(status, body)
        try:
            return wire.decode_list(body)
        except errors.WireError as error:
            raise ConnectionError(str(error)) from error

    def fetch(self, needed: wire.Needed, target: str) -> None:
        """Write a file, whole and as it was announced; what is there of it already is not fetched again.

        Raises:
            RefusedError: It is not there, or changes all the time.
            OSError: The intake does not answer, or there is no room.
        """
        if _digest_of(target) == needed.sha256:
            return
        files.make_parents(target)
        # Of this process alone: other pods may have the same directory.
        part = "%s.%s-%d.part" % (target, socket.gethostname(), os.getpid())
        with open(part, "ab") as file:
            while file.tell() < needed.size:
                self._fetch_piece(needed, file)
        if _digest_of(part) != needed.sha256:
            os.unlink(part)
            raise ConnectionError(f"{needed.path} is not what was announced")
        os.replace(part, target)

    def _fetch_piece(self, needed: wire.Needed, file: BinaryIO) -> None:
        start = file.tell()
        headers = {"Range": "bytes=%d-%d" % (start, min(start + 4 * wire.PIECE, needed.size) - 1)}
        request = post.Request("GET", _path(needed.path), headers=headers, limit=4 * wire.PIECE)
        status, body = self._connection.request(request, _REQUEST_SECONDS)
        if status != 206:
            raise _refusal(status, body)
        if not body:
            raise ConnectionError(f"{needed.path} ends early")
        file.write(body)

    def append(self, path: str, offset: int, content: bytes) -> int:
        """Append to a growing file; return its size, from which to go on.

        Raises:
            RefusedError: It will not be taken.
            OSError: The intake does not answer.
        """
        return self._send("PATCH", path, offset, content, {})

    def put(
        self,
        path: str,
        source: str,
        size: int,
        is_late: Callable[[], bool],
        before: Optional[growth.Version] = None,
    ) -> Optional[growth.Version]:
        """Send the first ``size`` bytes of a file as a whole; return what they were once that is there.

        It is not when the time is over, or when it changed while it was sent. When it begins with what was sent
        before, the rest of it is sent alone.

        Raises:
            RefusedError: It will not be taken.
            OSError: The file cannot be read, or the intake does not answer.
        """
        with open(source, "rb") as file:
            known, hashed = growth.opening(file, size, before)
            if not growth.take(file, size - known, hashed):
                return None
            headers = {wire.LENGTH: str(size), wire.WHOLE_DIGEST: wire.encode_digest(hashed.digest())}
            if before is not None and known:
                headers[wire.BASE_DIGEST] = wire.encode_digest(before.digest)
            while not is_late():
                file.seek(known)
                content = file.read(min(wire.PIECE, size - known))
                try:
                    known = self._send("PUT", path, known, content, headers)
                except RefusedError as refused:
                    if refused.errno == _CHANGED:
                        return None
                    raise
                if known >= size:
                    return growth.Version(size, hashed.digest())
                if not content:
                    return None
        return None

    def delete(self, path: str) -> None:
        """Delete a file; nothing happens when it does not exist.

        Raises:
            RefusedError: It may not be deleted.
            OSError: The intake does not answer.
        """
        status, body = self._connection.request(post.Request("DELETE", _path(path)), _REQUEST_SECONDS)
        if status != 200:
            raise _refusal(status, body)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _send(self, method: str, path: str, offset: int, content: bytes, headers: Mapping[str, str]) -> int:
        digest = wire.encode_digest(hashlib.sha256(content).digest())
        stated = dict(headers, **{wire.OFFSET: str(offset), wire.DIGEST: digest})
        request = post.Request(method, _path(path), content, stated)
        status, body = self._connection.request(request, _REQUEST_SECONDS)
        if status not in (200, 409):
            raise _refusal(status, body)
        try:
            return wire.decode_size(body)
        except errors.WireError as error:
            raise ConnectionError(str(error)) from error


class Sink:
    """Where a sweep sends files: below one directory at the intake.

    Args:
        remote: For the sweep's thread alone.
        directory: On the volume.
        beside: A directory here whose files get there without this sweep: what the command puts into it under some name
            is not written over by what it has under the same name elsewhere. Empty for none.
    """

    insists = True
    advice = ""

    def __init__(self, remote: Remote, directory: str, beside: str = "") -> None:
        self._beside = beside
        self._remote = remote
        self._directory = directory
        self._sent: Dict[str, growth.Version] = {}

    def put(self, source: str, name: str, size: int, is_late: Callable[[], bool]) -> bool:
        """Send a file; return whether it is there. Raises RefusedError when that is not for time to mend."""
        try:
            sent = self._remote.put(f"{self._directory}/{name}", source, size, is_late, self._sent.get(name))
        except RefusedError:
            raise
        except FileNotFoundError:
            return True
        except OSError:
            time.sleep(_PAUSE_SECONDS)
            return False
        if sent is None:
            return False
        self._sent[name] = sent
        return True

    def is_taken(self, name: str) -> bool:
        """Return whether the command has put something there."""
        return bool(self._beside) and os.path.lexists(os.path.join(self._beside, name))

    def gone(self, name: str) -> bool:
        """Delete a file that is gone here; return whether it is gone there."""
        self._sent.pop(name, None)
        try:
            self._remote.delete(f"{self._directory}/{name}")
        except RefusedError:
            return True
        except OSError:
            time.sleep(_PAUSE_SECONDS)
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self._remote.close()


def _path(path: str) -> str:
    return wire.ROOM + "/" + wire.quote(path)


def _refusal(status: int, body: bytes) -> OSError:
    reason = "answers %d: %s" % (status, _sentence(body))
    if status == _FULL:
        return NoRoomError(reason, wire.decode_left(body))
    # What is wrong on the other side or on the way may be over soon; what is wrong with the request is not.
    if status in (408, 412, 429) or status >= 500:
        return ConnectionError(reason)
    return RefusedError(status, reason)


def _sentence(body: bytes) -> str:
    try:
        return str(report.parse(body)["error"]).rstrip(".")
    except (errors.WireError, LookupError, TypeError):
        return body[:300].decode("utf-8", "replace").strip()


def _digest_of(path: str) -> Optional[str]:
    """Return the sha256 of a file; None when it is not there."""
    hashed = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            growth.take(file, sys.maxsize, hashed)
    except FileNotFoundError:
        return None
    return hashed.hexdigest()
