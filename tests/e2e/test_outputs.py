"""What trials leave, as people reach it: one suite over every storage, through a real portal with a real client.

Pods are played by whoever writes on the storage; all else is what an experiment runs on. See ``test_server_files`` for
what does not depend on the storage.
"""

import asyncio
import contextlib
import ctypes
import dataclasses
import io
import os
import shutil
import string
import tarfile
import tracemalloc
import typing
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yarl

from nni import errors
from nni.core import event, model, ports, spec
from nni.manager import doors, volumes
from nni.manager import porter as porters
from nni.platforms.kubeflow import client
from nni.platforms.kubeflow import porter as platform_porter
from nni.server import listen, shelf
from nni.server import porter as server_porter
from nni.storage import azure_access, joined, kept, mounted, nfs_direct
from nni.storage import nfs as addresses
from nni.testing import azure, nfs, story
from nni.testing.sandbox import Connection, Sandbox
from nni.wire import layout

API = "/api/v1/nni"
EXPERIMENT = model.ExperimentId("story123")
SECRET = b"no business of trial aaaaa\n"
OUTPUT = "1/master-0/output"
MIB = 1 << 20
POSIX = ["kept", "mounted", pytest.param("libnfs", marks=pytest.mark.requires("nfs")), "claim", "far claim"]
ALL = [*POSIX, pytest.param("azure", marks=pytest.mark.requires("azure"))]
on_posix = pytest.mark.parametrize("place", POSIX, indirect=True)


