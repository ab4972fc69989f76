"""Unpacks the code directory. Nothing in a bundle can get out of the directory that it is unpacked to."""

import os
import tarfile
import time

from nni import errors


def unpack(path: str, directory: str) -> None:
    """Unpack a bundle to a directory that exists and is empty.

    Raises:
        TrialError: The bundle is missing, broken, or tries to leave the directory.
    """
    try:
        with tarfile.open(path, "r:gz") as bundle:
            if hasattr(tarfile, "data_filter"):
                bundle.extraction_filter = getattr(tarfile, "fully_trusted_filter")  # noqa: B009
            for member in bundle:
                _extract(bundle, member, directory)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise errors.TrialError(f"the code directory cannot be unpacked from {path}: {error}") from error


def _extract(bundle: tarfile.TarFile, member: tarfile.TarInfo, directory: str) -> None:
    # Our own check, on every Python: the one of tarfile is missing from 3.8 images that were never updated.
    target = os.path.join(directory, member.name)
    _check(directory, os.path.dirname(target) if member.issym() else target, member)
    if member.issym():
        _check(directory, os.path.join(os.path.dirname(target), member.linkname), member)
    elif member.islnk():
        _check(directory, os.path.join(directory, member.linkname), member)
    elif not member.isfile() and not member.isdir():
        raise errors.TrialError(f"the bundle holds {member.name}, which is no file, directory or link")
    # Bundles have no times of their own; a file from 1970 cannot be zipped and seems older than its outputs.
    member.mtime = time.time()
    member.mode = (member.mode & 0o755) | (0o700 if member.isdir() else 0o600)
    member.uid = os.getuid()
    member.gid = os.getgid()
    member.uname = member.gname = ""
    bundle.extract(member, directory)


def _check(directory: str, path: str, member: tarfile.TarInfo) -> None:
    """Follow what has been unpacked so far, links included."""
    root = os.path.realpath(directory)
    if os.path.commonpath([root, os.path.realpath(path)]) != root:
        raise errors.TrialError(f"the bundle holds {member.name}, which leads out of the code directory")
