"""Which files a code directory consists of."""

import errno
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from nni import errors
from nni.storage import ignore

_GITIGNORE, _NNIIGNORE = IGNORING = ".gitignore", ".nniignore"
NEVER = frozenset({".git", "__pycache__"})
# In a language that is read here: of all variables that choose one, the first that counts.
_GIT = ("env", "LC_ALL=C", "git", "-c", "core.fsmonitor=false")


def files(directory: Path) -> tuple[list[str], list[str]]:
    """Return the paths of files and links below a directory that are not ignored, and warnings.

    Paths are relative, with ``/`` between names, in no order.

    Raises:
        ConfigError: A directory or an ignore file cannot be read.
    """
    known, warnings = _known_to_git(directory)
    if known is None:
        return list(_walk(directory, "", ())), warnings
    behind = _LeftBehind(directory)
    for folder in known.closed:
        if not behind.folder(folder):
            raise unreadable(directory / folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    found = [path for path in known.files if not behind.file(path)]
    for folder in known.repositories:
        if not behind.folder(folder):
            below = [f"{folder}/{path}" for path in files(directory / folder)[0]]
            found += [path for path in below if not behind.file(path)]
    return found, warnings


def unreadable(path: Path, error: OSError) -> errors.ConfigError:
    """Return the error for a file or directory that may have to travel and cannot be read."""
    # Without the right to enter a directory nothing can be told of what is in it.
    closed = next((one for one in reversed(path.parents) if one.is_dir() and not os.access(one, os.X_OK)), path)
    otherwise = "remove it" if closed.name in (_GITIGNORE, _NNIIGNORE) else f"name it in {_NNIIGNORE}"
    message = (
        f"{closed} cannot be read ({error.strerror}), so the code directory cannot travel; make it readable "
        f"(chmod -R u+rX {shlex.quote(os.fspath(closed))}), or {otherwise}."
    )
    return errors.ConfigError([errors.Problem("", message)])


class _Known(NamedTuple):
    """What git knows of a directory."""

    files: Sequence[str]
    repositories: Sequence[str]
    """Repositories in it: git names them and does not look inside."""
    closed: Sequence[str]
    """Directories that it could not look into."""


def _known_to_git(directory: Path) -> tuple[_Known | None, list[str]]:
    """Ask git; None when the directory is in no work tree, or git leaves all of it behind."""
    inside = _git(directory, "rev-parse", "--is-inside-work-tree", "--show-prefix")
    if inside.returncode:
        doubtful = b"dubious ownership" in inside.stderr
        return None, [_DOUBTFUL.format(directory=directory)] if doubtful else []
    is_inside, prefix, *_ = inside.stdout.split(b"\n")
    if is_inside != b"true":
        return None, []
    listed = _git(directory, "ls-files", "-coz", "--exclude-standard")
    if listed.returncode:
        return None, []
    closed = [os.fsdecode(name.removeprefix(prefix)) for name in _UNOPENED.findall(listed.stderr)]
    paths: list[str] = []
    repositories: list[str] = []
    for name in sorted(set(filter(None, listed.stdout.split(b"\0")))):
        path = os.fsdecode(name).rstrip("/")
        if NEVER.isdisjoint(path.split("/")):
            place = directory / path
            is_repository = os.path.isdir(place) and not place.is_symlink()  # noqa: PTH112 it raises no error
            (repositories if is_repository else paths).append(path)
    if not paths and not repositories and not closed:
        return None, []
    return _Known(paths, repositories, closed), []


_UNOPENED = re.compile(rb"could not open directory '(.*)/': ")
_DOUBTFUL = (
    "{directory} belongs to another user, so git does not list its files and .gitignore is read without it; "
    "git config --global --add safe.directory mends that."
)


def _git(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [*_GIT, "-C", os.fspath(directory), *arguments],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _walk(directory: Path, below: str, outer: Sequence[ignore.Rule]) -> Iterator[str]:
    """Walk, pruning; ``.nniignore`` decides after ``.gitignore`` of the same directory."""
    here = directory / below
    rules = (*outer, *_rules(here / _GITIGNORE, below), *_rules(here / _NNIIGNORE, below))
    try:
        with os.scandir(here) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except PermissionError as error:
        raise unreadable(here, error) from error
    for entry in ordered:
        path = f"{below}/{entry.name}" if below else entry.name
        is_directory = entry.is_dir(follow_symlinks=False)
        if entry.name in NEVER or ignore.is_ignored(path, rules, is_directory=is_directory):
            continue
        if is_directory:
            yield from _walk(directory, path, rules)
        else:
            yield path


class _LeftBehind:
    """Says what ``.nniignore`` files name, in whatever directory they are."""

    def __init__(self, directory: Path) -> None:
        """Take the code directory."""
        self._directory = directory
        self._verdicts: dict[str, bool] = {}
        self._rules: dict[str, tuple[ignore.Rule, ...]] = {}

    def file(self, path: str) -> bool:
        """Return whether a file is left behind."""
        above = _above(path)
        return self.folder(above) or ignore.is_ignored(path, self._of(above), is_directory=False)

    def folder(self, path: str) -> bool:
        """Return whether a directory is left behind, and all that is in it."""
        if not path:
            return False
        if path not in self._verdicts:
            above = _above(path)
            self._verdicts[path] = self.folder(above) or ignore.is_ignored(path, self._of(above), is_directory=True)
        return self._verdicts[path]

    def _of(self, folder: str) -> tuple[ignore.Rule, ...]:
        if folder not in self._rules:
            outer = self._of(_above(folder)) if folder else ()
            self._rules[folder] = (*outer, *_rules(self._directory / folder / _NNIIGNORE, folder))
        return self._rules[folder]


def _above(path: str) -> str:
    parent = os.fspath(PurePosixPath(path).parent)
    return "" if parent == "." else parent


def _rules(file: Path, directory: str) -> tuple[ignore.Rule, ...]:
    try:
        return ignore.parse(file.read_bytes(), directory)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ()
    except PermissionError as error:
        raise unreadable(file, error) from error
