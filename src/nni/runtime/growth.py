"""Files that have only grown since they were copied: what is there of them already is not copied again."""

import hashlib
from typing import Any, BinaryIO, NamedTuple, Optional, Tuple

_PIECE = 1 << 20


class Version(NamedTuple):
    """What a file held when it was copied."""

    size: int
    digest: bytes
    """sha256."""


def opening(file: BinaryIO, size: int, before: Optional[Version]) -> Tuple[int, Any]:
    """Return where to go on with a file of so many bytes: behind what it held before, or else at its beginning.

    The file stands there. What is returned beside is a sha256 of what is in front of it, to be gone on with.
    """
    if before is not None and before.size < size:
        hashed = hashlib.sha256()
        if take(file, before.size, hashed) and hashed.digest() == before.digest:
            return before.size, hashed
        file.seek(0)
    return 0, hashlib.sha256()


def take(file: BinaryIO, size: int, hashed: Any) -> bool:
    """Go on with a sha256 by so many bytes of a file; return whether it has them."""
    while size > 0:
        part = file.read(min(size, _PIECE))
        if not part:
            return False
        hashed.update(part)
        size -= len(part)
    return True
