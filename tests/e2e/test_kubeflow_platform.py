"""The Kubeflow platform on the sandbox: what others do to its jobs, what keeps them waiting, and bad credentials."""

import contextlib
import json
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nni import errors
from nni.core import model
from nni.platforms.kubeflow import client
from nni.testing import platform as contract
from nni.testing.sandbox import Sandbox
from platforms import World

Connect = Callable[[dict[str, Any]], client.Client]

JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
FOREIGN = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "PyTorchJob",
    "metadata": {"name": "nni-exp-stories1-trial-taken"},
    "spec": {
        "runPolicy": {"suspend": True},
        "pytorchReplicaSpecs": {
            "Master": {"replicas": 1, "template": {"spec": {"containers": [{"name": "pytorch", "image": "x"}]}}}
        },
    },
}


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return World(sandbox)


def runs(seen: model.Observation) -> bool:
    return seen.phase is model.JobPhase.RUNNING


async def test_a_job_that_is_not_ours_is_left_alone(world: World) -> None:
    _, there = world.api.call("POST", JOBS, FOREIGN)
    async with world.platform() as jobs:
        with pytest.raises(errors.PlatformError, match="PyTorchJob default/nni-exp-stories1-trial-taken exists"):
            await jobs.create(world.order("taken"))
        await jobs.clean_up()
    _, after = world.api.call("GET", f"{JOBS}/nni-exp-stories1-trial-taken")
    assert after["metadata"]["uid"] == there["metadata"]["uid"]
    world.api.call("DELETE", f"{JOBS}/nni-exp-stories1-trial-taken")


async def test_a_job_that_somebody_deletes_is_gone(world: World) -> None:
    ordered = world.order("victim", "trap 'exit 0' TERM; sleep 1000 & wait")
    async with world.platform() as jobs:
        name = await jobs.create(ordered)
        await world.observed.until(ordered.attempt, runs)
        world.api.call("DELETE", f"{JOBS}/{name}")
        seen = await world.observed.until(ordered.attempt, lambda one: one.phase.is_final)
        assert seen.phase is model.JobPhase.GONE
        assert seen.reason is not None
        assert seen.reason.kind is model.ReasonClass.INFRASTRUCTURE
        await jobs.clean_up()


async def test_jobs_from_before_are_observed_and_adopted(world: World) -> None:
    ordered = world.order("older")
    async with world.platform() as before:
        name = await before.create(ordered)
        await world.observed.until(ordered.attempt, runs)
    world.observed = contract.Observed()
    async with world.platform() as after:
        await world.observed.until(ordered.attempt, runs)
        assert await after.create(ordered) == name
        await after.remove(ordered.attempt)
        assert world.api.call("GET", f"{JOBS}/{name}")[0] == 404
        await after.clean_up()


