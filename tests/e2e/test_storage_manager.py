"""Trials that share no volume with the manager: real intake, real runtime, what a container would run."""

import asyncio
import contextlib
import datetime as dt
import errno
import hashlib
import io
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yarl
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nni.core import event, model, spec
from nni.experiment import Experiment, KubeflowRoleConfig
from nni.manager.files import Files
from nni.runtime import archive, post, relay, remote, sweep
from nni.server import exchange, intake, listen, parts, pieces
from nni.storage import bundle, kept
from nni.testing.sandbox import Connection, Sandbox
from nni.wire import bootstrap, layout
from nni.wire import files as wire
from nni.wire import intake as intake_wire

TOKEN = "s3cret"
EXPERIMENT = model.ExperimentId("exp1")
TRIAL = model.TrialId("k2f9z")
DIRECTORY = "nni/exp1/k2f9z"

TRAIN = """\
import os, pathlib, sys
import nni

parameters = nni.get_next_parameter()
place = pathlib.Path(os.environ["NNI_CHECKPOINT_DIR"])
before = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
print("parameters", parameters, "checkpoints", before, flush=True)
print("to stderr", file=sys.stderr, flush=True)
nni.report_intermediate_result(0.5)
(place / "deep er").mkdir(exist_ok=True)
(place / "deep er" / f"epoch-{len(before)}.bin").write_bytes(os.urandom(3_000_000))
for old in before:
    (place / old).unlink()
pathlib.Path("model.bin").write_bytes(b"m" * 1000)
pathlib.Path(os.environ["NNI_OUTPUT_DIR"], "Grüße\\n").write_text("x")
pathlib.Path(os.environ["NNI_OUTPUT_DIR"], "both").write_text("its own")
pathlib.Path("both").write_text("another")
(sys.stdin.read() if "--wait" not in sys.argv else __import__("signal").pause())
nni.report_final_result(0.75)
"""


