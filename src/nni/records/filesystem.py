"""Which kind of file system a directory is on: SQLite's locks and its shared memory do not work over a network."""

import os
import subprocess
import sys
from pathlib import Path

from nni import errors

_NETWORK = frozenset({
    "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "fhgfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
    "nfs4", "ocfs2", "smb2", "smb3", "smbfs", "webdav",
})  # fmt: skip
_FUSE_NETWORK = frozenset({
    "beegfs", "blobfuse", "blobfuse2", "ceph", "gcsfuse", "glusterfs", "goofys", "juicefs", "mfs", "moosefs",
    "mount-s3", "rclone", "s3fs", "seaweedfs", "sshfs",
})  # fmt: skip


def refuse_network(directory: Path) -> None:
    """Make sure that a directory is on a local file system.

    Raises:
        RecordsError: It is on a network file system.
    """
    kind = kind_of(directory, _mounts())
    if kind in _NETWORK or (kind.startswith("fuse.") and kind.removeprefix("fuse.") in _FUSE_NETWORK):
        raise errors.RecordsError(
            f"The experiment's records cannot be kept in {directory}, which is on a network file system ({kind}): "
            "set experiment_working_directory to a local directory."
        )


def kind_of(directory: Path, mounts: dict[str, str]) -> str:
    """Return the type of the file system that a directory is on; empty when no mount point is known for it.

    Args:
        directory: Need not exist yet.
        mounts: Types by mount point; see ``parse_mountinfo`` and ``parse_mount``.
    """
    resolved = directory.resolve()
    for candidate in (resolved, *resolved.parents):
        if (kind := mounts.get(os.fspath(candidate))) is not None:
            return kind
    return ""


def parse_mountinfo(text: str) -> dict[str, str]:
    """Return file system types by mount point, from the text of Linux's ``/proc/self/mountinfo``.

    Of mounts on top of each other the last one counts.
    """
    mounts = {}
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) > 4:
            mounts[_unescape(fields[4])] = after.split(" ")[0]
    return mounts


def parse_mount(text: str) -> dict[str, str]:
    """Return file system types by mount point, from what macOS's ``mount`` prints."""
    mounts = {}
    for line in text.splitlines():
        place, separator, options = line.rpartition(" (")
        if separator and " on " in place:
            mounts[place.split(" on ", 1)[1]] = options.split(",")[0].rstrip(")")
    return mounts


def _mounts() -> dict[str, str]:
    if sys.platform == "darwin":
        printed = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False)
        return parse_mount(printed.stdout)
    try:
        return parse_mountinfo(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return {}


def _unescape(field: str) -> str:
    """Return a path as it is: mountinfo writes blanks and backslashes in octal."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
