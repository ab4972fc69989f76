"""The contract of the volume over memory and a directory, and what a directory alone has to do."""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nni import errors
from nni.core import ports
from nni.storage import kept, mounted
from nni.testing import volume as contract


class TestMemoryVolume(contract.VolumeContract):
    async def open(self, directory: Path) -> ports.Volume:
        return contract.MemoryVolume()


class TestMountedVolume(contract.VolumeContract):
    async def open(self, directory: Path) -> ports.Volume:
        self.root = directory / "volume of ours"
        self.root.mkdir()
        return mounted.MountedVolume(self.root)

    async def grow(self, volume: ports.Volume, path: str, content: bytes) -> None:
        append(self.root / path, content)


class TestKeptVolume(contract.VolumeContract):
    async def open(self, directory: Path) -> ports.Volume:
        return kept.KeptVolume(directory)

    async def grow(self, volume: ports.Volume, path: str, content: bytes) -> None:
        """As a pod that sends it."""
        assert isinstance(volume, kept.KeptVolume)
        known = await volume.stat(path)
        assert known is not None
        await volume.append(path, known.size, content)


def append(path: Path, content: bytes) -> None:
    """Append as a process does that has the file system."""
    with path.open("ab", buffering=0) as file:
        file.write(content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "volume"
    made.mkdir()
    return made


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


async def test_pods_of_any_user_can_read_files_and_write_directories(root: Path) -> None:
    volume = mounted.MountedVolume(root)
    with umask(0o077):
        await volume.put("trial/1/run_master.sh", b"#!/bin/sh\n")
        await volume.make("trial/1")
    assert stat.S_IMODE((root / "trial/1").stat().st_mode) == 0o777
    assert stat.S_IMODE((root / "trial/1/run_master.sh").stat().st_mode) == 0o644


async def test_links_are_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "inside").mkdir()
    (root / "folder").symlink_to(outside)
    (root / "inside" / "file").symlink_to("../../outside/secret")
    (root / "inside" / "nowhere").symlink_to("/nowhere")
    volume = mounted.MountedVolume(root)
    calls = [
        volume.read("folder/secret"),
        volume.read("inside/file"),
        volume.put("folder/new", b"x"),
        volume.make("folder/new"),
        volume.make("folder"),
        volume.list("folder"),
        volume.stat("folder/secret"),
        volume.rename("folder/secret", "mine"),
        volume.rename("inside/file", "folder/mine"),
        volume.delete("folder/secret"),
        volume.usage("folder/secret"),
        volume.read("inside/nowhere"),
    ]
    for call in calls:
        with pytest.raises(errors.VolumeError, match="is a symbolic link, and these are not followed"):
            await call
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert await volume.usage("inside") < 100  # the links themselves
    link = await volume.stat("inside/file")
    assert link is not None
    assert link.is_special
    await volume.put("inside/file", b"mine")  # takes the link's place
    await volume.delete("folder")
    assert (outside / "secret").read_bytes() == b"secret"
    assert await volume.list("") == ["inside"]


async def test_deleting_a_tree_leaves_what_links_in_it_name(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (root / "a").mkdir()
    (root / "a" / "link").symlink_to(outside)
    await mounted.MountedVolume(root).delete("a")
    assert (outside / "kept").exists()
    assert not (root / "a").exists()


async def test_the_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    volume = mounted.MountedVolume(tmp_path / "link")
    await volume.put("a", b"x")
    assert (root / "a").read_bytes() == b"x"


async def test_a_pipe_does_not_hang_a_reader(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(errors.VolumeError, match=r"pipe on the volume at .* is not a file"):
        await mounted.MountedVolume(root).read("pipe")


async def test_a_missing_root_is_said(tmp_path: Path) -> None:
    volume = mounted.MountedVolume(tmp_path / "gone")
    with pytest.raises(errors.VolumeError, match=r"^a/b on the volume at .*/gone could not be written: it does not"):
        await volume.put("a/b", b"x")


def fails_at(monkeypatch: pytest.MonkeyPatch, name: str, code: int, times: int = 1000) -> list[int]:
    """Let a system call fail, as disks and networks do."""
    real, left = getattr(os, name), [times]

    def call(*args: object, **kwargs: object) -> object:
        if left[0]:
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, call)
    return left


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "no space is left on it"),
        (errno.EDQUOT, "its quota is used up"),
        (errno.EROFS, "it is read-only"),
        (errno.EACCES, rf"permission denied for user id {os.geteuid()}; on an NFS export with root_squash"),
        (errno.EPERM, "permission denied"),
        (errno.ESTALE, "its file handle is stale"),
        (errno.EIO, "input/output error"),
    ],
)
async def test_what_went_wrong_is_said(code: int, said: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = mounted.MountedVolume(root)
    fails_at(monkeypatch, "write", code)
    with pytest.raises(errors.VolumeError, match=rf"^a/b on the volume at {root} could not be written: {said}"):
        await volume.put("a/b", b"x")
    assert list((root / "a").iterdir()) == []


async def test_a_stale_handle_is_looked_up_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = mounted.MountedVolume(root)
    await volume.put("a", b"x")
    left = fails_at(monkeypatch, "pread", errno.ESTALE, 2)
    assert await volume.read("a") == b"x"
    assert left == [0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_directory_without_rights_is_said(root: Path) -> None:
    root.chmod(0o500)
    with pytest.raises(errors.VolumeError, match="permission denied"):
        await mounted.MountedVolume(root).put("a", b"x")


async def test_a_tree_of_any_depth_is_measured_looked_through_and_deleted(root: Path) -> None:
    (root / "deep").mkdir()
    folder = os.open(root / "deep", os.O_RDONLY)
    depth = sys.getrecursionlimit() + 100
    for _ in range(depth):
        os.mkdir("a", dir_fd=folder)
        folder, above = os.open("a", os.O_RDONLY, dir_fd=folder), folder
        os.close(above)
    with os.fdopen(os.open(".nni-put-x", os.O_WRONLY | os.O_CREAT, dir_fd=folder), "wb") as file:
        file.write(b"abc")
    os.close(folder)
    volume = kept.KeptVolume(root)
    assert await volume.usage("deep") == 3
    assert await volume.begun("deep") == {"/".join(["deep", *"a" * depth, ".nni-put-x"]): 3}
    await volume.delete("deep")
    assert list(root.iterdir()) == []
