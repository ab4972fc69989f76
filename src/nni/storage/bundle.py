"""The code directory, packed: content-addressed, and the same bytes for the same files.

Inside a git work tree git itself says which files belong to it; elsewhere ``.gitignore`` files are read here. On top
of both, ``.nniignore`` leaves more behind (what git leaves behind it cannot take back). ``.git`` and ``__pycache__``
never travel; other names that begin with a dot do.
"""

import asyncio
import contextlib
import dataclasses
import fnmatch
import gzip
import hashlib
import io
import os
import stat
import tarfile
import typing
import zlib
from collections.abc import Sequence
from pathlib import Path

from nni import errors
from nni.core import units
from nni.storage import listing

WARN_FILES = 2_000
WARN_BYTES = 20 << 20
REFUSE_BYTES = 300 << 20
_LARGEST = 10
_STORE, _FAST = 0, 1
"""Levels of gzip."""
_SAMPLE = 1 << 16
_WORTH = 0.9
"""The share to which compression has to bring a file's sample down."""
_KEYS = (
    ".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.ppk", "*.kdbx", "id_rsa", "id_dsa", "id_ecdsa",
    "id_ed25519", "credentials", "credentials.json", "kubeconfig", ".netrc", ".pypirc", ".npmrc", ".git-credentials",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A packed code directory: a snapshot, so that later edits change nothing."""

    digest: str
    """sha256 over names, kinds and contents: the bundle's name on the volume. Not that of the archive."""
    length: int
    """Bytes of the archive."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bundle(Packed):
    """One that is at hand."""

    content: bytes = dataclasses.field(repr=False)
    """tar.gz."""
    files: int
    size: int
    """Bytes, unpacked."""
    warnings: tuple[str, ...] = ()
    """Sentences for the user."""


class _Found(typing.NamedTuple):
    path: str
    """Relative to the code directory, with ``/``."""
    is_link: bool
    size: int


class _Gzip:
    """A gzip file whose level can change between members: what is compressed already is not compressed again."""

    def __init__(self, target: io.BytesIO) -> None:
        self._target = target
        self._level = _FAST
        self._written = 0
        self._member = self._new()

    def choose_level(self, content: bytes) -> None:
        """Choose the level for a file that comes next; for small ones it does not matter."""
        if len(content) < _SAMPLE:
            return
        middle = len(content) // 2
        sample = content[middle : middle + _SAMPLE]
        level = _STORE if len(zlib.compress(sample, _FAST)) > _WORTH * len(sample) else _FAST
        if level != self._level:
            self._member.close()
            self._level = level
            self._member = self._new()

    def write(self, content: bytes) -> int:
        """Take bytes of the archive."""
        self._written += len(content)
        return self._member.write(content)

    def tell(self) -> int:
        """Return how many bytes were taken."""
        return self._written

    def close(self) -> None:
        """Write the end."""
        self._member.close()

    def _new(self) -> gzip.GzipFile:
        return gzip.GzipFile(filename="", mode="wb", compresslevel=self._level, fileobj=self._target, mtime=0)


async def build(directory: Path, limit: int = REFUSE_BYTES) -> Bundle:
    """Pack a directory, in a thread.

    Args:
        directory: The code directory.
        limit: Bytes of content that travel at most.

    Raises:
        ConfigError: It is not there, is too large, or has a file that cannot travel; the message names it.
    """
    return await asyncio.to_thread(pack, directory, limit)


def pack(directory: Path, limit: int = REFUSE_BYTES) -> Bundle:
    """Pack a directory; see ``build``."""
    if not os.path.isdir(directory):  # noqa: PTH112 it raises no error
        raise _refused(
            f"The code directory {directory} is not a directory of this machine; the trials' code belongs there."
        )
    found, warnings = _survey(directory)
    total = sum(each.size for each in found)
    if total > limit:
        raise _refused(_too_large(directory, found, total, limit))
    if total > WARN_BYTES or len(found) > WARN_FILES:
        warnings.append(
            f"The code directory {directory} has {len(found):,} files of {units.format_size(total / 2**20)} in all; "
            "name in a .nniignore file there what trials do not need."
        )
    warnings += _about_nothing(directory, found)
    warnings += _about_keys(directory, found)
    manifest = hashlib.sha256()
    packed = io.BytesIO()
    size = 0
    with (
        contextlib.closing(_Gzip(packed)) as compressed,
        # It writes and tells, which is all that is asked of a file here.
        tarfile.open(fileobj=typing.cast(typing.IO[bytes], compressed), mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for each in found:
            member, content = _member(directory, each)
            compressed.choose_level(content)
            kind = "link" if member.issym() else f"{member.mode:o}"
            digest = hashlib.sha256(member.linkname.encode(errors="surrogateescape") or content).hexdigest()
            manifest.update(f"{kind} {digest} ".encode() + os.fsencode(each.path) + b"\0")
            archive.addfile(member, io.BytesIO(content))
            size += len(content)
    content = packed.getvalue()
    return Bundle(
        digest=manifest.hexdigest(),
        length=len(content),
        content=content,
        files=len(found),
        size=size,
        warnings=tuple(warnings),
    )


def _survey(directory: Path) -> tuple[list[_Found], list[str]]:
    """Return what travels, in order, and what is to be said about the rest."""
    listed, warnings = listing.files(directory)
    found = []
    for path in sorted(listed, key=os.fsencode):
        status = _status(directory / path)
        if status is None:
            continue
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            found.append(_Found(path, stat.S_ISLNK(status.st_mode), status.st_size))
        else:
            warnings.append(f"{directory / path} is neither a file nor a link, so it stays behind.")
    return found, warnings


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):  # git lists what was deleted but not committed
        return None
    except PermissionError as error:
        raise listing.unreadable(path, error) from error


def _member(directory: Path, found: _Found) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(found.path)
    place = directory / found.path
    if found.is_link:
        member.type, member.linkname = tarfile.SYMTYPE, _target(directory, place)
        return member, b""
    try:
        with place.open("rb") as file:
            content = file.read()
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise listing.unreadable(place, error) from error
    member.mode = 0o755 if mode & 0o111 else 0o644
    member.size = len(content)
    return member, content


def _target(directory: Path, link: Path) -> str:
    """Return where a link leads, relative to itself: the directory will be somewhere else."""
    top = directory.absolute()
    here = top / link.relative_to(directory).parent
    written = link.readlink()
    target = Path(os.path.normpath(here / written))
    if not target.is_relative_to(top):
        # An absolute link may name the same directory by another path.
        real_top = top.resolve()
        if not (written.is_absolute() and target.is_relative_to(real_top)):
            raise _leaves(link, written)
        target = top / target.relative_to(real_top)
    if not Path(os.path.realpath(link)).is_relative_to(top.resolve()):
        raise _leaves(link, written)
    return os.path.relpath(target, here)


def _leaves(link: Path, target: Path) -> errors.ConfigError:
    return _refused(
        f"The link {link} leads out of the code directory, to {target}; copy what it names into the directory, or name "
        "the link in .nniignore."
    )


def _about_nothing(directory: Path, found: Sequence[_Found]) -> list[str]:
    """Return what is to be said where ignore files leave everything behind, but for themselves."""
    behind = set(os.listdir(directory)) - listing.NEVER - {*listing.IGNORING}  # noqa: PTH208 names are all that matters
    asked = [str(directory / name) for name in listing.IGNORING if (directory / name).is_file()]
    if not behind or not asked or any(each.path.rpartition("/")[2] not in listing.IGNORING for each in found):
        return []
    return [
        f"Nothing of the code directory {directory} travels: the patterns in {' and '.join(asked)} leave all of it "
        "behind, so trials find none of their files; take out those that go too far."
    ]


def _about_keys(directory: Path, found: Sequence[_Found]) -> list[str]:
    """Return what is to be said of files that look like keys: whoever sees the volume sees them."""
    names = [
        each.path for each in found if any(fnmatch.fnmatchcase(each.path.rpartition("/")[2], one) for one in _KEYS)
    ]
    if not names:
        return []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [
        f"The code directory {directory} holds {', '.join(names[:3])}{more}, which look like keys and travel to the "
        "volume; name them in a .nniignore file there, or use a Secret of the cluster."
    ]


def _too_large(directory: Path, found: Sequence[_Found], total: int, limit: int) -> str:
    largest = sorted(found, key=lambda each: each.size, reverse=True)[:_LARGEST]
    names = ", ".join(f"{each.path} ({units.format_size(each.size / 2**20)})" for each in largest)
    return (
        f"The code directory {directory} has {units.format_size(total / 2**20)}, and at most "
        f"{units.format_size(limit / 2**20)} travel with a trial; move data elsewhere, name it in .nniignore, or raise "
        "trial_code_limit. "
        f"The largest files are {names}."
    )


def _refused(message: str) -> errors.ConfigError:
    return errors.ConfigError([errors.Problem("", message)])
