"""Memory limits without control groups: looking, ten times a second, at what a container's processes hold.

It is slower than the kernel: a process that takes gigabytes within a tenth of a second gets them first. What counts is
what the kernel would count and cannot give back: anonymous and shared memory, each shared page once.
"""

import contextlib
import pathlib

INTERVAL = 0.1
"""Seconds between two looks."""
_PROC = pathlib.Path("/proc")


def is_over(pid: int, limit: int) -> bool:
    """Say whether a process and its descendants hold more than ``limit`` bytes."""
    pids = tree(pid)
    # The quick sum counts the pages that forked processes share once each: only beyond the limit is it worth the exact
    # one, for which the kernel walks the page tables.
    quick = sum(_quick(each) for each in pids)
    return quick > limit and sum(_exact(each) for each in pids) > limit


def tree(pid: int) -> list[int]:
    """List a process and its descendants, as far as the kernel tells of children."""
    found, following = [], [pid]
    while following:
        each = following.pop()
        found.append(each)
        following += _children(each)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                text = (thread / "children").read_text(encoding="ascii")
                found += [int(each) for each in text.split()]
    return found


def _quick(pid: int) -> int:
    return _sum(_PROC / str(pid) / "status", ("RssAnon:", "RssShmem:"))


def _exact(pid: int) -> int:
    exact = _sum(_PROC / str(pid) / "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))
    return exact or _quick(pid)


def _sum(path: pathlib.Path, names: tuple[str, ...]) -> int:
    """Add up the lines of these names, which are in kB; 0 for a process that has gone."""
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(names))
    return 0
