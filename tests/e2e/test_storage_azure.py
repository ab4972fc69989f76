"""Key Vault with the real SDK, and an experiment whose share is a double's."""

import contextlib
import dataclasses
import datetime as dt
import logging
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kubernetes import client, config

from nni import errors
from nni.core import model, spec
from nni.experiment import Experiment, K8sAzureStorageConfig, KubeflowRoleConfig
from nni.manager import volumes
from nni.platforms.kubeflow import names
from nni.storage import azure_access
from nni.testing import azure as double
from nni.testing.sandbox import Sandbox

pytestmark = pytest.mark.requires("azure")

HOST = "myvault.vault.azure.net"
STORAGE = spec.AzureSpec(account=double.ACCOUNT, share="nni", key_vault_name="myvault", key_vault_key="storage-key")


class AccessToken(NamedTuple):
    token: str
    expires_on: int


class Credential:
    """Stands for a login: what gives tokens is no part of what is tested."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.error = error

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.asked.append((*scopes, options.get("tenant_id", "")))
        if self.error is not None:
            raise self.error
        return AccessToken("a-token", 4_000_000_000)

    async def close(self) -> None:
        pass


def certificate(directory: Path) -> Path:
    """Write a certificate of the vault's name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "vault.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM) + secret)
    return path


class Vault(NamedTuple):
    double: double.KeyVault
    authorities: str


