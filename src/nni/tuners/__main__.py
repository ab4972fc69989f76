"""``python -m nni.tuners``: the tuner in a process of its own; started by the manager, ends when its input does."""

import os
import sys

from nni.tuners import desk


def main() -> int:
    """Serve the manager on the streams that this process was started with.

    A tuner, and whatever it calls, may print and may even read: its own standard output is standard error, which goes
    to a log, and its standard input is empty.
    """
    with os.fdopen(os.dup(0), "rb") as calls, os.fdopen(os.dup(1), "wb") as answers:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return desk.serve(calls, answers)


if __name__ == "__main__":
    sys.exit(main())
