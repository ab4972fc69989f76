"""Where a manager's log goes."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def to(path: Path, level: str, *, to_stderr: bool) -> Iterator[None]:
    """Write what this process logs to a file, and where a supervisor looks for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.FileHandler(path)]
    if to_stderr:
        handlers.append(logging.StreamHandler())
    logger = logging.getLogger("nni")
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
    logger.setLevel({"fatal": "CRITICAL", "trace": "DEBUG"}.get(level, level.upper()))
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
