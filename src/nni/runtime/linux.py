"""What only Linux offers. Each function says whether it worked; the runtime does without it elsewhere."""

import contextlib
import importlib
import os
from typing import List

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Make orphans of the command our children, as they are of a pod's first process."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> bool:
    """Keep other processes of the same user out of our memory and environment."""
    return _prctl(_PR_SET_DUMPABLE, 0)


def blank_environment(name: str) -> bool:
    """Overwrite a variable's value where ``/proc/<pid>/environ`` shows the environment that we were started with."""
    try:
        with open("/proc/self/environ", "rb") as file:
            block = b"\0" + file.read()
        start = block.find(b"\0" + name.encode("ascii") + b"=")
        if start < 0:
            return True
        value = start + len(name) + 2
        length = block.index(b"\0", value) - value
        with open("/proc/self/stat", "rb") as file:
            # Field 50, env_start; the fields from the third on stand behind the name in brackets.
            address = int(file.read().rpartition(b")")[2].split()[47])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(address + value - 1)
            memory.write(b"x" * length)
    except (OSError, ValueError, IndexError):
        return False
    return True


def children() -> List[int]:
    """Return the process ids of all our children; none where the kernel does not tell."""
    found: List[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children", "rb") as file:
                found += [int(pid) for pid in file.read().split()]
    return found


def _prctl(option: int, value: int) -> bool:
    try:
        # Slim builds of Python come without ctypes.
        ctypes = importlib.import_module("ctypes")
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False
