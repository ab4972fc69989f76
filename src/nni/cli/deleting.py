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
    deleting.set_defaults(run=delete)


def delete(arguments: argparse.Namespace) -> int:
    """Show what there is, ask, and delete it."""
    import asyncio  # noqa: PLC0415 the verbs that need them load them

    from nni.records import registry  # noqa: PLC0415

    listed = registry.Registry(registry.default_directory())
    known = listed.find(arguments.id)
    if known.is_alive:
        raise errors.ManagerError(f"Experiment {known.id} runs; stop it first: nnictl stop {known.id}")
    if not asyncio.run(_delete(known, is_sure=arguments.yes)):
        print("Nothing is deleted.")
        return 1
    listed.remove(known.id)
    print(f"Experiment {known.id} is deleted.")
    return 0


async def _delete(known: "registry.Known", *, is_sure: bool) -> bool:
    import asyncio  # noqa: PLC0415

    from nni.core import model  # noqa: PLC0415
    from nni.manager import leftovers  # noqa: PLC0415

    async with leftovers.found(known.directory, model.ExperimentId(known.id), os.environ) as left:
        if left is not None:
            print(f"{_size(await left.size()):>10}  {left.where}")
        print(f"{_size(_local_size(known)):>10}  {known.directory}")
        if not is_sure and not _agrees(known.id):
            return False
        if left is not None:
            await left.delete()
    # The records go last: without them nobody would know of what is left elsewhere.
    await asyncio.to_thread(shutil.rmtree, known.directory, ignore_errors=True)
    return True


def _agrees(experiment_id: str) -> bool:
    if not sys.stdin.isatty():
        raise errors.ManagerError("Nobody can be asked here; add --yes to delete without a question.")
    return input(f"Delete experiment {experiment_id}? [y/N] ").strip().lower() in ("y", "yes")


def _local_size(known: "registry.Known") -> int:
    return sum(path.lstat().st_size for path in known.directory.rglob("*") if not path.is_dir())


def _size(size: int | None) -> str:
    if size is None:
        return "?"
    from nni.core import units  # noqa: PLC0415

    return units.format_size(size / 2**20)
