"""The intake by TLS: trials tell it from everybody else by its certificate, and give nobody else a byte."""

import asyncio
import contextlib
import hashlib
import json
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from nni import errors
from nni.core import event, model
from nni.experiment import Experiment
from nni.manager import certificate, doors
from nni.platforms.kubeflow import probe
from nni.runtime import archive, post
from nni.server import intake, listen
from nni.testing import experiments, pods
from nni.testing.sandbox import Connection, Sandbox
from nni.wire import bootstrap, layout

JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
PYTHON = os.path.realpath(sys.executable)
OTHER = "shows a certificate that is not the one this trial was told to trust, so nothing is sent there"


def test_a_certificate_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    first, second = certificate.kept(tmp_path), certificate.kept(tmp_path)
    assert first == second
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o600
    assert first.path.parent == tmp_path
    assert [one.name for one in tmp_path.iterdir()] == ["intake.pem"]
    (found,) = x509.load_pem_x509_certificates(first.path.read_bytes())
    assert first.fingerprint == found.fingerprint(hashes.SHA256()).hex()
    assert isinstance(first.context(), ssl.SSLContext)


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----", "certificate"])
def test_a_damaged_certificate_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / certificate.FILE).write_text(content)
    with pytest.raises(errors.ManagerError, match="does not hold the intake's certificate and its key: delete it"):
        certificate.kept(tmp_path)


def test_a_certificate_without_its_key_is_said(tmp_path: Path) -> None:
    made = certificate.kept(tmp_path)
    text = made.path.read_text()
    made.path.write_text(text[text.index("-----BEGIN CERT") :])
    with pytest.raises(errors.ManagerError, match="does not hold the intake's certificate and its key: delete it"):
        certificate.kept(tmp_path).context()


@pytest.mark.parametrize(
    ("wanted", "url", "is_near", "is_encrypted"),
    [
        (None, None, False, True),
        (None, None, True, False),
        (None, "https://nni.example.org", False, False),
        (True, None, True, True),
        (False, None, False, False),
    ],
)
def test_trials_speak_tls_unless_they_are_on_this_machine_or_speak_to_a_proxy(
    *, wanted: bool | None, url: str | None, is_near: bool, is_encrypted: bool
) -> None:
    host = doors.LOOPBACK if is_near else doors.ALL_ADDRESSES
    assert doors.is_encrypted(host, tls=wanted, url=url) is is_encrypted


TRAIN = """\
import pathlib
import nni

x = nni.get_next_parameter()["x"]
nni.report_intermediate_result(x)
pathlib.Path("model.bin").write_bytes(b"m" * 3_000_000)
print("done", flush=True)
nni.report_final_result(x)
"""


@pytest.mark.parametrize("storage", ["nfs", "manager"])
def test_a_whole_experiment_by_tls(
    make: Callable[..., Experiment], cluster: Sandbox, free_port: int, storage: str
) -> None:
    own = {} if storage == "nfs" else {"storage": None}
    experiment = make(TRAIN, max_trial_number=2, service={"intake_tls": True, **own})
    assert experiment.run(free_port) is True

    trials = experiment.list_trial_jobs()
    results = experiment.export_data()
    assert [trial.status for trial in trials] == ["SUCCEEDED", "SUCCEEDED"]
    assert [result.value for result in results] == [result.parameter["x"] for result in results]
    directory = Path.home() / "nni-experiments" / experiment.id
    fingerprint = certificate.kept(directory).fingerprint
    served = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", free_port + 1)))
    assert hashlib.sha256(served).hexdigest() == fingerprint
    key = certificate.kept(directory).path.read_text().splitlines()[1]
    root = cluster.exports["10.20.30.40:/mnt/nfs/nni"] if storage == "nfs" else directory / "volume"
    for trial in trials:
        (job,) = (
            one
            for one in Connection(cluster).call("GET", JOBS)[1]["items"]
            if one["metadata"]["labels"]["nni/trial"] == trial.trialJobId
        )
        given = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]["env"]
        told = {one["name"]: one.get("value") for one in given}
        assert told["NNI_INTAKE_URL"] == f"https://127.0.0.1:{free_port + 1}"
        assert told["NNI_INTAKE_CERT_SHA256"] == fingerprint
        place = root / "nni" / experiment.id / trial.trialJobId / "1" / "master-0"
        assert f"the intake takes metrics (https://127.0.0.1:{free_port + 1})" in (place / "trial.log").read_text()
        assert (place / "output" / "model.bin").stat().st_size == 3_000_000
        assert key not in json.dumps(job)
    experiment.stop()
    assert experiments.objects_left(cluster) == []


