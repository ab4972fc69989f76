"""The code of an experiment's trials: all of them run what its directories held when it began."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from nni import errors
from nni.manager.files import Files
from nni.records import description
from nni.storage import bundle

_log = logging.getLogger(__name__)


async def take(files: Files, directory: Path, limit: int, say: Callable[[str], None]) -> None:
    """Pack each distinct code directory once, or choose what an earlier start has packed and the volume still holds.

    Args:
        files: The experiment's; told which bundles its trials run.
        directory: The experiment's own.
        limit: Bytes of a code directory that travel at most.
        say: Told what is being done, and what the user should know.

    Raises:
        ConfigError: A directory that has to be packed cannot be.
        RecordsError: What an earlier start has packed is not known any more.
        VolumeError: The volume does not say what it holds.
    """

    def warn(sentence: str) -> None:
        _log.warning("%s", sentence)
        say(sentence)

    say("Packing code")
    before = await asyncio.to_thread(description.read_code, directory)
    for place in files.code_directories:
        files.bundles[place] = await _choose(files, place, before.get(place), limit, warn)


async def _choose(
    files: Files, place: str, before: description.Code | None, limit: int, warn: Callable[[str], None]
) -> bundle.Packed:
    kept = None if before is None else bundle.Packed(digest=before.digest, length=before.length)
    is_there = kept is not None and await files.holds(kept)
    try:
        packed = await bundle.build(Path(place), limit)
    except errors.ConfigError as error:
        if kept is None or not is_there:
            raise
        said = "; ".join(problem.message for problem in error.problems)
        warn(f"The experiment keeps the code that it began with: {said}")
        return kept
    if kept is not None and packed.digest != kept.digest:
        if is_there:
            warn(f"The code in {place} has changed since the experiment began; the experiment keeps the snapshot.")
            return kept
        warn(
            f"The code that the experiment began with, of {place}, is not on the volume any more; further trials run "
            "what is there now."
        )
    for warning in packed.warnings:
        warn(warning)
    return packed


async def upload(files: Files, directory: Path) -> None:
    """Put what trials need on the volume, and note which code it is: before the first of them can run.

    Args:
        files: The experiment's, with their bundles.
        directory: The experiment's own.

    Raises:
        RecordsError: It cannot be noted.
        VolumeError: The volume does not take it.
    """
    await files.upload()
    code = {place: description.Code(packed.digest, packed.length) for place, packed in files.bundles.items()}
    await asyncio.to_thread(description.write_code, directory, code)