@dataclasses.dataclass(frozen=True)
class Place:
    """A storage with what pods have left on it."""

    volume: ports.Readable
    """As the portal has it."""
    growth: ports.Growth | None
    here: ports.Volume
    """As the manager has it."""
    root: Path
    """The same storage, as pods have it."""
    url: Callable[[str], str] | None
    claim: Path | None = None
    """A claim that the manager does not have mounted, as pods have it: what trials write themselves stays there."""

    def of(self, path: str, trial: str = "aaaaa") -> Path:
        """Return a path of a trial's, as its pods have it."""
        root = self.root if self.claim is None or not path.startswith(OUTPUT) else self.claim
        return root / layout.trial(EXPERIMENT, trial) / path

    @property
    def outside(self) -> Path:
        """The directory that the storage of outputs is in."""
        return (self.claim or self.root).parent

    async def write(self, path: str, content: bytes, trial: str = "aaaaa") -> None:
        target = self.of(path, trial)
        if self.claim is None or not target.is_relative_to(self.claim):
            await self.here.put(f"{layout.trial(EXPERIMENT, trial)}/{path}", content)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        written = self.claim / "written"
        written.write_bytes(content)
        written.replace(target)

    async def grow(self, path: str, content: bytes) -> None:
        """Append to a file of trial aaaaa, as its pod does."""
        if isinstance(self.here, kept.KeptVolume):
            whole = f"{layout.trial(EXPERIMENT, 'aaaaa')}/{path}"
            known = await self.here.stat(whole)
            await self.here.append(whole, known.size if known else 0, content)
            return
        with self.of(path).open("ab", buffering=0) as file:
            file.write(content)

    async def sparse(self, path: str, size: int, last: bytes) -> None:
        """Make a large file that takes no room."""
        await self.write(path, b"")
        with self.of(path).open("r+b") as file:
            file.truncate(size - len(last))
            file.seek(0, os.SEEK_END)
            file.write(last)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, tuple[int, int]]]:
    """A directory that a real NFS server exports as /outputs, and the server's ports."""
    made = tmp_path_factory.mktemp("exported") / "outputs"
    made.mkdir()
    made.chmod(0o777)
    for folder in made.parents:
        # The server works as nobody, who has to get there.
        if folder.is_relative_to("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    with nfs.NfsServer({"/outputs": nfs.Export(made)}) as running:
        yield made, running.ports


@pytest.fixture(scope="module")
def claim(sandbox: Sandbox) -> Iterator[Path]:
    """The directory behind a claim of the name outputs."""
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    api, claims = Connection(sandbox), "/api/v1/namespaces/default/persistentvolumeclaims"
    code, made = api.call("POST", claims, {"metadata": {"name": "outputs"}, "spec": wanted})
    assert code == 201, made
    yield Path(sandbox.kubeconfig.parent, "claims", made["metadata"]["uid"])
    api.call("DELETE", f"{claims}/outputs")


@pytest_asyncio.fixture(params=ALL)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Each storage in turn, with files of two trials and of another experiment."""
    async with contextlib.AsyncExitStack() as stack:
        made = await _opened(str(request.param), request, tmp_path, stack)
        for trial in ("aaaaa", "bbbbb"):
            await made.write("1/master-0/stdout", b"0123456789\n" if trial == "aaaaa" else SECRET, trial)
        await made.here.put("nni/other456/ccccc/1/master-0/stdout", SECRET)
        await made.here.put("secret", SECRET)
        (made.outside / "secret").write_bytes(SECRET)
        yield made


async def _opened(
    kind: str, request: pytest.FixtureRequest, directory: Path, stack: contextlib.AsyncExitStack
) -> Place:
    root = directory / "storage"
    if kind == "azure":
        return await _share(directory / "shares", stack)
    if kind == "far claim":
        return await _claim(request.getfixturevalue("sandbox"), request.getfixturevalue("claim"), directory, stack)
    if kind == "libnfs":
        exported, numbers = request.getfixturevalue("server")
        return await _export(exported, numbers, stack)
    storage: spec.StorageSpec
    match kind:
        case "kept":
            storage, root = spec.ManagerSpec(), directory / "volume"
        case "mounted":
            storage = spec.NfsSpec(server="10.20.30.40", path="/mnt/nfs/nni", mount_path=str(root))
        case _:
            storage = spec.PvcSpec(claim_name="data", mount_path=str(root), sub_path="my/part")
    root.mkdir(exist_ok=True)

    def no_cluster() -> client.Client:
        raise errors.PlatformError("no cluster is asked")

    asked = volumes.Asked(environment={}, directory=directory, experiment_id=EXPERIMENT, connect=no_cluster)
    backing = await volumes.back(storage, asked)
    stack.push_async_callback(backing.close)
    root = root / "my" / "part" if kind == "claim" else root
    return Place(backing.volume, backing.store, backing.volume, root, backing.url)


async def _claim(running: Sandbox, claim: Path, directory: Path, stack: contextlib.AsyncExitStack) -> Place:
    """Return a claim that a porter goes to, when somebody looks for what stayed on it."""
    environment = {"KUBECONFIG": str(running.kubeconfig)}
    storage = spec.PvcSpec(claim_name="outputs", sub_path=uuid.uuid4().hex)
    connection = client.connect(environment, "default")
    stack.callback(connection.close)
    asked = volumes.Asked(
        environment=environment, directory=directory, experiment_id=EXPERIMENT, connect=lambda: connection
    )
    backing = await volumes.back(storage, asked)
    stack.push_async_callback(backing.close)
    listener = stack.enter_context(contextlib.closing(listen.bind(doors.LOOPBACK, 0)))
    porter = porters.make(
        connection,
        experiment_id=EXPERIMENT,
        role=platform_porter.role(
            spec.RoleSpec(name="master", replicas=1, command="", code_directory="/x", image="any")
        ),
        claim=storage,
        side=backing.pod,
        door=doors.Door(f"http://{doors.LOOPBACK}:{listener.getsockname()[1]}"),
    )
    await stack.enter_async_context(listen.serve(server_porter.make_app(porter.door), listener))
    await stack.enter_async_context(porter.on_call())
    assert backing.store is not None
    (claim / storage.sub_path).mkdir(parents=True)
    return Place(
        joined.JoinedVolume(backing.volume, porter.volume),
        joined.JoinedGrowth(backing.store),
        backing.volume,
        directory / "volume",
        None,
        claim / storage.sub_path,
    )


async def _export(root: Path, numbers: tuple[int, int], stack: contextlib.AsyncExitStack) -> Place:
    storage = spec.NfsSpec(server=nfs.HOST, path="/outputs")
    # By its ports: the portmapper is the whole machine's, and other tests have servers, too.
    volume = nfs_direct.NfsVolume(nfs_direct.connector(nfs.HOST, storage.path, numbers), "the export")
    stack.push_async_callback(volume.close)
    for name in await volume.list(""):
        # Not behind the server's back: it remembers what there was.
        await volume.delete(name)
    return Place(volume, None, volume, root, lambda path: addresses.url(storage, path))


async def _share(root: Path, stack: contextlib.AsyncExitStack) -> Place:
    root.mkdir()
    endpoint = await stack.enter_async_context(azure.serving(azure.FileService(root)))
    storage = spec.AzureSpec(account=azure.ACCOUNT, share="outputs", endpoint=endpoint)
    volume = await azure_access.volume(storage, azure.KEY)
    stack.push_async_callback(volume.close)
    return Place(volume, None, volume, root / "outputs", lambda path: azure_access.url(storage, path))


@pytest.fixture
def tale(place: Place) -> story.Story:
    made = story.Story()
    # The portal does nothing but read.
    made.volume, made.growth = typing.cast(ports.Volume, place.volume), place.growth
    made.happens(event.Started())
    made.proposes("aaaaa", "bbbbb")
    directory = place.url(f"nni/{EXPERIMENT}") if place.url else "http://127.0.0.1:8080/trial"
    made.creates("aaaaa", "bbbbb", directory=directory)
    for trial in ("aaaaa", "bbbbb"):
        made.observes(trial, model.JobPhase.RUNNING)
    return made


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes


class Caller:
    """Asks with the token, and sends paths as they are written."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self._url = url

    def at(self, path: str) -> yarl.URL:
        return yarl.URL(f"{self._url}{API}/{path}", encoded=True)

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.http.get(self.at(path), headers=headers) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def json(self, path: str) -> dict[str, object]:
        async with self.http.get(self.at(path)) as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, object] = await answer.json()
            return found