class Imposter:
    """Stands at the intake's address with a certificate of its own, and keeps what it is sent."""

    def __init__(self, directory: Path, host: str = "127.0.0.1") -> None:
        directory.mkdir()
        self._host = host
        self._tls = certificate.kept(directory).context()
        self.shakes = 0
        """How often somebody came as far as to see the certificate."""
        self.received = b""

    @contextlib.asynccontextmanager
    async def standing(self, port: int) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._take, self._host, port, ssl=self._tls)
        async with server:
            yield

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.shakes += 1
        with contextlib.suppress(OSError):
            self.received += await reader.read()
        writer.close()


async def until(is_so: Callable[[], bool]) -> None:
    await asyncio.to_thread(pods.wait_until, is_so)


GATED = """\
import os, time
import nni

nni.report_intermediate_result(1)
while not os.path.exists(os.environ["GO"] + "-1"):
    time.sleep(0.02)
nni.report_intermediate_result(2)
while not os.path.exists(os.environ["GO"] + "-2"):
    time.sleep(0.02)
nni.report_final_result(3)
"""


async def test_whoever_stands_in_between_gets_neither_token_nor_metrics(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    known = certificate.kept(own)
    values: list[str] = []

    async def accept(reported: event.ReplicaReported) -> int:
        values.extend(metric.value for metric in reported.metrics)
        return reported.metrics[-1].number if reported.metrics else len(set(values))

    def app_of() -> web.Application:
        return intake.make_app(
            experiment_id=model.ExperimentId("exp1"), verify=lambda attempt, token: token == "a-token", accept=accept
        )

    imposter = Imposter(tmp_path / "imposter")
    async with listen.serve(app_of(), listen.bind("127.0.0.1", 0), known.context()) as port:
        url = f"https://127.0.0.1:{port}"
        given = {
            "NNI_INTAKE_URL": url,
            "NNI_INTAKE_CERT_SHA256": known.fingerprint,
            "NNI_TRIAL_TOKEN": "a-token",
            "GO": str(tmp_path / "go"),
        }
        pod = pods.Pod(tmp_path, "python3 t.py", code={"t.py": GATED}, environment=given, python=PYTHON)
        running = await asyncio.create_subprocess_exec(
            "/bin/sh", str(pod.attempt / "run_master.sh"), env=pod.environment(), stderr=asyncio.subprocess.PIPE
        )
        await until(lambda: values == ["1"])
    async with imposter.standing(port):
        (tmp_path / "go-1").touch()
        await until(lambda: OTHER in pod.read("trial.log"))
    async with listen.serve(app_of(), listen.bind("127.0.0.1", port), certificate.kept(own).context()):
        (tmp_path / "go-2").touch()
        _, stderr = await running.communicate()

    assert (running.returncode, stderr) == (0, b"")
    assert imposter.shakes > 0
    assert imposter.received == b""
    assert set(values) == {"1", "2", "3"}
    log = pod.read("trial.log")
    assert log.count(OTHER) == 1
    assert "metrics stand in the journal, and sending is tried again" in log
    assert "the intake answers again" in log


@pytest.mark.parametrize("what", ["bootstrap", "fetch"])
async def test_a_pod_that_finds_another_certificate_ends_at_once_and_says_why(what: str, tmp_path: Path) -> None:
    imposter, runtime = Imposter(tmp_path / "imposter"), archive.build()
    packed = tmp_path / "runtime.pyz"
    packed.write_bytes(runtime.content)
    commands = {
        "bootstrap": bootstrap.command(layout.runtime("exp1", runtime.digest), runtime.digest),
        "fetch": ["python3", "-I", "-S", str(packed), "fetch"],
    }
    listener = listen.bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "NNI_VOLUME": str(tmp_path / "volume"),
        "NNI_POD_DIR": str(tmp_path / "pod"),
        "NNI_STORAGE": "manager",
        "NNI_INTAKE_URL": f"https://127.0.0.1:{port}",
        "NNI_INTAKE_CERT_SHA256": "0" * 64,
        "NNI_TRIAL_TOKEN": "a-token",
        "NNI_EXP_ID": "exp1",
        "NNI_TRIAL_JOB_ID": "k2f9z",
        "NNI_TRIAL_ATTEMPT": "1",
        "NNI_ROLE": "master",
    }
    async with asyncio.timeout(20), imposter.standing(port):
        process = await asyncio.create_subprocess_exec(*commands[what], env=environment, stderr=asyncio.subprocess.PIPE)
        _, stderr = await process.communicate()
    said = stderr.decode()
    assert process.returncode == 126
    assert said.startswith(f"nni: this trial cannot start: the manager at https://127.0.0.1:{port} {OTHER}"), said
    assert said.count("\n") == 1
    assert (imposter.shakes, imposter.received) == (1, b"")


