"""Where the archive begins."""

import os
from typing import Sequence

from nni.runtime import fetch, replica


def main(argv: Sequence[str], archive: str) -> int:
    """Run one replica.

    Args:
        argv: Arguments of the script (``nni.wire.script``); ``fetch`` alone where the script has to be fetched first.
        archive: Path of the archive that is running.

    Returns:
        The command's exit code, 128 + n when signal n ended it; 126 when it could not be started.
    """
    if list(argv) == ["fetch"]:
        return fetch.run(os.environ)
    return replica.run(argv, archive)
