"""The plain way to bring code to a trial: the tree is copied to the volume for each, file by file, and read there.

With nothing of ours: ``shutil`` where the volume is a directory, libnfs' own calls, Azure's own SDK. What goes over a
network goes eight at a time, which is kinder than the loop that most would write.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import os
import queue
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from nni.core import spec
from nni.storage import libnfs
from nni.testing import azure as azure_testing
from nni.testing import nfs as nfs_testing

AT_ONCE = 8
PIECE = 1 << 20


class Plain(Protocol):
    """Copies of a tree on a volume."""

    async def copy(self, code: Path, name: str) -> None:
        """Copy a tree to a new directory."""
        ...

    async def read(self, code: Path, name: str) -> int:
        """Read each file of a copy of the tree, and return how many bytes they have."""
        ...


def files(code: Path) -> list[str]:
    """Return the paths of a tree's files, relative."""
    return sorted(str(path.relative_to(code)) for path in code.rglob("*") if path.is_file())


def folders(code: Path) -> list[str]:
    """Return the paths of a tree's directories, relative, each after the one that it is in."""
    return sorted(str(path.relative_to(code)) for path in code.rglob("*") if path.is_dir())


class InDirectory:
    """By ``shutil.copytree``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def copy(self, code: Path, name: str) -> None:
        await asyncio.to_thread(shutil.copytree, code, self._root / name)

    async def read(self, code: Path, name: str) -> int:
        def read() -> int:
            return sum(len((self._root / name / path).read_bytes()) for path in files(code))

        return await asyncio.to_thread(read)


class OverNfs:
    """By libnfs' own calls: create, write, commit and close, as ``cp`` on a mount has the kernel do."""

    def __init__(self, contexts: Iterable[libnfs.Context]) -> None:
        self._library = libnfs.load()
        self._idle: queue.SimpleQueue[libnfs.Context] = queue.SimpleQueue()
        for context in contexts:
            self._idle.put(context)

    async def copy(self, code: Path, name: str) -> None:
        def copy() -> None:
            with self._one() as context:
                for folder in ("", *folders(code)):
                    context.mkdir(f"/{name}/{folder}".rstrip("/"), 0o755)
            self._each(files(code), lambda context, path: self._write(context, f"/{name}/{path}", code / path))

        await asyncio.to_thread(copy)

    async def read(self, code: Path, name: str) -> int:
        def read(context: libnfs.Context, path: str) -> int:
            return len(context.read(f"/{name}/{path}", 0, None))

        return sum(await asyncio.to_thread(self._each, files(code), read))

    def _write(self, context: libnfs.Context, target: str, source: Path) -> int:
        library, file, inside = self._library, ctypes.c_void_p(), context._context
        content, done = source.read_bytes(), 0
        _check(library.nfs_creat(inside, target.encode(), 0o644, ctypes.byref(file)))
        while done < len(content):
            piece = content[done : done + PIECE]
            done += _check(library.nfs_pwrite(inside, file, done, len(piece), piece))
        _check(library.nfs_fsync(inside, file))
        return _check(library.nfs_close(inside, file))

    def _each(self, paths: Iterable[str], work: Callable[[libnfs.Context, str], int]) -> list[int]:
        def one(path: str) -> int:
            with self._one() as context:
                return work(context, path)

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(one, paths))

    @contextlib.contextmanager
    def _one(self) -> Iterator[libnfs.Context]:
        context = self._idle.get()
        try:
            yield context
        finally:
            self._idle.put(context)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


@contextlib.asynccontextmanager
async def over_nfs(server: nfs_testing.NfsServer, export: str) -> AsyncIterator[Plain]:
    """Hold connections of our own to an export."""
    with contextlib.ExitStack() as stack:
        library = libnfs.load()
        opened = [libnfs.Context(library, nfs_testing.HOST, export, server.ports) for _ in range(AT_ONCE)]
        for context in opened:
            stack.callback(context.close)
        yield OverNfs(opened)


class OnAzure:
    """By ``create_directory``, ``upload_file`` and ``download_file`` of Azure's SDK, with its own settings."""

    def __init__(self, share: Any) -> None:
        self._share = share

    async def copy(self, code: Path, name: str) -> None:
        for folder in ("", *folders(code)):
            await self._share.get_directory_client(f"{name}/{folder}".rstrip("/")).create_directory()

        async def upload(path: str) -> int:
            content = await asyncio.to_thread((code / path).read_bytes)
            await self._share.get_file_client(f"{name}/{path}").upload_file(content)
            return len(content)

        await _each(files(code), upload)

    async def read(self, code: Path, name: str) -> int:
        async def download(path: str) -> int:
            answer = await self._share.get_file_client(f"{name}/{path}").download_file()
            return len(await answer.readall())

        return sum(await _each(files(code), download))


async def _each(paths: Iterable[str], work: Callable[[str], Any]) -> list[int]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(path: str) -> int:
        async with turns:
            found: int = await work(path)
            return found

    return await asyncio.gather(*map(one, paths))


@contextlib.asynccontextmanager
async def on_azure(storage: spec.AzureSpec) -> AsyncIterator[Plain]:
    """Hold a client of our own for a share."""
    from azure.storage.fileshare import aio  # noqa: PLC0415 it may not be installed

    credential = {"account_name": storage.account, "account_key": azure_testing.KEY}
    async with aio.ShareClient(storage.endpoint or "", storage.share, credential=credential) as share:
        yield OnAzure(share)