async def test_a_trial_that_met_somebody_else_has_that_as_its_reason(
    make: Callable[..., Experiment], cluster: Sandbox, free_port: int, tmp_path: Path
) -> None:
    imposter = Imposter(tmp_path / "imposter", "127.0.0.2")
    experiment = make(
        TRAIN, max_trial_number=1, nni_manager_ip="127.0.0.2", service={"intake_tls": True, "storage": None}
    )
    async with imposter.standing(free_port + 1):
        await asyncio.to_thread(experiment.run, free_port)
        shown = await asyncio.to_thread(experiment._connected.get, "trial-jobs")
        await asyncio.to_thread(experiment.stop)
    (trial,) = shown
    assert trial["status"] == "FAILED"
    assert f"the manager at https://127.0.0.2:{free_port + 1} {OTHER}" in trial["reason"]["sentence"]
    assert imposter.shakes > 0
    assert imposter.received == b""


def test_an_image_whose_python_has_no_ssl_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, program, path, digest = bootstrap.command(layout.runtime("exp1", "0" * 64), "0" * 64)
    script = f"import sys; sys.modules['ssl'] = None; sys.argv = ['-c', {path!r}, {digest!r}]; exec({program!r})"
    names = ("NNI_EXP_ID", "NNI_TRIAL_JOB_ID", "NNI_TRIAL_ATTEMPT", "NNI_ROLE", "NNI_VOLUME")
    given = {**dict.fromkeys(names, "1"), "NNI_INTAKE_URL": "https://10.0.0.5:8081", "NNI_INTAKE_CERT_SHA256": "0" * 64}
    ended = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, check=False)
    lacks = "is to be reached by TLS, for which this image's Python has no module ssl"
    assert ended.returncode == 126
    assert ended.stderr.startswith(f"nni: this trial cannot start: the manager at https://10.0.0.5:8081 {lacks}")
    assert ended.stderr.count("\n") == 1

    monkeypatch.setitem(sys.modules, "ssl", None)
    with pytest.raises(post.TlsError, match=lacks):
        post.Post("https://10.0.0.5:8081", "/", "a-token", "0" * 64).send(b"", 1.0)


async def test_doctors_pod_tells_what_stands_in_between(tmp_path: Path) -> None:
    imposter = Imposter(tmp_path / "imposter")
    listener = listen.bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    given = {"HOST": "127.0.0.1", "PORT": str(port), "FILE": str(tmp_path / "file"), "TEXT": "a-text", "KEPT": ""}
    environment = {f"PROBE_{name}": value for name, value in {**given, "PIN": "0" * 64}.items()}
    async with imposter.standing(port):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", probe._SCRIPT, env=environment, stderr=asyncio.subprocess.PIPE
        )
        _, stderr = await process.communicate()
    assert stderr.decode().startswith(f"intake: something between here and 127.0.0.1 port {port} shows a certificate")
    assert imposter.received == b""


def test_the_door_has_a_certificate_where_trials_speak_tls(tmp_path: Path) -> None:
    class Way:
        intake_address = "10.0.0.5"
        intake_url: str | None = None
        is_encrypted = True

    made = doors.of(Way(), tmp_path, 8081)
    assert (made.url, made.fingerprint) == ("https://10.0.0.5:8081", certificate.kept(tmp_path).fingerprint)
    assert made.tls is not None
