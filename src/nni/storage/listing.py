"""Which files a code directory consists of."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from nni.storage import ignore

NEVER = frozenset({".git", "__pycache__"})
_GIT = ("git", "-c", "core.fsmonitor=false")


def files(directory: Path) -> tuple[list[str], list[str]]:
    """Return the paths of files and links below a directory that are not ignored, and warnings.

    Paths are relative, with ``/`` between names, in no order.
    """
    listed, warnings = _git_files(directory)
    if listed is None:
        return list(_walk(directory, "", ())), warnings
    return _without_ignored(directory, listed), warnings


def _git_files(directory: Path) -> tuple[list[str] | None, list[str]]:
    """Ask git; None when the directory is in no work tree, or git leaves all of it behind."""
    try:
        inside = _git(directory, "rev-parse", "--is-inside-work-tree")
        if inside.returncode:
            doubtful = b"dubious ownership" in inside.stderr
            return None, [_DOUBTFUL.format(directory=directory)] if doubtful else []
        if inside.stdout.strip() != b"true":
            return None, []
        listed = _git(directory, "ls-files", "-coz", "--exclude-standard")
    except FileNotFoundError:
        return None, []
    if listed.returncode:
        return None, []
    found: list[str] = []
    for name in sorted(set(filter(None, listed.stdout.split(b"\0")))):
        path = os.fsdecode(name).rstrip("/")
        if (directory / path).is_dir() and not (directory / path).is_symlink():
            # A repository in a repository: git names it and does not look inside.
            found.extend(f"{path}/{below}" for below in files(directory / path)[0])
        else:
            found.append(path)
    return [path for path in found if NEVER.isdisjoint(path.split("/"))] or None, []


_DOUBTFUL = (
    "{directory} belongs to another user, so git does not list its files and .gitignore is read without it; "
    "git config --global --add safe.directory mends that."
)


def _git(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [*_GIT, "-C", os.fspath(directory), *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL
    )


def _walk(directory: Path, below: str, outer: Sequence[ignore.Rule]) -> Iterator[str]:
    """Walk, pruning; ``.nniignore`` decides after ``.gitignore`` of the same directory."""
    here = directory / below
    rules = (*outer, *_rules(here / ".gitignore", below), *_rules(here / ".nniignore", below))
    with os.scandir(here) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        path = f"{below}/{entry.name}" if below else entry.name
        is_directory = entry.is_dir(follow_symlinks=False)
        if entry.name in NEVER or ignore.is_ignored(path, rules, is_directory=is_directory):
            continue
        if is_directory:
            yield from _walk(directory, path, rules)
        else:
            yield path


def _without_ignored(directory: Path, paths: Sequence[str]) -> list[str]:
    """Leave out what ``.nniignore`` files name, in whatever directory they are."""
    verdicts: dict[str, bool] = {}
    rules: dict[str, tuple[ignore.Rule, ...]] = {}

    def of(folder: str) -> tuple[ignore.Rule, ...]:
        if folder not in rules:
            outer = of(_above(folder)) if folder else ()
            rules[folder] = (*outer, *_rules(directory / folder / ".nniignore", folder))
        return rules[folder]

    def is_left_behind(folder: str) -> bool:
        if not folder:
            return False
        if folder not in verdicts:
            above = _above(folder)
            verdicts[folder] = is_left_behind(above) or ignore.is_ignored(folder, of(above), is_directory=True)
        return verdicts[folder]

    return [
        path
        for path in paths
        if not is_left_behind(_above(path)) and not ignore.is_ignored(path, of(_above(path)), is_directory=False)
    ]


def _above(path: str) -> str:
    parent = os.fspath(PurePosixPath(path).parent)
    return "" if parent == "." else parent


def _rules(file: Path, directory: str) -> tuple[ignore.Rule, ...]:
    try:
        return ignore.parse(file.read_text(encoding="utf-8", errors="surrogateescape"), directory)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ()
