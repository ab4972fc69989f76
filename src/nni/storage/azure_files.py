"""Azure Files by its REST interface, with Azure's own SDK (extra ``azure``): nothing is mounted here."""

import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from nni import errors
from nni.core import ports
from nni.runtime import paths
from nni.storage import azure_errors

if TYPE_CHECKING:
    from azure.storage.fileshare import aio

_T = TypeVar("_T")

PIECE = 4 << 20
"""Bytes of one request. One answer is never mixed from two versions of a file that grows."""
TEST_BYTES = 1024
_ILLEGAL = re.compile(r'["\\:|<>*?\x00-\x1f\x7f\ud800-\udfff]|[. ]\Z')
_GONE = ("ResourceNotFound", "ParentNotFound")
_EXISTS = ("ResourceAlreadyExists",)


class AzureVolume:
    """Implements ``Volume`` over a share; ``close`` hangs up."""

    def __init__(self, share: "aio.ShareClient", name: str) -> None:
        """Take the share's client, and what messages call the share."""
        self._share = share
        self._name = name

    async def open(self) -> None:
        """Make the share unless it is there, and write, rename and delete a file in it.

        Raises:
            VolumeError: It is of no use; the message says why.
        """
        await self._run("made", "", self._make_share)
        await self._run("written", "a test file", self._test)

    async def close(self) -> None:
        """Hang up."""
        await self._share.close()

    async def put(self, path: str, content: bytes) -> None:
        """See the port."""
        await self._run("written", path, lambda: self._put(_names(path), content))

    async def make(self, path: str) -> None:
        """See the port; every pod may write, as the mount's options say."""
        await self._run("made", path, lambda: self._make(_names(path)))

    async def list(self, path: str) -> Sequence[str]:
        """See the port."""
        return await self._run("listed", path, lambda: self._list(_names(path)))

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """See the port."""
        return await self._run("read", path, lambda: self._read(_names(path), offset, limit))

    async def stat(self, path: str) -> ports.Stat | None:
        """See the port."""
        return await self._run("looked at", path, lambda: self._stat(_names(path)))

    async def rename(self, source: str, target: str) -> None:
        """See the port."""
        await self._run(f"renamed to {target}", source, lambda: self._rename(_names(source), _names(target)))

    async def delete(self, path: str) -> None:
        """See the port."""
        await self._run("deleted", path, lambda: self._delete(_names(path)))

    async def usage(self, path: str) -> int:
        """See the port."""
        return await self._run("measured", path, lambda: self._usage(_names(path)))

    async def _run(self, done: str, path: str, work: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await work()
        except errors.VolumeError:
            raise
        except azure_errors.kinds() as error:
            where = f"{path or 'The root'} in the {self._name}"
            raise errors.VolumeError(f"{where} could not be {done}: {azure_errors.of_files(error)}.") from error

    async def _make_share(self) -> None:
        with azure_errors.Passing("ShareAlreadyExists"):
            await self._share.create_share()

    async def _test(self) -> None:
        first, second = paths.temporary(), paths.temporary()
        await self._put([first], bytes(TEST_BYTES))
        await self._rename([first], [second])
        await self._share.get_file_client(second).delete_file()

    async def _put(self, names: Sequence[str], content: bytes) -> None:
        known = await self._stat(names)
        if known is not None and known.is_directory:
            raise errors.VolumeError(f"{'/'.join(names)} in the {self._name} is a directory, so it is not written.")
        temporary = [*names[:-1], paths.temporary()]
        await self._make(names[:-1])
        file = self._file(temporary)
        try:
            await file.upload_file(content, length=len(content), max_concurrency=4)
            await file.rename_file("/".join(names), overwrite=True)
        except BaseException:
            with contextlib.suppress(*azure_errors.kinds()):
                await file.delete_file()
            raise

    async def _make(self, names: Sequence[str]) -> None:
        missing = len(names)
        while missing and not await self._is_directory(names[:missing]):
            missing -= 1
        for depth in range(missing + 1, len(names) + 1):
            with azure_errors.Passing(*_EXISTS):
                await self._directory(names[:depth]).create_directory()

    async def _list(self, names: Sequence[str]) -> Sequence[str]:
        try:
            found = [name async for name, _, _ in self._entries(names)]
        except azure_errors.kinds() as error:
            if not azure_errors.is_one_of(error, *_GONE):
                raise
            known = await self._stat(names)
            if known is not None:
                raise errors.VolumeError(f"{'/'.join(names)} in the {self._name} is a file, no directory.") from error
            return []
        return sorted(name for name in found if not name.startswith(paths.TEMPORARY))

    async def _read(self, names: Sequence[str], offset: int, limit: int | None) -> bytes:
        parts: list[bytes] = []
        while limit is None or limit > 0:
            count = PIECE if limit is None else min(limit, PIECE)
            part = await self._read_piece(names, offset, count)
            parts.append(part)
            offset += len(part)
            limit = None if limit is None else limit - len(part)
            if len(part) < count:
                break
        return b"".join(parts)

    async def _read_piece(self, names: Sequence[str], offset: int, count: int) -> bytes:
        try:
            answer = await self._file(names).download_file(offset=offset, length=count)
            content: bytes = await answer.readall()
        except azure_errors.kinds() as error:
            if azure_errors.is_one_of(error, "InvalidRange"):
                return b""
            if not azure_errors.is_one_of(error, *_GONE):
                raise
            if await self._is_directory(names):
                message = f"{'/'.join(names)} in the {self._name} is a directory, so it cannot be read."
                raise errors.VolumeError(message) from error
            return b""
        return content

    async def _stat(self, names: Sequence[str]) -> ports.Stat | None:
        if names:
            with azure_errors.Passing(*_GONE, "ResourceTypeMismatch"):
                found = await self._file(names).get_file_properties()
                return ports.Stat(
                    is_directory=False,
                    size=found.size,
                    modified_at=_seconds(found.last_modified),
                    identity=found.file_id or "",
                )
        if await self._is_directory(names):
            return ports.Stat(is_directory=True, size=0, modified_at=0.0)
        return None

    async def _is_directory(self, names: Sequence[str]) -> bool:
        if not names:
            return True
        with azure_errors.Passing(*_GONE, "ResourceTypeMismatch"):
            await self._directory(names).get_directory_properties()
            return True
        return False

    async def _rename(self, source: Sequence[str], target: Sequence[str]) -> None:
        await self._make(target[:-1])
        try:
            await self._file(source).rename_file("/".join(target), overwrite=True)
        except azure_errors.kinds() as error:
            # The same call a second time: what was to be moved is there already.
            if not azure_errors.is_one_of(error, *_GONE) or await self._stat(target) is None:
                raise

    async def _delete(self, names: Sequence[str]) -> None:
        if not names:
            raise errors.VolumeError("The root of a volume is not deleted: name what is in it.")
        known = await self._stat(names)
        if known is None:
            return
        with azure_errors.Passing(*_GONE):
            if known.is_directory:
                await self._delete_tree(names)
            else:
                await self._file(names).delete_file()

    async def _delete_tree(self, names: Sequence[str]) -> None:
        """Remove a directory with all that is in it; whatever somebody else removes meanwhile is passed over."""
        with azure_errors.Passing(*_GONE):
            for name, is_directory, _ in [entry async for entry in self._entries(names)]:
                if is_directory:
                    await self._delete_tree([*names, name])
                else:
                    with azure_errors.Passing(*_GONE):
                        await self._file([*names, name]).delete_file()
            await self._directory(names).delete_directory()

    async def _usage(self, names: Sequence[str]) -> int:
        known = await self._stat(names)
        if known is None or not known.is_directory:
            return 0 if known is None else known.size
        total, waiting = 0, [list(names)]
        while waiting:
            top = waiting.pop()
            with azure_errors.Passing(*_GONE):  # it may go while we count
                async for name, is_directory, size in self._entries(top):
                    total += size
                    if is_directory:
                        waiting.append([*top, name])
        return total

    async def _entries(self, names: Sequence[str]) -> AsyncIterator[tuple[str, bool, int]]:
        async for found in self._directory(names).list_directories_and_files():
            yield found.name, bool(found.is_directory), int(getattr(found, "size", 0))

    def _file(self, names: Sequence[str]) -> "aio.ShareFileClient":
        return self._share.get_file_client("/".join(names))

    def _directory(self, names: Sequence[str]) -> "aio.ShareDirectoryClient":
        return self._share.get_directory_client("/".join(names))


def _names(path: str) -> list[str]:
    found = paths.names(path)
    for name in found:
        if _ILLEGAL.search(name):
            raise errors.VolumeError(
                f"{path!r} cannot be on Azure Files: {name!r} has a character that names there may not have."
            )
    return found


def _seconds(moment: Any) -> float:
    return float(moment.timestamp()) if moment is not None else time.monotonic()
