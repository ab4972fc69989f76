"""Where the archive begins."""

from typing import Sequence

from nni.runtime import replica


def main(argv: Sequence[str], archive: str) -> int:
    """Run one replica.

    Args:
        argv: Arguments of the script (``nni.wire.script``).
        archive: Path of the archive that is running.

    Returns:
        The command's exit code, 128 + n when signal n ended it; 126 when it could not be started.
    """
    return replica.run(argv, archive)