@pytest_asyncio.fixture
async def portal(tale: story.Story) -> AsyncIterator[Caller]:
    headers = {"Authorization": f"Bearer {tale.token}"}
    async with tale.shown(Path("absent")) as url, aiohttp.ClientSession(headers=headers) as http:
        yield Caller(http, url)


async def test_directories_are_listed_with_where_they_are(place: Place, portal: Caller) -> None:
    await place.write(f"{OUTPUT}/model.bin", b"12345")
    found = await portal.json("trial-files/aaaaa?path=1/master-0")
    assert isinstance(found["files"], list)
    entries = [(its["name"], its["isDirectory"], its["size"]) for its in found["files"]]
    assert entries == [("output", True, 0), ("stdout", False, 11)]
    assert found["total"] == 2
    # Where the portal alone shows the storage, there is no address to give.
    whole = place.url(f"nni/{EXPERIMENT}/aaaaa/1/master-0") if place.url else None
    assert found["url"] == whole
    assert (await portal.json("trial-files/aaaaa?path=nothing"))["files"] == []


@pytest.mark.parametrize(
    ("asked", "status", "content", "part"),
    [
        ("bytes=0-3", 206, "0123", "bytes 0-3/11"),
        ("bytes=4-", 206, "456789\n", "bytes 4-10/11"),
        ("bytes=-3", 206, "89\n", "bytes 8-10/11"),
        ("bytes=-400", 206, "0123456789\n", "bytes 0-10/11"),
        ("bytes=8-400", 206, "89\n", "bytes 8-10/11"),
        ("bytes=11-", 416, None, "bytes */11"),
        ("bytes=400-500", 416, None, "bytes */11"),
        ("bytes=-0", 416, None, "bytes */11"),
        ("bytes=5-4", 200, "0123456789\n", None),
        ("lines=1-2", 200, "0123456789\n", None),
        ("bytes=0-1,4-5", 200, "0123456789\n", None),
    ],
)
async def test_a_range(portal: Caller, asked: str, status: int, content: str | None, part: str | None) -> None:
    answer = await portal.get("trial-file/aaaaa/1/master-0/stdout", Range=asked)
    assert (answer.status, answer.headers.get("Content-Range")) == (status, part)
    if content is None:
        assert answer.content == b'{"error":"The file has 11 bytes."}'
    else:
        assert answer.content.decode() == content
        assert answer.headers["Content-Length"] == str(len(content))
        assert answer.headers["Accept-Ranges"] == "bytes"