class Manager:
    """One attempt's manager: its volume and its intake."""

    def __init__(self, directory: Path, command: str, *, limit: int = 200 << 20) -> None:
        self.limit = limit
        self.volume = kept.KeptVolume(directory / "volume")
        self.root = directory / "volume"
        self.root.mkdir()
        self.pods = directory / "pods"
        code = directory / "code"
        code.mkdir()
        (code / "train.py").write_text(TRAIN)
        self.role = spec.RoleSpec(name="master", replicas=1, command=command, code_directory=str(code))
        self.files = Files(
            volume=self.volume,
            experiment_id=EXPERIMENT,
            roles=[self.role],
            bundles={str(code): bundle.pack(code)},
            runtime=archive.build(),
            url=str,
        )
        self.begin()
        self.reports: list[event.ReplicaReported] = []
        self.port = 0

    def begin(self, idle: float = parts.IDLE_SECONDS) -> None:
        """Know nothing but what is on the volume, as after a restart."""
        self.exchange = exchange.Exchange(
            experiment_id=EXPERIMENT, volume=self.volume, needs=self.files.needs, limit=self.limit, idle=idle
        )

    def verify(self, attempt: model.AttemptKey, token: str) -> bool | None:
        return token == TOKEN if attempt.trial == TRIAL and attempt.number in (1, 2) else None

    async def accept(self, reported: event.ReplicaReported) -> int:
        self.reports.append(reported)
        return max((metric.number for one in self.reports for metric in one.metrics), default=0)

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["Manager"]:
        app = intake.make_app(experiment_id=EXPERIMENT, verify=self.verify, accept=self.accept, files=self.exchange)
        async with listen.serve(app, listen.bind("127.0.0.1", port)) as self.port:
            yield self

    async def prepare(self, number: int = 1) -> None:
        await self.files.upload()
        order = model.JobOrder(attempt=model.AttemptKey(TRIAL, number), sequence=0, slot=0)
        await self.files.prepare(order, 0, {"x": 1})

    async def pod(self, number: int = 1, changes: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
        """Start what a container of the attempt runs."""
        own = self.pods / str(number)
        runtime = archive.build().digest
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "NNI_VOLUME": str(own / "volume"),
            "NNI_POD_DIR": str(own / "pod"),
            "NNI_STORAGE": "manager",
            "NNI_INTAKE_URL": f"http://127.0.0.1:{self.port}",
            "NNI_TRIAL_TOKEN": TOKEN,
            "NNI_EXP_ID": EXPERIMENT,
            "NNI_TRIAL_JOB_ID": TRIAL,
            "NNI_TRIAL_ATTEMPT": str(number),
            "NNI_ROLE": "master",
        }
        command = bootstrap.command(layout.runtime(EXPERIMENT, runtime), runtime)
        return await asyncio.create_subprocess_exec(
            *command,
            env={**environment, **(changes or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    def read(self, path: str) -> str:
        place = self.root / DIRECTORY / path
        return place.read_text() if place.exists() else ""

    def tree(self, path: str) -> list[str]:
        top = self.root / DIRECTORY / path
        return sorted(str(one.relative_to(top)) for one in top.rglob("*") if one.is_file())


async def until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for files, of which no event tells."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_trial_fetches_its_code_and_sends_what_it_made(tmp_path: Path) -> None:
    async with Manager(tmp_path, "python3 train.py").serving() as manager:
        await manager.prepare()
        process = await manager.pod()
        stdout, stderr = await process.communicate()

    assert process.returncode == 0, stderr.decode()
    assert stdout.decode() == "parameters {'x': 1} checkpoints []\n"
    assert manager.read("1/master-0/stdout") == stdout.decode()
    assert manager.read("1/master-0/stderr") == "to stderr\n"
    assert "the replica ends with exit code 0 after 2 metrics" in manager.read("1/master-0/trial.log")
    assert manager.read("1/master-0/metrics.jsonl").count("\n") == 2
    assert '"code": 0' in manager.read("1/master-0/exit.json")
    assert manager.tree("1/master-0/output") == ["Grüße\n", "both", "model.bin"]
    assert manager.tree("checkpoint") == ["deep er/epoch-0.bin"]
    assert manager.read("1/master-0/output/both") == "its own"
    # What came with the code is not sent back, and no token stands anywhere.
    everything = b"".join(path.read_bytes() for path in manager.root.rglob("*") if path.is_file())
    assert TOKEN.encode() not in everything


async def test_a_killed_trial_has_left_its_output_up_to_the_last_second(tmp_path: Path) -> None:
    async with Manager(tmp_path, "python3 train.py --wait").serving() as manager:
        await manager.prepare()
        process = await manager.pod()
        await until(lambda: manager.read("1/master-0/metrics.jsonl").count("\n") == 1)
        await until(lambda: "to stderr" in manager.read("1/master-0/stderr"))
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    assert manager.read("1/master-0/stdout") == "parameters {'x': 1} checkpoints []\n"
    assert "the command runs" in manager.read("1/master-0/trial.log")


async def test_the_next_attempt_finds_the_checkpoint_and_what_it_deletes_is_gone(tmp_path: Path) -> None:
    async with Manager(tmp_path, "python3 train.py").serving() as manager:
        for number in (1, 2):
            await manager.prepare(number)
            process = await manager.pod(number)
            _, stderr = await process.communicate()
            assert process.returncode == 0, stderr.decode()

    assert manager.read("2/master-0/stdout") == "parameters {'x': 1} checkpoints ['deep er/epoch-0.bin']\n"
    assert manager.tree("checkpoint") == ["deep er/epoch-1.bin"]


async def test_a_manager_that_is_away_for_a_while_gets_everything(tmp_path: Path) -> None:
    manager = Manager(tmp_path, "python3 train.py")
    async with manager.serving():
        await manager.prepare()
        port = manager.port
    process = await manager.pod()
    async with manager.serving(port):
        _, stderr = await process.communicate()

    assert process.returncode == 0, stderr.decode()
    assert manager.tree("1/master-0/output") == ["Grüße\n", "both", "model.bin"]


async def test_a_trial_over_its_limit_is_told_and_goes_on(tmp_path: Path) -> None:
    async with Manager(tmp_path, "python3 train.py", limit=1 << 20).serving() as manager:
        await manager.prepare()
        process = await manager.pod()
        _, stderr = await process.communicate()

    assert process.returncode == 0
    assert "may leave 1 MiB with the manager (storage.output_limit)" in stderr.decode()
    assert manager.tree("checkpoint") == []
    assert manager.tree("1/master-0/output") == ["Grüße\n", "both", "model.bin"]
    assert '"code": 0' in manager.read("1/master-0/exit.json")


async def test_what_the_last_sweep_leaves_out_is_told_in_the_trials_log(tmp_path: Path) -> None:
    # The first takes its time, in which all that the trial says is sent.
    command = "head -c 15000000 /dev/urandom > a; head -c 15000000 /dev/urandom > b"
    async with Manager(tmp_path, command, limit=16 << 20).serving() as manager:
        await manager.prepare()
        process = await manager.pod()
        await process.communicate()

    assert manager.tree("1/master-0/output") == ["a"]
    (line,) = (line for line in manager.read("1/master-0/trial.log").splitlines() if "WARNING" in line)
    assert "b, and perhaps others, stay in the pod" in line
    assert "may leave 16 MiB with the manager (storage.output_limit)" in line
    assert '"code": 0' in manager.read("1/master-0/exit.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"NNI_TRIAL_TOKEN": "another"}, "answers 401"),
        ({"NNI_EXP_ID": "exp2"}, "answers 404"),
    ],
)
async def test_a_pod_that_is_not_let_in_says_so_at_once(change: dict[str, str], said: str, tmp_path: Path) -> None:
    async with Manager(tmp_path, "true").serving() as manager:
        await manager.prepare()
        process = await manager.pod(changes=change)
        _, stderr = await process.communicate()

    assert process.returncode == 126
    assert f"nni: this trial cannot start: the manager at http://127.0.0.1:{manager.port} {said}" in stderr.decode()


async def test_a_runtime_that_was_tampered_with_is_not_run(tmp_path: Path) -> None:
    async with Manager(tmp_path, "true").serving() as manager:
        await manager.prepare()
        (path,) = (manager.root / "nni/exp1/runtime").iterdir()
        path.write_bytes(path.read_bytes() + b"#")
        process = await manager.pod()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.5):
                await process.wait()
        assert process.returncode is None
        assert not (tmp_path / "pods").exists()
        process.terminate()
        assert await process.wait() == 143
        await process.communicate()


@contextlib.asynccontextmanager
async def serving_tls(manager: Manager, directory: Path) -> AsyncIterator[str]:
    """Serve the intake by TLS with a certificate of its own, and yield its sha256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "intake")])
    now = dt.datetime.now(dt.UTC)
    signed = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1)
    ).sign(key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "pem")
    app = intake.make_app(
        experiment_id=EXPERIMENT, verify=manager.verify, accept=manager.accept, files=manager.exchange
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    manager.port = runner.addresses[0][1]
    yield signed.fingerprint(hashes.SHA256()).hex()
    await runner.cleanup()


async def test_over_tls_the_certificate_has_to_be_the_one_that_was_named(tmp_path: Path) -> None:
    manager = Manager(tmp_path, "python3 train.py")
    async with serving_tls(manager, tmp_path) as fingerprint:
        await manager.prepare()
        told = {"NNI_INTAKE_URL": f"https://127.0.0.1:{manager.port}", "NNI_INTAKE_CERT_SHA256": fingerprint}
        process = await manager.pod(changes=told)
        _, stderr = await process.communicate()
        assert process.returncode == 0, stderr.decode()
        assert manager.tree("1/master-0/output") == ["Grüße\n", "both", "model.bin"]

        await manager.prepare(2)
        process = await manager.pod(2, changes={**told, "NNI_INTAKE_CERT_SHA256": "0" * 64})
        _, stderr = await process.communicate()
        assert (process.returncode, b"is not the one this trial was told to trust" in stderr) == (126, True)
    assert manager.tree("2") == ["parameter.cfg", "run_master.sh"]


class Client:
    """Talks to the exchange as a pod might."""

    def __init__(self, http: aiohttp.ClientSession, port: int, attempt: int = 1, index: int = 0) -> None:
        self._http = http
        self._base = f"http://127.0.0.1:{port}/api/v1/intake/exp1/k2f9z/{attempt}/master/{index}/files"

    async def send(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        offset: int = 0,
        whole: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        stated = {
            "Authorization": f"Bearer {TOKEN}",
            wire.OFFSET: str(offset),
            wire.DIGEST: wire.encode_digest(hashlib.sha256(content).digest()),
        }
        if whole is not None:
            stated[wire.LENGTH] = str(len(whole))
            stated[wire.WHOLE_DIGEST] = wire.encode_digest(hashlib.sha256(whole).digest())
        async with self._http.request(
            method, yarl.URL(f"{self._base}/{path}", encoded=True), data=io.BytesIO(content),
            headers={**stated, **(headers or {})},
        ) as answer:  # fmt: skip
            return answer.status, await answer.json() if "json" in answer.content_type else await answer.read()


@contextlib.asynccontextmanager
async def talking(directory: Path, limit: int = 200 << 20) -> AsyncIterator[tuple[Manager, Client]]:
    manager = Manager(directory, "true", limit=limit)
    await manager.prepare()
    async with talking_to(manager) as client:
        yield manager, client


@contextlib.asynccontextmanager
async def talking_to(manager: Manager, attempt: int = 1) -> AsyncIterator[Client]:
    async with manager.serving(), aiohttp.ClientSession() as http:
        yield Client(http, manager.port, attempt)


STDOUT = f"{DIRECTORY}/1/master-0/stdout"
MODEL = f"{DIRECTORY}/1/master-0/output/model.bin"


async def test_a_growing_file_takes_each_piece_once(tmp_path: Path) -> None:
    async with talking(tmp_path) as (manager, client):
        assert await client.send("PATCH", STDOUT, b"one\n") == (200, {"size": 4})
        assert await client.send("PATCH", STDOUT, b"one\n") == (200, {"size": 4})
        assert await client.send("PATCH", STDOUT, b"three\n", 8) == (409, {"size": 4})
        assert await client.send("PATCH", STDOUT, b"e\ntwo\n", 2) == (200, {"size": 8})
    assert manager.read("1/master-0/stdout") == "one\ntwo\n"


async def test_a_whole_file_is_resumed_and_seen_when_it_is_whole(tmp_path: Path) -> None:
    whole = os.urandom(2_500_000)
    async with talking(tmp_path) as (manager, client):
        assert await client.send("PUT", MODEL, whole[:1_000_000], 0, whole) == (200, {"size": 1_000_000})
        assert manager.tree("1/master-0/output")[0].startswith(".nni-put-")
        # Whoever has lost count asks with nothing.
        assert await client.send("PUT", MODEL, b"", 0, whole) == (200, {"size": 1_000_000})
        assert await client.send("PUT", MODEL, whole[1_000_000:], 1_000_000, whole) == (200, {"size": 2_500_000})
        assert await client.send("PUT", MODEL, b"", 0, whole) == (200, {"size": 2_500_000})
        assert await client.send("PUT", MODEL, b"", 0, b"") == (200, {"size": 0})
        assert manager.tree("1/master-0/output") == ["model.bin"]
        assert manager.read("1/master-0/output/model.bin") == ""


class Counting(post.Post):
    """A connection that counts what it sends of files."""

    sent = 0

    def request(self, request: post.Request, seconds: float) -> tuple[int, bytes]:
        self.sent += len(request.body or b"")
        return super().request(request, seconds)


async def test_of_a_file_that_has_only_grown_the_rest_is_sent(tmp_path: Path) -> None:
    place, step = tmp_path / "train.csv", 1_500_000
    async with talking(tmp_path) as (manager, client):
        connection = Counting(
            f"http://127.0.0.1:{manager.port}", intake_wire.path(EXPERIMENT, TRIAL, 1, "master", 0), TOKEN, ""
        )
        sink = remote.Sink(remote.Remote(connection), f"{DIRECTORY}/1/master-0/output")

        async def sent_by_a_sweep() -> int:
            before, size = connection.sent, place.stat().st_size
            assert await asyncio.to_thread(sink.put, str(place), "model.bin", size, lambda: False)
            assert (manager.root / MODEL).read_bytes() == place.read_bytes()
            assert begun(manager) == []
            return connection.sent - before

        place.write_bytes(b"")
        assert await sent_by_a_sweep() == 0
        for _ in range(4):
            with place.open("ab") as file:
                file.write(os.urandom(step))
            assert await sent_by_a_sweep() == step
        # Another file, though it is longer.
        place.write_bytes(os.urandom(5 * step))
        assert await sent_by_a_sweep() == 5 * step
        # The manager does not have what it is said to have: the first piece of the rest was in vain.
        assert await client.send("PUT", MODEL, b"x", 0, b"x") == (200, {"size": 1})
        with place.open("ab") as file:
            file.write(b"more")
        assert await sent_by_a_sweep() == 5 * step + 4 + 4
        sink.close()


async def test_what_is_damaged_or_changed_is_not_taken(tmp_path: Path) -> None:
    async with talking(tmp_path) as (manager, client):
        damaged = wire.encode_digest(bytes(32))
        status, answer = await client.send("PATCH", STDOUT, b"one", headers={wire.DIGEST: damaged})
        assert (status, "damaged" in answer["error"]) == (412, True)
        status, answer = await client.send("PUT", MODEL, b"other", 0, b"whole")
        assert (status, "not what was announced" in answer["error"]) == (422, True)
    assert manager.tree("1/master-0") == []


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        f"{DIRECTORY}/1/worker-0/stdout",
        f"{DIRECTORY}/1/master-1/output/x",
        f"{DIRECTORY}/2/parameter.cfg",
        "nni/exp1/other/checkpoint/x",
        "nni/exp2/k2f9z/checkpoint/x",
        f"{DIRECTORY}/checkpoint/../1/parameter.cfg",
        f"{DIRECTORY}/checkpoint/%2e%2e/%2e%2e/other/checkpoint/x",
        f"{DIRECTORY}/checkpoint//x",
        f"{DIRECTORY}/checkpoint/%00",
        f"{DIRECTORY}/checkpoint/.nni-put-x",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "nni/exp1/runtime/../key",
        "../token",
    ],
)
async def test_a_replica_reaches_nothing_but_its_own(method: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("the portal's")
    async with talking(tmp_path) as (manager, client):
        before = sorted(str(one) for one in tmp_path.rglob("*"))
        status, answer = await client.send(method, path, b"", 0, b"")
        assert status in (403, 404), answer
        assert sorted(str(one) for one in tmp_path.rglob("*")) == before
    del manager


async def test_code_and_scripts_can_be_read_and_not_written(tmp_path: Path) -> None:
    async with talking(tmp_path) as (manager, client):
        for path in (*manager.files.needs("master"), f"{DIRECTORY}/1/parameter.cfg", f"{DIRECTORY}/1/run_master.sh"):
            content = (manager.root / path).read_bytes()
            assert await client.send("GET", path) == (200, content)
            assert await client.send("GET", path, headers={"Range": "bytes=5-"}) == (206, content[5:])
            assert (await client.send("PUT", path, b"", 0, b""))[0] == 403
            assert (await client.send("DELETE", path))[0] == 403


async def test_the_limit_counts_what_is_there_and_frees_what_is_deleted(tmp_path: Path) -> None:
    async with talking(tmp_path, limit=1_000_000) as (_, client):
        big, small = bytes(900_000), bytes(200_000)
        place = f"{DIRECTORY}/checkpoint"
        assert (await client.send("PUT", f"{place}/a", big, 0, big))[0] == 200
        status, answer = await client.send("PUT", f"{place}/b", small, 0, small)
        assert (status, "storage.output_limit" in answer["error"]) == (507, True)
        assert (await client.send("PATCH", STDOUT, small))[0] == 507
        assert (await client.send("PATCH", f"{DIRECTORY}/1/master-0/metrics.jsonl", small))[0] == 200
        assert (await client.send("DELETE", f"{place}/a"))[0] == 200
        assert (await client.send("PUT", f"{place}/b", small, 0, small))[0] == 200


async def test_what_is_counted_of_a_trial_is_what_is_there_though_replicas_send_the_same_name(tmp_path: Path) -> None:
    manager = Manager(tmp_path, "true", limit=1_000_000)
    await manager.prepare()
    async with manager.serving(), aiohttp.ClientSession() as http:
        clients = [Client(http, manager.port, index=index) for index in range(6)]
        place = f"{DIRECTORY}/checkpoint"
        for number in range(10):
            contents = [bytes([index]) * (10_000 * (index + number)) for index in range(6)]
            sent = (
                one.send("PUT", f"{place}/last", each, 0, each) for one, each in zip(clients, contents, strict=True)
            )
            assert [status for status, _ in await asyncio.gather(*sent)] == [200] * 6
            again = (one.send("PUT", f"{place}/last", contents[0], 0, contents[0]) for one in [clients[0]] * 3)
            assert {status for status, _ in await asyncio.gather(*again)} <= {200, 422}

        there = sum(path.stat().st_size for path in (manager.root / DIRECTORY).rglob("*") if path.is_file())
        for more, expected in ((1, 507), (0, 200)):
            rest = bytes(1_000_000 - there + more)
            assert (await clients[0].send("PUT", f"{place}/rest", rest, 0, rest))[0] == expected


async def test_a_new_version_needs_no_room_beside_the_one_that_it_replaces(tmp_path: Path) -> None:
    async with talking(tmp_path, limit=1_000_000) as (manager, client):
        place = f"{DIRECTORY}/checkpoint/last.bin"
        for letter in (b"a", b"b", b"c"):
            content = letter * 900_000
            assert await client.send("PUT", place, content, 0, content) == (200, {"size": 900_000})
        assert manager.read("checkpoint/last.bin") == "c" * 900_000


async def test_what_is_begun_and_never_finished_is_bounded(tmp_path: Path) -> None:
    async with talking(tmp_path, limit=2_000_000) as (_, client):
        statuses = []
        for number in range(30):
            whole = bytes([number]) * 1_500_000
            statuses.append((await client.send("PUT", f"{MODEL}{number}", whole[:1_000_000], 0, whole))[0])
    assert statuses[:10] == [200] * 10
    assert statuses[-1] == 507


async def stalled(manager: Manager, count: int, stack: contextlib.AsyncExitStack) -> list[asyncio.StreamReader]:
    """Begin to send so many pieces, say no more, and return what the manager answers over."""
    readers = []
    for number in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", manager.port)
        stack.callback(writer.close)
        path = f"/api/v1/intake/exp1/k2f9z/1/master/0/files/{MODEL}{number}"
        lines = [f"PUT {path} HTTP/1.1", "Host: intake", f"Authorization: Bearer {TOKEN}", "Content-Length: 1000000"]
        lines += [f"{wire.OFFSET}: 0", f"{wire.LENGTH}: 1000000", "Expect: 100-continue"]
        lines += [f"{name}: {wire.encode_digest(bytes(32))}" for name in (wire.DIGEST, wire.WHOLE_DIGEST)]
        writer.write("\r\n".join([*lines, "", "half"]).encode())
        # From here on it has the attention of the manager.
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        readers.append(reader)
    return readers


async def test_uploads_that_stall_hold_up_nobody(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        manager, client = await stack.enter_async_context(talking(tmp_path))
        waiting = [asyncio.create_task(one.read(100)) for one in await stalled(manager, exchange.AT_ONCE, stack)]
        assert await client.send("PATCH", STDOUT, b"one\n") == (200, {"size": 4})
        # They were not given up for that.
        assert not any(one.done() for one in waiting)

        # With as many as there are places, those go that have fallen silent.
        waiting += [asyncio.create_task(one.read(100)) for one in await stalled(manager, pieces.AT_ONCE, stack)]
        assert await client.send("PATCH", STDOUT, b"two\n", 4) == (200, {"size": 8})
        gone, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert all(b"408 Request Timeout" in one.result() for one in gone)
        for one in left:
            one.cancel()


def begun(manager: Manager) -> list[int]:
    """Return how much has come of what is not whole."""
    return sorted(path.stat().st_size for path in (manager.root / DIRECTORY).rglob(".nni-put-*"))


async def test_another_version_takes_the_room_of_one_that_was_broken_off(tmp_path: Path) -> None:
    async with talking(tmp_path, limit=2_000_000) as (manager, client):
        whole = b""
        for number in range(30):
            whole = bytes([number]) * 1_500_000
            assert (await client.send("PUT", MODEL, whole[:1_000_000], 0, whole))[0] == 200
        assert begun(manager) == [1_000_000]
        assert await client.send("PUT", MODEL, whole[1_000_000:], 1_000_000, whole) == (200, {"size": 1_500_000})
    assert begun(manager) == []


@pytest.mark.parametrize("is_started_again", [False, True])
async def test_the_next_attempt_takes_the_room_of_what_the_last_one_left_undone(
    tmp_path: Path, *, is_started_again: bool
) -> None:
    whole = bytes(1_500_000)
    place = f"{DIRECTORY}/checkpoint"
    async with talking(tmp_path, limit=2_000_000) as (manager, client):
        statuses: list[int] = []
        while not statuses or statuses[-1] == 200:
            statuses.append((await client.send("PUT", f"{place}/{len(statuses)}", whole[:1_000_000], 0, whole))[0])
        assert statuses[-1] == 507
    if is_started_again:
        manager.begin()
    async with talking_to(manager, attempt=2) as client:
        assert (await client.send("PUT", f"{place}/last", whole[:1_000_000], 0, whole))[0] == 200
        assert begun(manager) == [1_000_000]


async def test_a_manager_that_is_started_again_knows_what_was_begun(tmp_path: Path) -> None:
    whole = bytes(1_500_000)
    async with talking(tmp_path, limit=2_000_000) as (manager, client):
        statuses: list[int] = []
        while not statuses or statuses[-1] == 200:
            statuses.append((await client.send("PUT", f"{MODEL}{len(statuses)}", whole[:1_000_000], 0, whole))[0])
        undone = begun(manager)
    manager.begin()
    async with talking_to(manager) as client:
        # It goes on; it is no part of what the trial has; and it is counted.
        assert await client.send("PUT", f"{MODEL}0", b"", 0, whole) == (200, {"size": 1_000_000})
        assert (await client.send("PUT", f"{MODEL}x", whole[:1_000_000], 0, whole))[0] == 507
        assert await client.send("PUT", f"{MODEL}0", whole[1_000_000:], 1_000_000, whole) == (200, {"size": 1_500_000})
        assert begun(manager) == undone[1:]
    # Whoever comes back after a long time begins anew; what nobody came back for is gone.
    manager.begin(idle=0.0)
    async with talking_to(manager) as client:
        assert await client.send("PUT", f"{MODEL}x", b"half", 0, b"half of it") == (200, {"size": 4})
        assert begun(manager) == [4]
        assert (await client.send("DELETE", f"{MODEL}0"))[0] == 200
        assert await client.send("PUT", f"{MODEL}1", whole[1_000_000:], 1_000_000, whole) == (409, {"size": 0})


async def test_a_full_disk_of_the_managers_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking(tmp_path) as (_, client):
        assert (await client.send("PATCH", STDOUT, b"one"))[0] == 200

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "pwrite", full)
        status, answer = await client.send("PATCH", STDOUT, b"two", 3)
        assert (status, "no space is left" in answer["error"]) == (507, True)
        monkeypatch.undo()
        assert await client.send("PATCH", STDOUT, b"two", 3) == (200, {"size": 6})


async def test_what_was_begun_on_a_full_disk_is_not_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bytes(1_500_000)
    async with talking(tmp_path) as (manager, client):
        assert (await client.send("PUT", MODEL, whole[:1_000_000], 0, whole))[0] == 200
        assert begun(manager) == [1_000_000]
        with monkeypatch.context() as patch:

            def full(*_: object) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            patch.setattr(os, "pwrite", full)
            assert (await client.send("PUT", MODEL, whole[1_000_000:], 1_000_000, whole))[0] == 507
        assert begun(manager) == []
        assert await client.send("PUT", MODEL, whole[1_000_000:], 1_000_000, whole) == (409, {"size": 0})
        assert await client.send("PUT", MODEL, whole, 0, whole) == (200, {"size": 1_500_000})


async def test_some_of_the_disk_is_left_to_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fstatvfs

    def nearly_full(descriptor: int) -> os.statvfs_result:
        found = real(descriptor)
        return os.statvfs_result((found.f_bsize, 4096, *found[2:4], exchange.SPARE // 4096, *found[5:]))

    async with talking(tmp_path) as (manager, client):
        assert (await client.send("PUT", MODEL, b"half", 0, b"half of it"))[0] == 200
        monkeypatch.setattr(os, "fstatvfs", nearly_full)
        status, answer = await client.send("PUT", MODEL, b" of it", 4, b"half of it")
        assert (status, "less than 64 MiB left, which are kept: make room" in answer["error"]) == (507, True)
        assert begun(manager) == []
        # What says how it went has some of it.
        assert (await client.send("PUT", f"{DIRECTORY}/1/master-0/exit.json", b"{}", 0, b"{}"))[0] == 200
        assert (await client.send("PATCH", STDOUT, b"one"))[0] == 200


async def test_what_a_trial_says_while_the_disk_is_full_comes_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source = tmp_path / "replica"
    source.mkdir()
    (source / "stdout").write_bytes(b"one\n")
    (source / "exit.json").write_bytes(b"{}")
    said: list[str] = []
    async with talking(tmp_path) as (manager, _):
        relaying = relay.Relay(
            connected(manager),
            source=str(source),
            target=f"{DIRECTORY}/1/master-0",
            growing=["stdout"],
            last="exit.json",
            tell=said.append,
            ended=lambda: None,
        )
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            relaying.start()
            await until(lambda: bool(said))
            assert "no space is left on it: make room: its copy of the output waits" in said[0]
        (source / "stdout").write_bytes(b"one\ntwo\n")
        relaying.announce_last()
        relaying.finish(30)
        await asyncio.to_thread(relaying.join, 30)
        assert manager.read("1/master-0/stdout") == "one\ntwo\n"
        assert manager.read("1/master-0/exit.json") == "{}"
    assert len(said) == 1


async def test_what_cannot_be_written_for_good_is_refused(tmp_path: Path) -> None:
    place = f"{DIRECTORY}/checkpoint"
    async with talking(tmp_path) as (manager, client):
        assert (await client.send("PUT", f"{place}/file", b"x", 0, b"x"))[0] == 200
        assert (await client.send("PUT", f"{place}/a/b/file", b"x", 0, b"x"))[0] == 200
        for path, said in (
            (f"{place}/file/w.pt", "a part of the path is not a directory"),
            (f"{place}/a", "it is a directory"),
            (f"{place}/{'x' * 256}", "a name in it is too long"),
        ):
            status, answer = await client.send("PUT", path, b"more", 0, b"more")
            assert (status, said in answer["error"]) == (403, True), answer
        status, answer = await client.send("PUT", f"{place}/a", b"", 0, b"")
        assert (status, "is a directory" in answer["error"] or "is not a file" in answer["error"]) == (403, True)
        # A path of any length that there can be.
        path = "/".join([place, *["%C3%BC" * 120] * 15, "file"])
        assert await client.send("PUT", path, b"x", 0, b"x") == (200, {"size": 1})
        with pytest.raises(remote.RefusedError, match="answers 400"):
            await asyncio.to_thread(connected(manager).delete, f"{place}/{'x' * 17_000}")


async def test_what_is_deleted_takes_the_directories_along_that_it_leaves_empty(tmp_path: Path) -> None:
    place = f"{DIRECTORY}/checkpoint"
    async with talking(tmp_path) as (manager, client):
        for path in (f"{place}/a/b/one", f"{place}/a/two", f"{DIRECTORY}/1/master-0/output/x"):
            assert (await client.send("PUT", path, b"x", 0, b"x"))[0] == 200
        assert (await client.send("PUT", f"{place}/a/begun", b"x", 0, b"xy"))[0] == 200
        checkpoint = manager.root / place
        for path, left in (("a/b/one", ["a"]), ("a/two", ["a"])):
            assert (await client.send("DELETE", f"{place}/{path}"))[0] == 200
            assert [one.name for one in checkpoint.iterdir()] == left
        assert not (checkpoint / "a/b").exists()
        assert (await client.send("PUT", f"{place}/a/begun", b"y", 1, b"xy"))[0] == 200
        for _ in range(2):
            assert (await client.send("DELETE", f"{place}/a/begun"))[0] == 200
        assert (await client.send("DELETE", f"{DIRECTORY}/1/master-0/output/x"))[0] == 200
        assert list(checkpoint.iterdir()) == []
        assert list((manager.root / DIRECTORY / "1/master-0/output").iterdir()) == []
        assert (await client.send("PUT", f"{place}/a", b"x", 0, b"x"))[0] == 200


def connected(manager: Manager) -> remote.Remote:
    """Return the client of the first replica."""
    path = intake_wire.path(EXPERIMENT, TRIAL, 1, "master", 0)
    return remote.Remote(post.Post(f"http://127.0.0.1:{manager.port}", path, TOKEN, ""))


class Sweeping:
    """A sweep to the manager of a directory that it knows as it is; the last one, if it is not started before."""

    def __init__(self, manager: Manager, source: Path, below: str, beside: str = "") -> None:
        self.said: list[str] = []
        self.sweep = sweep.Sweep(
            "sweep",
            str(source),
            remote.Sink(connected(manager), f"{DIRECTORY}/{below}", beside),
            tell=self.said.append,
            ended=lambda: None,
            limit=sys.maxsize,
            seconds=0.01,
            follows_deletions=below == "checkpoint",
        )

    async def finish(self) -> None:
        if not self.sweep.is_alive():
            self.sweep.start()
        self.sweep.finish(20)
        await asyncio.to_thread(self.sweep.join)


@pytest.mark.parametrize(("limit", "left"), [(3_000_000, "epoch-2"), (2_300_000, "epoch-2"), (2_100_000, "epoch-1")])
async def test_a_checkpoint_gives_way_to_the_next_one_when_there_is_room_for_that_one_then(
    tmp_path: Path, limit: int, left: str
) -> None:
    place = tmp_path / "checkpoint"
    place.mkdir()
    async with talking(tmp_path, limit=limit) as (manager, client):
        # Beside what came with the trial's attempt.
        there = sum(path.stat().st_size for path in (manager.root / DIRECTORY).rglob("*") if path.is_file())
        assert there < 100_000
        old, new = bytes(1_200_000), b"n" * 2_200_000
        assert (await client.send("PUT", f"{DIRECTORY}/checkpoint/epoch-1", old[:1_000_000], 0, old))[0] == 200
        assert (await client.send("PUT", f"{DIRECTORY}/checkpoint/epoch-1", old[1_000_000:], 1_000_000, old))[0] == 200
        (place / "epoch-1").write_bytes(old)
        sweeping = Sweeping(manager, place, "checkpoint")
        (place / "epoch-2").write_bytes(new)
        (place / "epoch-1").unlink()
        await sweeping.finish()
        assert manager.tree("checkpoint") == [left]
        assert (manager.root / DIRECTORY / "checkpoint" / left).read_bytes() == (new if left == "epoch-2" else old)
    assert ["storage.output_limit" in one for one in sweeping.said] == [True] * (left == "epoch-1")


async def test_a_file_may_become_a_directory_and_a_directory_a_file(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint"
    (place / "last").mkdir(parents=True)
    async with talking(tmp_path) as (manager, _):
        sweeping = Sweeping(manager, place, "checkpoint")
        (place / "last" / "w.pt").write_text("1")
        (place / "best").write_text("1")
        sweeping.sweep.start()
        await until(lambda: manager.tree("checkpoint") == ["best", "last/w.pt"])
        for name in ("last", "best"):
            (place / name).rename(tmp_path / name)
        (place / "last").write_text("2")
        (place / "best").mkdir()
        (place / "best" / "w.pt").write_text("2")
        await sweeping.finish()
        assert manager.tree("checkpoint") == ["best/w.pt", "last"]
    assert sweeping.said == []


async def test_what_was_an_output_file_and_is_a_directory_now_is_left_out_and_said(tmp_path: Path) -> None:
    place = tmp_path / "output"
    (place / "best").mkdir(parents=True)
    async with talking(tmp_path) as (manager, client):
        assert (await client.send("PUT", f"{DIRECTORY}/1/master-0/output/best", b"1", 0, b"1"))[0] == 200
        sweeping = Sweeping(manager, place, "1/master-0/output")
        (place / "best" / "w.pt").write_text("2")
        (place / "other").write_text("2")
        await sweeping.finish()
        assert manager.tree("1/master-0/output") == ["best", "other"]
    (said,) = sweeping.said
    assert said.startswith("best/w.pt, and perhaps others, stay in the pod: answers 403: ")
    assert "a part of the path is not a directory" in said


async def test_what_cannot_be_seen_is_not_deleted_for_that(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint"
    place.mkdir()
    async with talking(tmp_path) as (manager, client):
        assert (await client.send("PUT", f"{DIRECTORY}/checkpoint/a/epoch-1", b"1", 0, b"1"))[0] == 200
        (place / "a").mkdir()
        (place / "a" / "epoch-1").write_bytes(b"1")
        sweeping = Sweeping(manager, place, "checkpoint")
        # Where no path leads, even for root.
        folder = os.open(place, os.O_RDONLY)
        for _ in range(17):
            os.mkdir("x" * 250, dir_fd=folder)
            folder, above = os.open("x" * 250, os.O_RDONLY, dir_fd=folder), folder
            os.close(above)
        os.rename(place / "a", "a", dst_dir_fd=folder)
        os.close(folder)
        await sweeping.finish()
        assert manager.tree("checkpoint") == ["a/epoch-1"]


async def test_what_the_command_puts_into_its_output_directory_is_sent_under_its_name(tmp_path: Path) -> None:
    work, output = tmp_path / "work", tmp_path / "output"
    work.mkdir()
    output.mkdir()
    async with talking(tmp_path) as (manager, _):
        sweeping = Sweeping(manager, work, "1/master-0/output", str(output))
        (work / "model.pt").write_text("epoch 1")
        sweeping.sweep.start()
        await until(lambda: manager.read("1/master-0/output/model.pt") == "epoch 1")
        (output / "model.pt").write_text("epoch 1, which it wants to keep")
        (work / "model.pt").write_text("epoch 2")
        await sweeping.finish()
        assert manager.read("1/master-0/output/model.pt") == "epoch 1"
    assert "the command has written another file of that name to NNI_OUTPUT_DIR" in sweeping.said[0]


TOGETHER = """
# As in distributed training, nobody leaves before everybody has come this far; then the master goes first, and the
# worker is told to by the operator.
import signal, socket
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if os.environ["RANK"] == "0":
    with socket.create_server(place) as server:
        server.accept()[0].recv(1)
else:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    connection = None
    while connection is None:
        try:
            connection = socket.create_connection(place)
        except ConnectionRefusedError:
            pass
    connection.close()
    signal.sigwait({signal.SIGTERM})
    pathlib.Path("last.bin").write_bytes(b"l" * 3_000_000)
"""


@pytest.fixture
def experiment(cluster: Sandbox, tmp_path: Path) -> Iterator[Experiment]:
    directory = tmp_path / "code"
    directory.mkdir()
    (directory / "train.py").write_text(TRAIN + TOGETHER)
    made = Experiment("kubeflow")
    made.config.search_space = {"x": {"_type": "choice", "_value": [1, 2]}}
    made.config.tuner.name = "Random"
    made.config.max_trial_number = 2
    made.config.trial_concurrency = 2
    service = made.config.training_service
    service.operator = "pytorch-operator"
    service.api_version = "v1"
    for name in ("master", "worker"):
        role = KubeflowRoleConfig(replicas=1, command="python3 train.py", code_directory=directory)
        setattr(service, name, role)
    yield made
    made.stop()


def test_an_experiment_without_storage_runs_and_leaves_its_files_here(experiment: Experiment, free_port: int) -> None:
    assert experiment.run(free_port) is True

    trials = experiment.list_trial_jobs()
    assert [trial.status for trial in trials] == ["SUCCEEDED", "SUCCEEDED"]
    links = [f"http://127.0.0.1:{free_port}/trial/{trial.trialJobId}" for trial in trials]
    assert [trial.logPath for trial in trials] == links
    # A trial has succeeded when its master has; its workers send what they have left until their pods have gone.
    experiment.stop()
    top = Path.home() / "nni-experiments" / experiment.id / "volume" / "nni" / experiment.id
    for trial in trials:
        place = top / trial.trialJobId
        assert "checkpoints []" in (place / "1/master-0/stdout").read_text()
        assert (place / "1/worker-0/output/model.bin").stat().st_size == 1000
        assert (place / "1/worker-0/output/last.bin").stat().st_size == 3_000_000
        assert [path.name for path in (place / "checkpoint").rglob("*.bin")] == ["epoch-0.bin"]


def test_the_workers_of_a_failed_trial_send_what_they_have_though_its_job_is_kept(
    experiment: Experiment, cluster: Sandbox, free_port: int
) -> None:
    experiment.config.max_trial_number = 1
    service = experiment.config.training_service
    service.keep_failed_jobs = True
    service.master.command = "python3 train.py; exit 3"
    experiment.run(free_port)

    (trial,) = experiment.list_trial_jobs()
    experiment.stop()
    place = Path.home() / "nni-experiments" / experiment.id / "volume/nni" / experiment.id / trial.trialJobId / "1"
    assert (place / "worker-0/output/last.bin").stat().st_size == 3_000_000
    assert (place / "worker-0/exit.json").exists()

    job = f"/apis/kubeflow.org/v1/namespaces/default/pytorchjobs/{trial.job}"
    Connection(cluster).call("DELETE", job, {"propagationPolicy": "Foreground"})
    Connection(cluster).until_gone(job)