@pytest_asyncio.fixture
async def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Vault]:
    """A vault under its real name, with TLS that is verified; only the name's address is ours."""
    made = double.KeyVault(token="a-token", secrets={"storage-key": double.KEY})
    path = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    runner = web.AppRunner(made.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in (HOST, HOST.encode()):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield Vault(made, str(path))
    await runner.cleanup()


async def test_the_key_comes_from_the_vault_to_who_answers_its_challenge(
    vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credential = Credential()
    assert await azure_access.key_from_vault(STORAGE, credential, vault.authorities) == double.KEY
    assert vault.double.challenged == 1
    assert credential.asked == [("https://vault.azure.net/.default", "t1")]
    assert double.KEY not in caplog.text


async def test_a_vault_whose_certificate_is_nobodys_is_not_asked(vault: Vault) -> None:
    credential = Credential()
    with pytest.raises(errors.VolumeError, match="Key Vault myvault does not answer"):
        await azure_access.key_from_vault(STORAGE, credential)
    assert vault.double.challenged == 0


async def test_each_refusal_of_a_vault_is_told(vault: Vault) -> None:
    from azure.core import exceptions  # noqa: PLC0415 - the marker says whether it is there

    async def told(storage: spec.AzureSpec = STORAGE, error: Exception | None = None) -> str:
        with pytest.raises(errors.VolumeError) as caught:
            await azure_access.key_from_vault(storage, Credential(error), vault.authorities)
        return str(caught.value)

    expired = exceptions.ClientAuthenticationError("AADSTS700082: The refresh token has expired")
    assert "run `az login` (an old login expires)" in await told(error=expired)
    unknown = spec.AzureSpec(account="a", share="nni", key_vault_name="myvault", key_vault_key="other")
    assert "There is no secret other of Key Vault myvault: correct key_vault_key" in await told(unknown)
    vault.double.is_forbidden = True
    assert "give this identity the role `Key Vault Secrets User`" in await told()


async def test_a_vaults_key_goes_to_pods_in_the_experiments_secret_alone(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def key(storage: spec.AzureSpec) -> str:
        return double.KEY

    monkeypatch.setattr(azure_access, "key_from_vault", key)
    asked = volumes.Asked(
        environment={},
        directory=tmp_path,
        experiment_id=model.ExperimentId("exp1"),
        connect=lambda: pytest.fail("no cluster is needed"),
    )
    backing = await volumes.back(dataclasses.replace(STORAGE, endpoint=endpoint), asked)
    await backing.volume.put("a", b"x")
    await backing.close()

    assert backing.pod.secret == {"azurestorageaccountname": double.ACCOUNT, "azurestorageaccountkey": double.KEY}
    assert backing.pod.volume["csi"]["volumeAttributes"]["secretName"] == names.secret(model.ExperimentId("exp1"))
    assert double.KEY not in repr(backing.pod) + backing.said
    assert (tmp_path / "shares" / "nni" / "a").read_bytes() == b"x"


TRAIN = """\
import pathlib
import nni

parameters = nni.get_next_parameter()
print("it's here", flush=True)
pathlib.Path("model.bin").write_bytes(b"m" * 1000)
nni.report_final_result(parameters["x"])
"""


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "shares" / "nni").mkdir(parents=True)
    command = [sys.executable, "-m", "nni.testing.azure", str(tmp_path / "shares")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate(timeout=20)


@pytest.fixture
def cluster(tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(shares={"nni": tmp_path / "shares" / "nni"}) as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        fields = {"azurestorageaccountname": double.ACCOUNT, "azurestorageaccountkey": double.KEY}
        with config.new_client_from_config(str(running.kubeconfig)) as api:
            body = {"metadata": {"name": "storage"}, "stringData": fields}
            client.CoreV1Api(api).create_namespaced_secret("default", body)
        yield running


@contextlib.contextmanager
def experiment(tmp_path: Path, **storage: str | None) -> Iterator[Experiment]:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(TRAIN)
    made = Experiment("kubeflow")
    made.config.search_space = {"x": {"_type": "choice", "_value": [1, 2]}}
    made.config.tuner.name = "Random"
    made.config.max_trial_number = 2
    made.config.trial_concurrency = 2
    service = made.config.training_service
    service.operator = "pytorch-operator"
    service.storage = K8sAzureStorageConfig(azure_account=double.ACCOUNT, azure_share="nni", **storage)
    service.master = KubeflowRoleConfig(replicas=1, command="python3 train.py", code_directory=code)
    try:
        yield made
    finally:
        made.stop()


def test_an_experiment_on_a_share(cluster: Sandbox, endpoint: str, tmp_path: Path, free_port: int) -> None:
    with experiment(tmp_path, secret_name="storage", endpoint=endpoint) as running:
        assert running.run(free_port) is True
        trials = running.list_trial_jobs()

    assert [trial.status for trial in trials] == ["SUCCEEDED", "SUCCEEDED"]
    for trial in trials:
        assert trial.logPath == f"{endpoint}/nni/nni/{running.id}/{trial.trialJobId}"
        place = tmp_path / "shares" / "nni" / "nni" / running.id / trial.trialJobId / "1" / "master-0"
        assert (place / "stdout").read_text() == "it's here\n"
        assert (place / "output" / "model.bin").stat().st_size == 1000
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not [path for path in kept if double.KEY.encode() in path.read_bytes()]


class Useless(NamedTuple):
    fields: dict[str, str] | None
    said: str


@pytest.mark.parametrize(
    "secret",
    [
        Useless(None, "The Secret storage with the storage account's key cannot be read in namespace default"),
        Useless({"key": "x"}, "The Secret storage has no field azurestorageaccountkey"),
        Useless({"azurestorageaccountkey": "d3Jvbmc="}, "the account's key is refused"),
    ],
)
def test_a_secret_that_is_of_no_use(
    secret: Useless, cluster: Sandbox, endpoint: str, tmp_path: Path, free_port: int
) -> None:
    with config.new_client_from_config(str(cluster.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        core.delete_namespaced_secret("storage", "default")
        if secret.fields is not None:
            core.create_namespaced_secret("default", {"metadata": {"name": "storage"}, "stringData": secret.fields})
    with (
        experiment(tmp_path, secret_name="storage", endpoint=endpoint) as running,
        pytest.raises(errors.ManagerError) as caught,
    ):
        running.start(free_port)
    assert secret.said in str(caught.value)
    assert "d3Jvbmc=" not in str(caught.value)
