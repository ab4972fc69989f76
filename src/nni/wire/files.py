"""Files between pod and intake, for trials that share no volume with the manager.

All requests are below the replica's own path (``nni.wire.intake.path``):

- ``GET files`` lists what the replica needs;
- ``GET files/<path>`` gives a file, from the offset that a ``Range`` header names;
- ``PATCH files/<path>`` appends a piece to a file that grows;
- ``PUT files/<path>`` sends a piece of a whole file, which takes its place when its last piece is there;
- ``DELETE files/<path>`` removes a file, and the directories that this leaves empty.

``Upload-Offset`` says where a piece belongs, ``Content-Digest`` what it is; with PUT, ``Upload-Length`` and
``Repr-Digest`` say how long the whole is and what it is. The answer carries the size that is known by then, and the
sender goes on from there: any piece may be sent again. 409 is such an answer to a piece that begins above it.

``Upload-Base-Digest`` says that the whole begins with the file that is there, should that be the one of this digest: an
upload begins behind it then.
"""

import base64
import binascii
import json
import os
import re
import urllib.parse
from typing import List, NamedTuple, Optional, Sequence

from nni import errors
from nni.wire import report

ROOM = "/files"
PIECE = 1 << 20
"""Bytes that are sent at once, at most."""
OFFSET = "Upload-Offset"
LENGTH = "Upload-Length"
DIGEST = "Content-Digest"
WHOLE_DIGEST = "Repr-Digest"
BASE_DIGEST = "Upload-Base-Digest"

_SHA256 = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")


class Needed(NamedTuple):
    """A file that a replica has to have."""

    path: str
    """On the volume."""
    size: int
    sha256: str
    """In hexadecimal."""


def quote(path: str) -> str:
    """Return a path as a URL has it; bytes that are no UTF-8 pass."""
    return urllib.parse.quote(os.fsencode(path))


def unquote(text: str) -> str:
    """Return the path that a URL names."""
    return os.fsdecode(urllib.parse.unquote_to_bytes(text))


def encode_list(files: Sequence[Needed]) -> bytes:
    """Return the body of the answer to ``GET files``."""
    return json.dumps({"files": [dict(each._asdict(), path=quote(each.path)) for each in files]}).encode("ascii")


def decode_list(body: bytes) -> List[Needed]:
    """Check the answer to ``GET files``.

    Raises:
        WireError: It comes from something else than an intake.
    """
    content = report.parse(body)
    listed = content.get("files") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise errors.WireError("the answer lists no files")
    return [_needed(each) for each in listed]


def _needed(each: object) -> Needed:
    if isinstance(each, dict):
        path, size, sha256 = each.get("path"), each.get("size"), each.get("sha256")
        if isinstance(path, str) and isinstance(size, int) and isinstance(sha256, str):
            return Needed(unquote(path), size, sha256)
    raise errors.WireError("the answer lists something that is no file")


def encode_size(size: int) -> bytes:
    """Return the body of the answer to a piece."""
    return json.dumps({"size": size}).encode("ascii")


def decode_size(body: bytes) -> int:
    """Return how much of a file is known.

    Raises:
        WireError: The answer comes from something else than an intake.
    """
    content = report.parse(body)
    size = content.get("size") if isinstance(content, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise errors.WireError("the answer names no size")
    return size


def decode_left(body: bytes) -> Optional[int]:
    """Return how many bytes a trial may still leave, of the body of a 507; None when the disk is full."""
    try:
        left = report.parse(body)["left"]
    except (errors.WireError, LookupError, TypeError):
        return None
    return left if isinstance(left, int) else None


def encode_digest(digest: bytes) -> str:
    """Return a sha256 as RFC 9530 has it in a header."""
    return "sha-256=:" + base64.b64encode(digest).decode("ascii") + ":"


def decode_digest(header: Optional[str]) -> Optional[bytes]:
    """Return the sha256 of a header; None when it has none."""
    found = _SHA256.search(header or "")
    if found is None:
        return None
    try:
        return base64.b64decode(found.group(1), validate=True)
    except binascii.Error:
        return None