async def test_a_job_from_before_is_adopted_whatever_the_address_of_its_manager(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ordered = world.order("moved")
    async with world.platform(intake_url="http://10.0.0.1:8081") as before:
        name = await before.create(ordered)
        uid = world.api.call("GET", f"{JOBS}/{name}")[1]["metadata"]["uid"]
    with caplog.at_level("INFO"):
        async with world.platform(intake_url="http://10.0.0.2:9001") as after:
            assert await after.create(ordered) == name
            assert world.api.call("GET", f"{JOBS}/{name}")[1]["metadata"]["uid"] == uid
            assert f"{name} goes on with the specification that it was made with" in caplog.text
            await after.clean_up()


async def test_a_job_of_an_experiment_of_the_same_id_is_left_alone(world: World) -> None:
    ordered = world.order("theirs")
    async with world.platform(key="theirs") as theirs:
        name = await theirs.create(ordered)
        async with world.platform(key="ours") as ours:
            with pytest.raises(errors.PlatformError, match=f"PyTorchJob default/{name} exists already and is not"):
                await ours.create(ordered)
        assert world.api.call("GET", f"{JOBS}/{name}")[0] == 200
        await theirs.clean_up()


async def test_a_job_without_room_says_so(world: World) -> None:
    ordered = world.order("large")
    async with world.platform(gpus=99) as jobs:
        await jobs.create(ordered)
        seen = await world.observed.until(ordered.attempt, lambda one: one.reason is not None)
        assert seen.phase is model.JobPhase.PENDING
        assert seen.reason is not None
        assert seen.reason.kind is model.ReasonClass.CAPACITY
        assert "Insufficient nvidia.com/gpu" in seen.reason.sentence
        assert seen.reason.evidence == "Pod default/nni-exp-stories1-trial-large-master-0"
        await jobs.clean_up()


async def test_a_killed_command_shows_its_code_and_last_words(world: World) -> None:
    ordered = world.order("killed", "echo 'not long now'; exit 137")
    async with world.platform() as jobs:
        await jobs.create(ordered)
        seen = await world.observed.until(ordered.attempt, lambda one: one.phase.is_final)
        assert (seen.phase, seen.exit_code) == (model.JobPhase.FAILED, 137)
        assert seen.reason is not None
        assert seen.reason.sentence.endswith("exit code 137: not long now")
        await jobs.clean_up()


async def test_tokens_are_made_ahead_and_go_at_the_end(world: World) -> None:
    secret = "/api/v1/namespaces/default/secrets/nni-exp-stories1"
    async with world.platform() as jobs:
        assert len(world.api.call("GET", secret)[1]["data"]) == 256
        await jobs.create(world.order("first", "exit 0", slot=300))
        assert len(world.api.call("GET", secret)[1]["data"]) == 512
        await jobs.clean_up()
        assert world.api.call("GET", secret)[0] == 404


@pytest.fixture
def kubeconfig(sandbox: Sandbox) -> dict[str, Any]:
    """The sandbox's kubeconfig, to be spoilt."""
    return dict(json.loads(sandbox.kubeconfig.read_text()))


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], client.Client]]:
    """Return what connects with a kubeconfig, which is written to ``config`` below ``tmp_path``."""
    with contextlib.ExitStack() as stack:

        def connect_one(kubeconfig: dict[str, Any]) -> client.Client:
            path = tmp_path / "config"
            path.write_text(json.dumps(kubeconfig))
            return stack.enter_context(contextlib.closing(client.connect({"KUBECONFIG": str(path)}, "default")))

        yield connect_one


def test_a_wrong_token_is_said(connect: Connect, kubeconfig: dict[str, Any], tmp_path: Path) -> None:
    kubeconfig["users"][0]["user"]["token"] = "wrong"
    connection = connect(kubeconfig)
    with pytest.raises(errors.PlatformUnavailableError, match="does not accept the credentials"):
        connection.served()


def test_a_renewed_token_is_taken_up(connect: Connect, kubeconfig: dict[str, Any], tmp_path: Path) -> None:
    right = kubeconfig["users"][0]["user"]["token"]
    kubeconfig["users"][0]["user"]["token"] = "expired"
    connection = connect(kubeconfig)
    kubeconfig["users"][0]["user"]["token"] = right
    (tmp_path / "config").write_text(json.dumps(kubeconfig))
    assert "v1" in connection.served()["kubeflow.org"]


def test_a_server_that_is_not_there_is_said(connect: Connect, kubeconfig: dict[str, Any], tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{closed.getsockname()[1]}"
        connection = connect(kubeconfig)
        with pytest.raises(errors.PlatformUnavailableError, match=r"does not answer: .*Connection refused"):
            connection.served()


def test_a_server_of_another_authority_is_said(connect: Connect, kubeconfig: dict[str, Any], tmp_path: Path) -> None:
    del kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"]
    connection = connect(kubeconfig)
    with pytest.raises(errors.PlatformError, match=r"cannot be trusted: .*certificate verify failed"):
        connection.served()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be used"),
        ("{}", "cannot be used"),
        ('{"current-context": "x", "contexts": []}', "cannot be used"),
    ],
)
def test_a_broken_kubeconfig_is_said(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(errors.PlatformError, match=said):
        client.connect({"KUBECONFIG": str(tmp_path / "config")}, "default")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"KUBECONFIG": "/no/such"}, "KUBECONFIG names /no/such, which does not exist"),
        ({"HOME": "/no"}, "There is no kubeconfig: set KUBECONFIG"),
    ],
)
def test_no_kubeconfig_is_said(environment: dict[str, str], said: str) -> None:
    with pytest.raises(errors.PlatformError, match=said):
        client.connect(environment, "default")


