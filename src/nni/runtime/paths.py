"""What volumes have in common, on both sides: which paths there are, and how errors are told."""

import errno
import os
import secrets
from typing import List

from nni import errors

TEMPORARY = ".nni-put-"
"""How the names of files begin that are being written; no volume lists them."""

_CAUSES = {
    errno.ENOSPC: "no space is left on it: make room",
    errno.EDQUOT: "its quota is used up: make room or raise the quota",
    errno.EROFS: "it is read-only: export or mount it writable",
    errno.ESTALE: "its file handle is stale, so the export was replaced or removed: mount it again",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.EISDIR: "it is a directory",
    errno.ENOENT: "it does not exist",
    errno.ENAMETOOLONG: "a name in it is too long",
    errno.ETIMEDOUT: "the storage server does not answer",
}


def names(path: str) -> List[str]:
    """Return the names of a path below a volume's root.

    Raises:
        VolumeError: It could lead out of the volume.
    """
    found = [name for name in path.split("/") if name not in ("", ".")]
    if path.startswith("/") or ".." in found or "\0" in path:
        raise errors.VolumeError(f"{path!r} is not a path on the volume: it has to stay below the root.")
    return found


def temporary() -> str:
    """Return a name for a file that is being written."""
    return TEMPORARY + secrets.token_hex(8)


def cause(error: OSError) -> str:
    """Return what an error means and how it is mended, to stand behind a colon."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"permission denied for user id {os.geteuid()}; on an NFS export with root_squash even root has no rights "
            "of its own, so let the exported directory be writable for others or for this user"
        )
    return _CAUSES.get(error.errno or 0) or (error.strerror or repr(error)).lower()
