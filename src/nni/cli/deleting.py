"""``nnictl experiment delete``: what an experiment left, on the cluster, on its volume and on this machine."""

import argparse
import os
import shutil
import sys
from typing import TYPE_CHECKING

from nni import errors

if TYPE_CHECKING:
    from nni.platforms.kubeflow import remains
    from nni.records import registry


def add_parser(group: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to those of ``experiment``."""
    deleting = group.add_parser(
        "delete",
        help="delete an ended experiment: what is left of it on the cluster, its files on the volume, its records here",
    )
    deleting.add_argument("id", help="the experiment's id or its beginning")
    deleting.add_argument("-y", "--yes", action="store_true", help="do not ask")
    deleting.add_argument("--keep-volume", action="store_true", help="delete only what is on this machine")
    deleting.add_argument(
        "--keep-cluster", action="store_true", help="leave alone what is on the cluster, and do not look there"
    )
    deleting.set_defaults(run=delete)


def delete(arguments: argparse.Namespace) -> int:
    """Show what there is, ask, and delete it."""
    import asyncio  # noqa: PLC0415 the verbs that need them load them

    from nni.records import registry  # noqa: PLC0415

    listed = registry.Registry(registry.default_directory())
    known = listed.find(arguments.id)
    if known.is_alive:
        raise errors.ManagerError(f"Experiment {known.id} runs; stop it first: nnictl stop {known.id}")
    if not asyncio.run(_delete(known, arguments)):
        print("Nothing is deleted.")
        return 1
    listed.remove(known.id)
    print(f"Experiment {known.id} is deleted.")
    return 0


async def _delete(known: "registry.Known", arguments: argparse.Namespace) -> bool:
    import asyncio  # noqa: PLC0415
    import contextlib  # noqa: PLC0415

    from nni.core import model  # noqa: PLC0415
    from nni.manager import app, leftovers  # noqa: PLC0415

    its = model.ExperimentId(known.id)
    looking = leftovers.on_cluster(known.directory, its, os.environ, clock=app.CLOCK, say=_say)
    finding = leftovers.found(known.directory, its, os.environ, port=known.port + 1, say=_say)
    try:
        async with (
            contextlib.nullcontext() if arguments.keep_cluster else looking as there,
            contextlib.nullcontext() if arguments.keep_volume else finding as left,
        ):
            jobs = "" if there is None else _jobs(there.job_count, there.running_count)
            if jobs:
                print(f"{'':>10}  {jobs}")
            if left is not None:
                print(f"{_size(await left.size()):>10}  {left.where}")
            print(f"{_size(_local_size(known)):>10}  {known.directory}")
            if not arguments.yes and not await _agrees(f"experiment {known.id}{jobs and f' and its {jobs}'}"):
                return False
            if there is not None:
                # First: what still runs goes on writing.
                await _remove(there)
            if left is not None:
                await left.delete()
    except (errors.VolumeError, errors.PlatformError, errors.PlatformUnavailableError) as error:
        if any(advice in str(error) for advice in (leftovers.KEEPING, leftovers.LEAVING)):
            raise
        raise errors.VolumeError(f"{error} {leftovers.KEEPING}") from error
    # The records go last: without them nobody would know of what is left elsewhere.
    await asyncio.to_thread(_remove_here, known)
    return True


def _remove_here(known: "registry.Known") -> None:
    """Remove what is on this machine, as far as it can be removed. Raises RecordsError."""
    from nni.runtime import tree  # noqa: PLC0415

    tree.remove(os.fspath(known.directory))
    # What stays of it is named, for which Python 3.11 has no onexc.
    kept: list[tuple[str, BaseException]] = []
    shutil.rmtree(known.directory, onerror=lambda _, path, raised: kept.append((path, raised[1])))
    for path, error in kept:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise errors.RecordsError(
                f"{path} cannot be removed ({error.strerror or error}), so experiment {known.id} is still listed: mend "
                f"it, and give `nnictl experiment delete {known.id}` once more."
            ) from error


async def _remove(there: "remains.Remains") -> None:
    from nni.manager import leftovers  # noqa: PLC0415

    try:
        await there.remove()
    except (errors.PlatformError, errors.PlatformUnavailableError) as error:
        raise errors.PlatformError(
            f"{str(error).rstrip('.')}; files and records of the experiment are kept: try again, or {leftovers.LEAVING}"
        ) from error


def _jobs(count: int, running: int) -> str:
    """Return what is said of the jobs on the cluster; nothing where there are none."""
    if not count:
        return ""
    now = {0: "all have ended", 1: "1 still runs"}.get(running, f"{running} still run")
    return f"{count} job{'s' * (count > 1)} on the cluster ({now})"


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


async def _agrees(what: str) -> bool:
    if not sys.stdin.isatty():
        raise errors.ManagerError("Nobody can be asked here; add --yes to delete without a question.")
    print(f"Delete {what}? [y/N] ", end="", flush=True)
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
    from nni.runtime import tree  # noqa: PLC0415

    return tree.Tree(os.fspath(known.directory)).usage("")


def _size(size: int) -> str:
    from nni.core import units  # noqa: PLC0415

    return units.format_size(size / 2**20)
