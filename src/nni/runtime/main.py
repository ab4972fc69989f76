"""Where the archive begins."""

import os
from typing import Sequence

from nni.runtime import fetch, porter, replica


def main(argv: Sequence[str], archive: str) -> int:
    """Run one replica, or a porter.

    Args:
        argv: Arguments of the script (``nni.wire.script``); ``fetch`` alone where the script has to be fetched first,
            ``porter`` alone in a pod that is one.
        archive: Path of the archive that is running.

    Returns:
        The command's exit code, 128 + n when signal n ended it; 126 when it could not be started.
    """
    if list(argv) == ["fetch"]:
        return fetch.run(os.environ)
    if list(argv) == ["porter"]:
        return porter.run(os.environ)
    return replica.run(argv, archive)
