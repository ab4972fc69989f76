"""A volume in memory, and what all volumes have to do.

A test class inherits ``VolumeContract`` and says how its volume is opened:

    class TestMine(volume.VolumeContract):
        async def open(self, directory): ...
"""
# ruff: noqa: S101 - a contract is told in assertions

import abc
import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from nni import errors
from nni.core import ports

ODD_NAMES = ("with blank", "Grüße 世界", "it's", '"quoted"', "-rf", "$HOME", "a\nb", "#1?x=y%20", "x" * 250)
MIB = 1 << 20


class MemoryVolume:
    """``Volume`` that lasts as long as the object; what pods write is put by the test."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.directories: set[str] = {""}
        self._changes = 0

    async def put(self, path: str, content: bytes) -> None:
        """See the port."""
        name = _clean(path)
        if name in self.directories:
            raise errors.VolumeError(f"{path} is a directory.")
        self._add_parents(name)
        self.files[name] = content
        self._changes += 1

    async def make(self, path: str) -> None:
        """See the port."""
        name = _clean(path)
        if name in self.files:
            raise errors.VolumeError(f"{path} is a file.")
        self._add_parents(f"{name}/x")

    async def list(self, path: str) -> Sequence[str]:
        """See the port."""
        name = _clean(path)
        if name in self.files:
            raise errors.VolumeError(f"{path} is a file.")
        top = f"{name}/" if name else ""
        below = [known[len(top) :] for known in (*self.files, *self.directories) if known.startswith(top) and known]
        return sorted({rest.split("/")[0] for rest in below} - {""})

    async def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """See the port."""
        name = _clean(path)
        if name in self.directories:
            raise errors.VolumeError(f"{path} is a directory.")
        content = self.files.get(name, b"")
        return content[offset:] if limit is None else content[offset : offset + limit]

    async def stat(self, path: str) -> ports.Stat | None:
        """See the port."""
        name = _clean(path)
        if name in self.files:
            return ports.Stat(is_directory=False, size=len(self.files[name]), modified_at=float(self._changes))
        return ports.Stat(is_directory=True, size=0, modified_at=0.0) if name in self.directories else None

    async def rename(self, source: str, target: str) -> None:
        """See the port."""
        old, new = _clean(source), _clean(target)
        if old not in self.files and new in self.files:
            return
        if old not in self.files or new in self.directories:
            raise errors.VolumeError(f"{source} could not be renamed to {target}.")
        self._add_parents(new)
        self.files[new] = self.files.pop(old)

    async def delete(self, path: str) -> None:
        """See the port."""
        name = _clean(path)
        if not name:
            raise errors.VolumeError("The root is not deleted.")
        self.files = {known: content for known, content in self.files.items() if not _is_at(known, name)}
        self.directories = {known for known in self.directories if not _is_at(known, name)}

    async def usage(self, path: str) -> int:
        """See the port."""
        name = _clean(path)
        return sum(len(content) for known, content in self.files.items() if not name or _is_at(known, name))

    def _add_parents(self, name: str) -> None:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if parent in self.files:
                raise errors.VolumeError(f"{parent} is a file.")
            self.directories.add(parent)


def _clean(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise errors.VolumeError(f"{path!r} is not a path on the volume.")
    return "/".join(parts)


def _is_at(known: str, name: str) -> bool:
    return known == name or known.startswith(f"{name}/")


class VolumeContract(abc.ABC):
    """What every implementation of ``Volume`` has to do."""

    @abc.abstractmethod
    async def open(self, directory: Path) -> ports.Volume:
        """Return a new, empty volume; ``directory`` is empty and its own."""

    async def grow(self, volume: ports.Volume, path: str, content: bytes) -> None:
        """Append to a file as a pod does, past the volume. Where nobody can, the file is put once more as a whole."""
        await volume.put(path, await volume.read(path) + content)

    async def test_what_was_put_is_read(self, tmp_path: Path) -> None:
        """Missing parents are made; an empty file is one; the last put counts."""
        volume = await self.open(tmp_path)
        for content in (b"", b"first", b"second \x00\xff"):
            await volume.put("nni/exp/code/bundle", content)
            assert await volume.read("nni/exp/code/bundle") == content
        assert await volume.list("nni/exp/code") == ["bundle"]

    async def test_a_put_is_seen_whole_or_not_at_all(self, tmp_path: Path) -> None:
        """Whoever reads while others write sees one of the contents, and no other name."""
        volume = await self.open(tmp_path)
        contents = [bytes([number]) * 300_000 for number in range(8)]
        await volume.put("a/file", contents[0])
        async with asyncio.TaskGroup() as tasks:
            writers = [tasks.create_task(volume.put("a/file", content)) for content in contents]
            while not all(writer.done() for writer in writers):
                assert await volume.read("a/file") in contents
                assert await volume.list("a") == ["file"]
                await asyncio.sleep(0)  # a volume in memory never waits, and the writers want their turn
        assert await volume.read("a/file") in contents

    async def test_a_large_file(self, tmp_path: Path) -> None:
        """24 MiB there and back."""
        volume = await self.open(tmp_path)
        content = bytes(range(256)) * (24 * MIB // 256)
        await volume.put("large", content)
        known = await volume.stat("large")
        assert known is not None
        assert known.size == len(content)
        assert await volume.read("large") == content

    async def test_a_growing_file_is_read_in_pieces(self, tmp_path: Path) -> None:
        """From an offset, up to a limit; nothing past the end."""
        volume = await self.open(tmp_path)
        await volume.put("journal", b"one\n")
        assert await volume.read("journal", 4) == b""
        await self.grow(volume, "journal", b"two\n")
        assert await volume.read("journal", 4) == b"two\n"
        assert await volume.read("journal", 4, 2) == b"tw"
        assert await volume.read("journal", 0, 0) == b""
        assert await volume.read("journal", 100, 5) == b""

    async def test_a_file_is_read_while_another_appends_to_it(self, tmp_path: Path) -> None:
        """Each range that is read is what was appended there, and all of it comes."""
        volume = await self.open(tmp_path)
        lines = [b"%d %s\n" % (number, b"x" * (number % 50)) for number in range(120)]
        whole, seen = b"".join(lines), b""
        await volume.put("trial/stdout", b"")

        async def write() -> None:
            for line in lines:
                await self.grow(volume, "trial/stdout", line)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(write())
            while len(seen) < len(whole):
                is_all = writer.done()
                part = await volume.read("trial/stdout", len(seen), 100)
                seen += part
                assert whole.startswith(seen)
                assert part or not is_all
                await asyncio.sleep(0)
        assert await volume.read("trial/stdout") == whole

    async def test_what_is_not_there(self, tmp_path: Path) -> None:
        """Is no error to ask for, and none to delete."""
        volume = await self.open(tmp_path)
        await volume.put("file", b"x")
        for path in ("no", "no/such/file", "file/below"):
            assert await volume.stat(path) is None
            await volume.delete("no/such")
        assert await volume.read("no/such/file") == b""
        assert await volume.list("no/such") == []
        assert await volume.usage("no/such") == 0
        with pytest.raises(errors.VolumeError):
            await volume.rename("no", "other")

    async def test_directories(self, tmp_path: Path) -> None:
        """Are made with their parents, as often as one likes."""
        volume = await self.open(tmp_path)
        for _ in range(2):
            await volume.make("nni/exp/trial/checkpoint")
        await volume.put("nni/exp/trial/1/parameter.cfg", b"{}")
        assert await volume.list("") == ["nni"]
        assert await volume.list("nni/exp/trial") == ["1", "checkpoint"]
        assert await volume.list("nni/exp/trial/checkpoint") == []
        known = await volume.stat("nni/exp/trial/checkpoint")
        assert known is not None
        assert (known.is_directory, known.size) == (True, 0)
        root = await volume.stat("")
        assert root is not None
        assert root.is_directory

    async def test_a_file_is_no_directory(self, tmp_path: Path) -> None:
        """And a directory is no file."""
        volume = await self.open(tmp_path)
        await volume.put("file", b"x")
        await volume.make("folder")
        with pytest.raises(errors.VolumeError, match="file"):
            await volume.put("file/below", b"x")
        with pytest.raises(errors.VolumeError, match="file"):
            await volume.make("file")
        with pytest.raises(errors.VolumeError, match="file"):
            await volume.list("file")
        with pytest.raises(errors.VolumeError, match="folder"):
            await volume.put("folder", b"x")
        with pytest.raises(errors.VolumeError, match="folder"):
            await volume.read("folder")
        assert await volume.list("") == ["file", "folder"]

    async def test_rename(self, tmp_path: Path) -> None:
        """Over an existing file, into a new directory, and the same once more."""
        volume = await self.open(tmp_path)
        await volume.put("source", b"new")
        await volume.put("old/target", b"old")
        for _ in range(2):
            await volume.rename("source", "old/target")
            assert await volume.read("old/target") == b"new"
        await volume.rename("old/target", "made/for/it")
        assert await volume.list("old") == []
        assert await volume.read("made/for/it") == b"new"

    async def test_delete(self, tmp_path: Path) -> None:
        """A file, a tree, twice; neighbours stay; the root is never deleted."""
        volume = await self.open(tmp_path)
        for path in ("a/b/c", "a/b/d/e", "ab", "a/f"):
            await volume.put(path, b"x")
        for _ in range(2):
            await volume.delete("a/b")
            await volume.delete("a/f")
        assert await volume.list("a") == []
        assert await volume.list("") == ["a", "ab"]
        for path in ("", "."):
            with pytest.raises(errors.VolumeError):
                await volume.delete(path)

    async def test_several_delete_the_same(self, tmp_path: Path) -> None:
        """What another has removed meanwhile is no error, and does not end the work: who is done leaves nothing."""
        volume = await self.open(tmp_path)
        async with asyncio.TaskGroup() as tasks:
            for number in range(60):
                tasks.create_task(volume.put(f"tree/{number % 4}/{number}", b"x"))

        async def delete() -> ports.Stat | None:
            await volume.delete("tree")
            return await volume.stat("tree")

        async with asyncio.TaskGroup() as tasks:
            left = [tasks.create_task(delete()) for _ in range(3)]
        assert [one.result() for one in left] == [None, None, None]

    async def test_usage(self, tmp_path: Path) -> None:
        """Counts the bytes of all files below a path."""
        volume = await self.open(tmp_path)
        await volume.put("a/one", b"x" * 1000)
        await volume.put("a/b/c/two", b"x" * 234)
        await volume.put("three", b"x")
        assert await volume.usage("a") == 1234
        assert await volume.usage("a/one") == 1000
        assert await volume.usage("") == 1235

    @pytest.mark.parametrize("name", ODD_NAMES)
    async def test_odd_names(self, name: str, tmp_path: Path) -> None:
        """Are names like any other."""
        volume = await self.open(tmp_path)
        await volume.put(f"{name}/{name}", b"x")
        assert await volume.list("") == [name]
        assert await volume.list(name) == [name]
        assert await volume.read(f"{name}/{name}") == b"x"
        await volume.rename(f"{name}/{name}", f"{name}/other")
        await volume.delete(name)
        assert await volume.list("") == []

    @pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "a/..", "/etc/passwd", "/", "a\0b"])
    async def test_nothing_leaves_the_root(self, path: str, tmp_path: Path) -> None:
        """By name, in no operation."""
        volume = await self.open(tmp_path)
        await volume.put("a/b", b"x")
        calls = [
            volume.put(path, b"y"),
            volume.make(path),
            volume.list(path),
            volume.read(path),
            volume.stat(path),
            volume.rename(path, "c"),
            volume.rename("a/b", path),
            volume.delete(path),
            volume.usage(path),
        ]
        for call in calls:
            with pytest.raises(errors.VolumeError, match="not a path on the volume"):
                await call
        assert await volume.read("a/b") == b"x"