PLUGIN = """\
import json, os, sys
asked = sys.argv[1] + ".asked"
with open(asked, "a") as file:
    file.write("x")
with open(sys.argv[1]) as file:
    token = file.read()
version = json.loads(os.environ["KUBERNETES_EXEC_INFO"])["apiVersion"]
print(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": {"token": token}}))
"""


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_credentials_come_from_a_plugin_and_are_asked_for_again(
    connect: Connect, kubeconfig: dict[str, Any], tmp_path: Path, version: str
) -> None:
    user = kubeconfig["users"][0]["user"]
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "token").write_text("expired")
    kubeconfig["users"][0]["user"] = {
        "exec": {
            "apiVersion": f"client.authentication.k8s.io/{version}",
            "command": sys.executable,
            "args": [str(tmp_path / "plugin.py"), str(tmp_path / "token")],
            "interactiveMode": "Never",
        }
    }
    connection = connect(kubeconfig)
    (tmp_path / "token").write_text(user["token"])

    assert "v1" in connection.served()["kubeflow.org"]
    assert (tmp_path / "token.asked").read_text() == "xx"


def test_a_plugin_that_is_not_there_is_named_with_its_hint(connect: Connect, kubeconfig: dict[str, Any]) -> None:
    kubeconfig["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "kubelogin-of-nowhere",
            "installHint": "kubelogin is not installed:\n  see https://example.org/kubelogin",
        }
    }

    with pytest.raises(errors.PlatformError) as raised:
        connect(kubeconfig)

    assert "from the program 'kubelogin-of-nowhere', which is not here" in str(raised.value)
    assert str(raised.value).endswith("kubelogin is not installed: see https://example.org/kubelogin")


def test_a_context_is_chosen_by_name(kubeconfig: dict[str, Any], tmp_path: Path) -> None:
    kubeconfig["contexts"].append(
        {"name": "other", "context": {**kubeconfig["contexts"][0]["context"], "user": "nobody"}}
    )
    kubeconfig["users"].append({"name": "nobody", "user": {"token": "wrong"}})
    path = tmp_path / "config"
    path.write_text(json.dumps(kubeconfig))
    environment = {"KUBECONFIG": str(path)}

    with contextlib.closing(client.connect(environment, "default")) as connection:
        assert connection.who()
    with (
        contextlib.closing(client.connect(environment, "default", "other")) as connection,
        pytest.raises(errors.PlatformUnavailableError, match="does not accept"),
    ):
        connection.who()
    with pytest.raises(errors.PlatformError, match="cannot be used"):
        client.connect(environment, "default", "nowhere")


async def test_a_trial_costs_few_calls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    opened = client.Client._open

    def counted(self: client.Client, call: Any) -> Any:
        calls.append("call")
        return opened(self, call)

    monkeypatch.setattr(client.Client, "_open", counted)
    async with world.platform() as jobs:
        at_start = len(calls)
        for slot in range(10):
            ordered = world.order(f"cheap{slot}", "exit 0", slot=slot)
            await jobs.create(ordered)
            await world.observed.until(ordered.attempt, lambda one: one.phase.is_final)
            await jobs.remove(ordered.attempt)
        per_trial = (len(calls) - at_start) / 10
        await jobs.clean_up()

    # Created and deleted; the watches may have been opened late.
    assert per_trial < 2.5
