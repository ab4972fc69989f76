"""``nnictl experiment delete``: what an experiment left, on its volume and on this machine."""

import argparse
import os
import shutil
import sys
from typing import TYPE_CHECKING

from nni import errors

if TYPE_CHECKING:
    from nni.records import registry


def add_parser(group: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to those of ``experiment``."""
    deleting = group.add_parser("delete", help="delete an ended experiment: its files on the volume, its records here")
    deleting.add_argument("id", help="the experiment's id or its beginning")
    deleting.add_argument("-y", "--yes", action="store_true", help="do not ask")
    deleting.add_argument("--keep-volume", action="store_true", help="delete only what is on this machine")
    deleting.set_defaults(run=delete)


def delete(arguments: argparse.Namespace) -> int:
    """Show what there is, ask, and delete it."""
    import asyncio  # noqa: PLC0415 the verbs that need them load them

    from nni.records import registry  # noqa: PLC0415

    listed = registry.Registry(registry.default_directory())
    known = listed.find(arguments.id)
    if known.is_alive:
        raise errors.ManagerError(f"Experiment {known.id} runs; stop it first: nnictl stop {known.id}")
    if not asyncio.run(_delete(known, is_sure=arguments.yes, keeps_volume=arguments.keep_volume)):
        print("Nothing is deleted.")
        return 1
    listed.remove(known.id)
    print(f"Experiment {known.id} is deleted.")
    return 0


async def _delete(known: "registry.Known", *, is_sure: bool, keeps_volume: bool) -> bool:
    import asyncio  # noqa: PLC0415
    import contextlib  # noqa: PLC0415

    from nni.core import model  # noqa: PLC0415
    from nni.manager import leftovers  # noqa: PLC0415

    finding = leftovers.found(known.directory, model.ExperimentId(known.id), os.environ, port=known.port + 1, say=_say)
    try:
        async with contextlib.nullcontext() if keeps_volume else finding as left:
            if left is not None:
                print(f"{_size(await left.size()):>10}  {left.where}")
            print(f"{_size(_local_size(known)):>10}  {known.directory}")
            if not is_sure and not await _agrees(known.id):
                return False
            if left is not None:
                await left.delete()
    except (errors.VolumeError, errors.PlatformError, errors.PlatformUnavailableError) as error:
        if leftovers.KEEPING in str(error):
            raise
        raise errors.VolumeError(f"{error} {leftovers.KEEPING}") from error
    # The records go last: without them nobody would know of what is left elsewhere.
    await asyncio.to_thread(shutil.rmtree, known.directory, ignore_errors=True)
    return True


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


async def _agrees(experiment_id: str) -> bool:
    if not sys.stdin.isatty():
        raise errors.ManagerError("Nobody can be asked here; add --yes to delete without a question.")
    print(f"Delete experiment {experiment_id}? [y/N] ", end="", flush=True)
    return (await _typed()).strip().lower() in ("y", "yes")


async def _typed() -> str:
    """Return the line that somebody types; a pod may be talked to meanwhile."""
    import asyncio  # noqa: PLC0415

    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


def _local_size(known: "registry.Known") -> int:
    return sum(path.lstat().st_size for path in known.directory.rglob("*") if not path.is_dir())


def _size(size: int) -> str:
    from nni.core import units  # noqa: PLC0415

    return units.format_size(size / 2**20)