async def test_a_range_of_what_may_have_changed_is_the_whole(portal: Caller) -> None:
    answer = await portal.get("trial-file/aaaaa/stdout", **{"Range": "bytes=4-", "If-Range": '"an-etag"'})
    assert (answer.status, answer.content) == (200, b"0123456789\n")


async def test_the_head_alone(portal: Caller) -> None:
    async with portal.http.head(portal.at("trial-file/aaaaa/stdout")) as answer:
        assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "11", b"")


async def test_the_tail(portal: Caller) -> None:
    answer = await portal.get("trial-file/aaaaa/stdout?offset=-4")
    assert (answer.content, answer.headers["X-Offset"], answer.headers["X-Size"]) == (b"789\n", "7", "11")


async def test_a_growing_file_is_followed_until_its_trial_ends(
    place: Place, tale: story.Story, portal: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where the manager takes the growth in itself, it tells its readers: no look by the clock is needed.
    monkeypatch.setattr(shelf, "FOLLOW_SECONDS", 0.02 if place.growth is None else 3600.0)
    async with asyncio.timeout(20), portal.http.get(portal.at("trial-file/aaaaa/stdout?offset=-3&follow")) as answer:
        assert await answer.content.readline() == b"89\n"
        for number in range(20):
            await place.grow("1/master-0/stdout", b"line %d\n" % number)
            assert await answer.content.readline() == b"line %d\n" % number
        await place.grow("1/master-0/stdout", b"the last")
        tale.ends("aaaaa")
        assert await answer.content.read() == b"the last"
    if isinstance(place.here, kept.KeptVolume):
        assert not place.here._listeners


async def test_a_file_is_followed_from_before_it_is_there(
    place: Place, tale: story.Story, portal: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "FOLLOW_SECONDS", 0.02 if place.growth is None else 3600.0)
    async with asyncio.timeout(20), portal.http.get(portal.at("trial-file/aaaaa/stderr?follow")) as answer:
        if place.growth is None:
            await place.write("1/master-0/stderr", b"first\n")
        else:
            await place.grow("1/master-0/stderr", b"first\n")
        assert await answer.content.readline() == b"first\n"
        tale.ends("aaaaa")
        assert await answer.content.read() == b""


NAMES = ["with blank", "Grüße 世界", "it's", "#1x=y%20", "%2e%2e", "a&b+c", "50%", "..hidden", "semi;colon"]
ODD = ['"quoted"', "a\nb", "back\\slash", "what?", os.fsdecode(b"latin-\xe9")]


async def _is_reached_by_any_name(place: Place, portal: Caller, names: list[str]) -> None:
    for name in names:
        await place.write(f"{OUTPUT}/{name}", name.encode(errors="surrogateescape"))
    listed = (await portal.json(f"trial-files/aaaaa?path={OUTPUT}"))["files"]
    assert isinstance(listed, list)
    printable = [os.fsencode(name).decode("utf-8", "replace") for name in names]
    assert sorted(its["name"] for its in listed) == sorted(printable)
    for its in listed:
        answer = await portal.get(f"trial-file/aaaaa/{OUTPUT}/{its['quoted']}?download")
        assert answer.status == 200, answer.content
        assert answer.content.decode(errors="replace") == its["name"]
        disposition = answer.headers["Content-Disposition"]
        assert disposition.isascii()
        assert disposition.endswith(f"filename*=UTF-8''{_percent(its['name'])}")
    archive = await portal.get("trial-archive/aaaaa")
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as opened:
        assert {f"aaaaa/{OUTPUT}/{name}" for name in names} <= set(opened.getnames())


def _percent(text: str) -> str:
    plain = frozenset(string.ascii_letters + string.digits + "-._~")
    return "".join(chr(byte) if chr(byte) in plain else f"%{byte:02X}" for byte in text.encode())


async def test_files_are_reached_by_any_name(place: Place, portal: Caller) -> None:
    await _is_reached_by_any_name(place, portal, NAMES)


@on_posix
async def test_files_are_reached_by_names_that_file_systems_allow(place: Place, portal: Caller) -> None:
    await _is_reached_by_any_name(place, portal, ODD)


async def test_an_archive_has_everything_as_it_is(place: Place, portal: Caller) -> None:
    written = {
        "1/master-0/trial.log": b"a line\n",
        f"{OUTPUT}/empty": b"",
        f"{OUTPUT}/a block": bytes(range(256)) * 2,
        f"{OUTPUT}/deep/er/large": os.urandom(2 * MIB + 1),
    }
    for path, content in written.items():
        await place.write(path, content)
    archive = await portal.get("trial-archive/aaaaa")
    assert (archive.status, archive.headers["Content-Type"]) == (200, "application/x-tar")
    assert archive.headers["Content-Disposition"] == "attachment; filename=\"aaaaa.tar\"; filename*=UTF-8''aaaaa.tar"
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as opened:
        folders = {its.name for its in opened if its.isdir()}
        files = {its.name: opened.extractfile(its) for its in opened if its.isfile()}
        found = {name: file.read() for name, file in files.items() if file is not None}
    everything = {"1/master-0/stdout": b"0123456789\n", **written}
    assert found == {f"aaaaa/{path}": content for path, content in everything.items()}
    assert folders == {f"aaaaa/{path}" for path in ("1", "1/master-0", OUTPUT, f"{OUTPUT}/deep", f"{OUTPUT}/deep/er")}


@pytest.mark.parametrize("name", ["page.html", "icon.svg", "script.js", "data.xml", "page.HTML", "image.png"])
@pytest.mark.parametrize("wish", ["", "?download"])
async def test_nothing_that_a_trial_wrote_runs_in_the_portals_origin(
    place: Place, portal: Caller, name: str, wish: str
) -> None:
    await place.write(f"{OUTPUT}/{name}", b"<script>alert(1)</script>")
    answer = await portal.get(f"trial-file/aaaaa/{OUTPUT}/{name}{wish}")
    usual = "image/png" if name.endswith("png") else "text/plain; charset=utf-8"
    assert answer.headers["Content-Type"] == ("application/octet-stream" if wish else usual)
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert ("Content-Disposition" in answer.headers) is bool(wish)


UP = "../bbbbb/1/master-0/stdout"
ABOVE = [
    UP,
    f"1/../{UP}",
    "1/master-0/../../../bbbbb/1/master-0/stdout",
    "%2e%2e/bbbbb/1/master-0/stdout",
    "%2E%2E%2fbbbbb%2F1%2fmaster-0%2fstdout",
    "..%2f..%2f..%2f..%2fsecret",
    "..%2f..%2f..%2fsecret",
    "..%2f..%2fother456%2fccccc%2f1%2fmaster-0%2fstdout",
    "1%2f..%2f..%2fbbbbb%2f1%2fmaster-0%2fstdout",
    "1/master-0/stdout%00",
    "%00/../../bbbbb/1/master-0/stdout",
    "..",
    "%2e%2e",
    "1/..",
]
ELSEWHERE = [
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "%2f%2fetc/passwd",
    "%252e%252e/bbbbb/1/master-0/stdout",
    "%252e%252e%252fbbbbb%252f1%252fmaster-0%252fstdout",
    "..%5cbbbbb%5c1%5cmaster-0%5cstdout",
    "..\\bbbbb\\1\\master-0\\stdout",
    "%5c..%5c..%5csecret",
    "%c0%ae%c0%ae/bbbbb/1/master-0/stdout",
    "%ef%bc%8e%ef%bc%8e/bbbbb/1/master-0/stdout",
    "~/secret",
    "x" * 300,
]


@pytest.mark.parametrize("path", ABOVE)
async def test_no_path_leads_above_the_trial(portal: Caller, path: str) -> None:
    ways = (f"trial-file/aaaaa/{path}", f"trial-file/aaaaa/{path}?follow", f"trial-files/aaaaa?path={path}")
    for asked in ways:
        answer = await portal.get(asked)
        assert (answer.status, b"is not a path on the volume" in answer.content) == (400, True), answer.content


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_no_path_leads_elsewhere(portal: Caller, path: str) -> None:
    answer = await portal.get(f"trial-file/aaaaa/{path}")
    assert answer.status in (400, 404), answer.content
    listed = await portal.get(f"trial-files/aaaaa?path={path}")
    assert listed.status == 400 or b'"files":[],"total":0' in listed.content


@pytest.mark.parametrize(
    "path",
    [
        "trial-file/ccccc/1/master-0/stdout",
        "trial-file/..%2faaaaa/1/master-0/stdout",
        "trial-file/aaaaa%2f..%2fbbbbb/1/master-0/stdout",
        "trial-file/../aaaaa/stdout",
        "trial-file/%2e%2e/secret",
        "trial-file/AAAAA/1/master-0/stdout",
        "trial-file/aaaaa%00/1/master-0/stdout",
        "trial-files/ccccc?path=1/master-0",
        "trial-files/..%2fother456%2fccccc",
        "trial-files/%2e%2e",
        "trial-archive/ccccc",
        "trial-archive/..",
        "trial-archive/..%2fother456%2fccccc",
        "trial-archive/%2e%2e%2fother456",
    ],
)
async def test_only_trials_of_this_experiment_are_shown(portal: Caller, path: str) -> None:
    answer = await portal.get(path)
    assert answer.status == 404, answer.content


@on_posix
async def test_links_are_neither_followed_nor_do_they_spoil_the_rest(
    place: Place, portal: Caller, tmp_path: Path
) -> None:
    outside = place.outside
    await place.write(f"{OUTPUT}/kept", b"kept")
    top = place.of(OUTPUT)
    links = {
        "file": outside / "secret",
        "folder": outside,
        "near": Path("../../../../bbbbb/1/master-0/stdout"),
        "other": Path("../../../../bbbbb"),
        "absolute": Path("/etc/passwd"),
        "nowhere": Path("/nowhere"),
        "itself": Path("itself"),
    }
    for name, target in links.items():
        (top / name).symlink_to(target)
    os.mkfifo(top / "pipe")
    for path in (*links, "pipe", "folder/secret", "other/1/master-0/stdout"):
        for wish in ("", "?follow"):
            answer = await portal.get(f"trial-file/aaaaa/{OUTPUT}/{path}{wish}")
            said = answer.content.decode()
            assert (answer.status, "symbolic link" in said) == (400, True), (path, said)
    for path in ("folder", "other"):
        answer = await portal.get(f"trial-files/aaaaa?path={OUTPUT}/{path}")
        assert (answer.status, b"symbolic link" in answer.content) == (400, True)

    listed = await portal.get(f"trial-files/aaaaa?path={OUTPUT}")
    archive = await portal.get("trial-archive/aaaaa")
    assert (listed.status, archive.status) == (200, 200)
    assert SECRET not in listed.content + archive.content
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as opened:
        names = set(opened.getnames())
        note = opened.extractfile(f"aaaaa/{shelf.LEFT_OUT}")
        assert note is not None
        left_out = {line.partition(": ")[0] for line in note.read().decode().splitlines()}
    assert f"aaaaa/{OUTPUT}/kept" in names
    assert left_out == {f"{OUTPUT}/{name}" for name in (*links, "pipe")}
    assert not names & {f"aaaaa/{OUTPUT}/{name}" for name in (*links, "pipe")}


async def _swap(place: Place, path: str, target: Path) -> None:
    """Put a link in the place of a file or a directory, at once where that can be."""
    link, mine, moved = place.of(f"{OUTPUT}/link"), place.of(path), place.of(f"{OUTPUT}/moved")
    top = layout.trial(EXPERIMENT, "aaaaa")
    way = os.path.relpath(target, mine.parent)
    if mine.is_file() and place.claim is not None:
        link.symlink_to(way)
        link.replace(mine)
    elif mine.is_file():
        # Not behind an NFS server's back: it remembers what there was.
        link.symlink_to(way)
        await place.here.rename(f"{top}/{OUTPUT}/link", f"{top}/{path}")
    elif isinstance(place.here, mounted.MountedVolume):
        mine.rename(moved)
        mine.symlink_to(way)
    else:
        await place.here.rename(f"{top}/{path}", f"{top}/{OUTPUT}/moved")
        mine.symlink_to(way)


def _become_nobody() -> None:
    """Let this thread have files as nobody has them: root may read everything."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).setfsuid(65534)


@pytest.mark.parametrize(
    "place", ["kept", "mounted", pytest.param("libnfs", marks=pytest.mark.requires("nfs")), "claim"], indirect=True
)
async def test_what_the_manager_has_no_right_to_read_spoils_nothing_else(place: Place, portal: Caller) -> None:
    await place.write(f"{OUTPUT}/kept", b"kept")
    await place.write(f"{OUTPUT}/z", b"behind them")
    closed = {place.of(f"{OUTPUT}/closed"): 0o000, place.of("checkpoint/epoch"): 0o644}
    closed |= {place.of(f"{OUTPUT}/{name}/inner"): 0o644 for name in ("shut", "listed")}
    for path, mode in closed.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"root's own, who is nobody to an NFS server")
        path.chmod(mode)
    shut = {place.of("checkpoint"): 0o000, place.of(f"{OUTPUT}/shut"): 0o000, place.of(f"{OUTPUT}/listed"): 0o444}
    for folder in place.root.parents:
        if folder.is_relative_to("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(initializer=_become_nobody))
    try:
        for folder, mode in shut.items():
            folder.chmod(mode)
        archive = await portal.get("trial-archive/aaaaa")
        assert isinstance(place.volume, mounted.MountedVolume | nfs_direct.NfsVolume)
        size = await place.volume.usage(layout.trial(EXPERIMENT, "aaaaa"))
        with pytest.raises(errors.VolumeError, match="permission denied"):
            await place.volume.usage(f"{layout.trial(EXPERIMENT, 'aaaaa')}/checkpoint")
    finally:
        for folder in shut:
            folder.chmod(0o700)
            shutil.rmtree(folder)
    assert archive.status == 200
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as opened:
        note = opened.extractfile(f"aaaaa/{shelf.LEFT_OUT}")
        assert note is not None
        left_out = ("checkpoint", f"{OUTPUT}/closed", f"{OUTPUT}/listed/inner", f"{OUTPUT}/shut")
        expected = {f"{path}: this machine has no right to read it" for path in left_out}
        assert set(note.read().decode().splitlines()) == expected
        assert {f"aaaaa/{OUTPUT}/{name}" for name in ("kept", "z")} <= set(opened.getnames())
    assert size == len(b"0123456789\n" + b"kept" + b"behind them" + b"root's own, who is nobody to an NFS server")


async def _look_for(what: bytes, content: aiohttp.StreamReader, found: list[bool]) -> None:
    while part := await content.readany():
        found.append(what in part)


@on_posix
@pytest.mark.parametrize("swapped", ["large", "deep/large", "deep"])
@pytest.mark.parametrize("how", ["trial-file/aaaaa/" + OUTPUT + "/deep/large", "trial-archive/aaaaa"])
async def test_a_link_that_is_swapped_in_during_a_read_breaks_the_answer_off(
    place: Place, portal: Caller, tmp_path: Path, swapped: str, how: str
) -> None:
    if swapped == "large":
        how = how.replace("deep/", "")
    mine = f"{OUTPUT}/{'large' if swapped == 'large' else 'deep/large'}"
    await place.sparse(mine, 24 * MIB, b"the end")
    # On the same volume, as that is all that a pod can have a link lead to.
    other = place.of("1/master-0" if place.claim is None else OUTPUT, "bbbbb")
    other.mkdir(parents=True, exist_ok=True)
    with (other / "large").open("wb") as file:
        file.write(b"S" * 24 * MIB)
    target = other if swapped == "deep" else other / "large"
    async with asyncio.timeout(60), portal.http.get(portal.at(how)) as answer:
        assert answer.status == 200
        await answer.content.readexactly(MIB)
        await _swap(place, f"{OUTPUT}/{swapped}", target)
        parts: list[bool] = []
        with pytest.raises(aiohttp.ClientPayloadError):
            await _look_for(b"S" * 100, answer.content, parts)
        assert not any(parts)
    os.truncate(other / "large", 0)  # it takes room that is kept after the tests


async def test_a_download_of_a_file_that_becomes_shorter_breaks_off(place: Place, portal: Caller) -> None:
    await place.sparse(f"{OUTPUT}/large", 64 * MIB, b"the end")
    async with asyncio.timeout(60), portal.http.get(portal.at(f"trial-file/aaaaa/{OUTPUT}/large")) as answer:
        assert answer.headers["Content-Length"] == str(64 * MIB)
        await answer.content.readexactly(MIB)
        await place.write(f"{OUTPUT}/large", b"short")
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()


async def test_a_download_is_never_half_of_one_file_and_half_of_another(place: Place, portal: Caller) -> None:
    old, new = b"o" * 24 * MIB, b"n" * 32 * MIB
    await place.write(f"{OUTPUT}/last.pt", old)
    async with asyncio.timeout(60), portal.http.get(portal.at(f"trial-file/aaaaa/{OUTPUT}/last.pt")) as answer:
        await answer.content.readexactly(MIB)
        await place.write(f"{OUTPUT}/last.pt", new)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()
    again = await portal.get(f"trial-file/aaaaa/{OUTPUT}/last.pt")
    assert again.content == new


@pytest.mark.parametrize("how", ["trial-archive/aaaaa", f"trial-file/aaaaa/{OUTPUT}/large"])
async def test_a_large_file_passes_through_little_memory(place: Place, portal: Caller, how: str) -> None:
    size, end = 200 * MIB, b"the end of it"
    await place.sparse(f"{OUTPUT}/large", size, end)
    await place.write(f"{OUTPUT}/z", b"behind it")
    tracemalloc.start()
    try:
        async with asyncio.timeout(120), portal.http.get(portal.at(how)) as answer:
            assert answer.status == 200
            count, last = 0, b""
            while part := await answer.content.readany():
                count, last = count + len(part), (last + part)[-MIB:]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size <= count < size + MIB
    assert end in last
    # Both sides, and the double of Azure, are in this process.
    assert peak < 24 * MIB


async def test_a_directory_of_many_names_is_listed_in_part_and_says_so(
    place: Place, portal: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "MOST_ENTRIES", 30)
    for number in range(40):
        await place.write(f"{OUTPUT}/{number:02}", b"x")
    found = await portal.json(f"trial-files/aaaaa?path={OUTPUT}")
    assert isinstance(found["files"], list)
    assert ([its["name"] for its in found["files"]], found["total"]) == ([f"{number:02}" for number in range(30)], 40)
