"""NFS without a mount, against a real server: the contract, and what each refusal is told as."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from nni import errors
from nni.core import ports
from nni.storage import libnfs, nfs_direct
from nni.testing import nfs as nfs_testing
from nni.testing import volume as contract

pytestmark = pytest.mark.requires("nfs")

Open = Callable[[str], nfs_direct.NfsVolume]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("exports")
    for folder in (top, *top.parents):
        # The server works as nobody, who has to get there; pytest's own directories are for one user.
        if folder.is_relative_to("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    for name, mode in (("data", 0o777), ("closed", 0o755), ("small", 0o777)):
        (top / name).mkdir(mode=mode)
        (top / name).chmod(mode)
    return top


@pytest.fixture(scope="module")
def small_disk(exported: Path) -> Iterator[Path]:
    path = exported / "small"
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k,mode=777", "none", str(path)]
    subprocess.run(mount, check=True, capture_output=True)
    yield path
    subprocess.run(["umount", str(path)], check=True)


@pytest.fixture(scope="module")
def server(exported: Path, small_disk: Path) -> Iterator[nfs_testing.NfsServer]:
    data = exported / "data"
    exports = {
        "/data": nfs_testing.Export(data),
        "/closed": nfs_testing.Export(exported / "closed"),
        "/readonly": nfs_testing.Export(data, is_read_only=True),
        "/privileged": nfs_testing.Export(data, is_privileged=True),
        "/small": nfs_testing.Export(small_disk),
    }
    with nfs_testing.NfsServer(exports) as running:
        yield running


@pytest_asyncio.fixture
async def opened(server: nfs_testing.NfsServer) -> AsyncIterator[Open]:
    """Open volumes that are closed at the end."""
    made: list[nfs_direct.NfsVolume] = []

    def open_one(export: str) -> nfs_direct.NfsVolume:
        connect = nfs_direct.connector(nfs_testing.HOST, export, server.ports)
        made.append(nfs_direct.NfsVolume(connect, f"the NFS export {nfs_testing.HOST}:{export}"))
        return made[-1]

    yield open_one
    for one in made:
        await one.close()


@pytest_asyncio.fixture
async def empty(opened: Open, exported: Path) -> nfs_direct.NfsVolume:
    """A volume with nothing in it."""
    volume = opened("/data")
    # Not behind the server's back: it remembers what there was.
    for path in (exported / "data").iterdir():
        await volume.delete(path.name)
    return volume


class TestNfsVolume(contract.VolumeContract):
    @pytest.fixture(autouse=True)
    def _volume(self, empty: nfs_direct.NfsVolume, server: nfs_testing.NfsServer) -> None:
        self.volume, self.server = empty, server

    async def open(self, directory: Path) -> ports.Volume:
        return self.volume

    async def grow(self, volume: ports.Volume, path: str, content: bytes) -> None:
        """As another client of the server."""
        await asyncio.to_thread(nfs_testing.append, self.server, "/data", f"/{path}", content)


async def test_a_good_export_passes_its_test(empty: nfs_direct.NfsVolume, exported: Path) -> None:
    await empty.test()
    assert list((exported / "data").iterdir()) == []


async def test_pods_of_any_user_can_read_files_and_write_directories(
    empty: nfs_direct.NfsVolume, exported: Path
) -> None:
    await empty.put("trial/1/run_master.sh", b"#!/bin/sh\n")
    await empty.make("trial/1")
    place = exported / "data" / "trial" / "1"
    assert stat.S_IMODE(place.stat().st_mode) == 0o777
    assert stat.S_IMODE((place / "run_master.sh").stat().st_mode) == 0o644


async def test_a_tree_of_any_depth_is_measured_and_deleted(empty: nfs_direct.NfsVolume, exported: Path) -> None:
    folder = os.open(exported / "data", os.O_RDONLY)
    for _ in range(260):
        os.mkdir("a", dir_fd=folder)
        os.chmod("a", 0o777, dir_fd=folder)
        folder, above = os.open("a", os.O_RDONLY, dir_fd=folder), folder
        os.close(above)
    os.close(folder)
    # Deeper than 1000 directories it takes minutes, for each is looked up from the export on.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(250)
    try:
        assert await empty.usage("a") == 0
        await empty.delete("a")
    finally:
        sys.setrecursionlimit(limit)
    assert list((exported / "data").iterdir()) == []


async def test_links_are_not_followed(empty: nfs_direct.NfsVolume, exported: Path) -> None:
    top = exported / "data"
    await empty.put("trial/mine", b"x")
    await empty.put("other/secret", b"secret")
    (top / "trial" / "file").symlink_to("../other/secret")
    (top / "trial" / "folder").symlink_to("../other")
    (top / "trial" / "passwd").symlink_to("/etc/passwd")
    calls = [
        empty.read("trial/file"),
        empty.read("trial/passwd"),
        empty.read("trial/folder/secret"),
        empty.list("trial/folder"),
        empty.stat("trial/folder/secret"),
        empty.put("trial/folder/new", b"x"),
        empty.make("trial/folder"),
        empty.delete("trial/folder/secret"),
        empty.rename("trial/folder/secret", "trial/mine"),
        empty.rename("trial/mine", "trial/folder/secret"),
        empty.usage("trial/folder/secret"),
    ]
    for call in calls:
        with pytest.raises(errors.VolumeError, match="is a symbolic link, and these are not followed"):
            await call
    await empty.delete("trial")
    assert await empty.read("other/secret") == b"secret"
    assert await empty.list("") == ["other"]


async def test_a_file_that_grows_on_the_other_side_is_seen_at_once(empty: nfs_direct.NfsVolume, exported: Path) -> None:
    await empty.make("trial")
    seen = b""
    with (exported / "data" / "trial" / "journal").open("ab", buffering=0) as file:
        for number in range(50):
            file.write(b"%d\n" % number)
            seen += await empty.read("trial/journal", len(seen))
            assert seen.endswith(b"%d\n" % number)


async def test_many_at_once_use_a_few_connections(empty: nfs_direct.NfsVolume) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(200):
            tasks.create_task(empty.put(f"many/{number}", b"x" * number))
    assert len(await empty.list("many")) == 200
    assert await empty.usage("many") == sum(range(200))
    assert len(empty._contexts) <= nfs_direct.CONNECTIONS


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ("/closed", "permission denied .* with root_squash even root has no rights"),
        ("/readonly", "it is read-only: export or mount it writable"),
        ("/small", "no space is left on it: make room"),
        ("/nothing", r"refuses 127\.0\.0\.1:/nothing to this machine: export exactly that path"),
    ],
)
async def test_each_refusal_is_told_as_what_it_is(export: str, said: str, opened: Open) -> None:
    with pytest.raises(errors.VolumeError, match=said):
        await opened(export).test()


async def test_a_server_that_was_started_again_goes_on(exported: Path) -> None:
    exports = {"/data": nfs_testing.Export(exported / "data")}
    with nfs_testing.NfsServer(exports) as first:
        volume = nfs_direct.NfsVolume(nfs_direct.connector(nfs_testing.HOST, "/data", first.ports), "it")
        await volume.put("before/file", b"x")
    with pytest.raises(errors.VolumeError, match="does not answer"):
        await volume.read("before/file")
    with nfs_testing.NfsServer(exports, first.ports):
        assert await volume.read("before/file") == b"x"
        await volume.delete("before")
        await volume.close()


async def test_an_export_whose_directory_is_another_one_goes_on(exported: Path) -> None:
    # As after a restore: the server knows none of the handles that the connections hold, the root's included.
    directory = exported / "restored"
    exports = {"/data": nfs_testing.Export(directory)}
    directory.mkdir()
    directory.chmod(0o777)
    with nfs_testing.NfsServer(exports) as first:
        volume = nfs_direct.NfsVolume(nfs_direct.connector(nfs_testing.HOST, "/data", first.ports), "it")
        await asyncio.gather(*(volume.put(f"trial/{number}", b"x" * 3_000_000) for number in range(16)))
        assert len(volume._contexts) > 1
    shutil.copytree(directory, exported / "backup")
    shutil.rmtree(directory)
    (exported / "backup").rename(directory)
    (directory / "trial").chmod(0o777)
    with nfs_testing.NfsServer(exports, first.ports):
        async with asyncio.TaskGroup() as tasks:
            reads = [tasks.create_task(volume.read(f"trial/{number}")) for number in range(16)]
            writes = [tasks.create_task(volume.put(f"new/{number}", b"y" * 3_000_000)) for number in range(16)]
        assert {len(one.result()) for one in reads} == {3_000_000}
        assert len(writes) == len(await volume.list("new"))
        await volume.delete("trial")
        assert await volume.list("") == ["new"]
        await volume.close()


async def test_a_server_that_does_not_speak_nfsv3_any_more_is_said(exported: Path) -> None:
    exports = {"/data": nfs_testing.Export(exported / "data")}
    with nfs_testing.NfsServer(exports) as first:
        volume = nfs_direct.NfsVolume(nfs_direct.connector(nfs_testing.HOST, "/data", first.ports), "it")
        await volume.put("before/file", b"x")
    with (
        nfs_testing.NfsServer(exports, first.ports, versions="4"),
        pytest.raises(errors.VolumeError, match=r"The NFS server 127\.0\.0\.1 does not answer"),
    ):
        await volume.read("before/file")
    with nfs_testing.NfsServer(exports, first.ports):
        assert await volume.read("before/file") == b"x"
        await volume.delete("before")
        await volume.close()


async def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = nfs_direct.connector("127.0.0.1", "/data", (1, 1))
    volume = nfs_direct.NfsVolume(connect, "it")
    with pytest.raises(errors.VolumeError, match=r"The NFS server 127\.0\.0\.1 does not answer"):
        await volume.test()
    await volume.close()


AS_NOBODY = """
import asyncio, os, sys
from nni import errors
from nni.storage import nfs_direct
export, nfs, mountd = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
volume = nfs_direct.NfsVolume(nfs_direct.connector("127.0.0.1", export, (nfs, mountd)), export)
os.setgid(65534); os.setuid(65534)
async def main():
    try:
        await volume.test()
        await volume.put("by/nobody", b"x")
        print(await volume.list("by"))
        await volume.delete("by")
    except errors.VolumeError as error:
        print(error)
    await volume.close()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ("/data", "['nobody']"),
        ("/privileged", "with the option `insecure`, because only root can connect from a port below 1024"),
    ],
)
def test_without_root(export: str, said: str, server: nfs_testing.NfsServer, empty: nfs_direct.NfsVolume) -> None:
    command = [sys.executable, "-c", AS_NOBODY, export, *map(str, server.ports)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert said in ended.stdout


def test_a_libnfs_of_another_make_is_refused_by_name() -> None:
    with pytest.raises(errors.VolumeError, match=r"neither libnfs\.so\.99 is on this machine .* other versions"):
        libnfs.load(("libnfs.so.99",))


WHICH = """
from nni import errors
from nni.storage import libnfs
try:
    print(libnfs.load()._name)
except errors.VolumeError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (("libnfs.so.14", "libnfs.so.13"), "libnfs.so.14"),
        (("libnfs.so.13",), "libnfs.so.13"),
        (("libnfs.so.16", "libnfs.so.12", "libnfs.so.8", "libnfs.so"), "neither libnfs.so.14 nor libnfs.so.13 is on"),
    ],
)
def test_two_sonames_are_used_and_no_other(there: tuple[str, ...], said: str, tmp_path: Path) -> None:
    libnfs.load()
    maps = Path("/proc/self/maps").read_text().splitlines()
    real = next(line.split()[-1] for line in maps if "/libnfs.so" in line)
    for name in ("libnfs.so.14", "libnfs.so.13"):
        (tmp_path / name).touch()  # in the way of the machine's own, and no library
    for name in there:
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).symlink_to(real)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", WHICH], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(said)
