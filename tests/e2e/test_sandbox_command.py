"""``nnictl sandbox`` as a program: what it prints, how it ends, what it leaves; real processes and signals."""

import base64
import contextlib
import json
import os
import pathlib
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import IO, Any

import pytest

from nni.testing import pods

NNICTL = [sys.executable, "-m", "nni", "sandbox"]
JOBS = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
PODS = "/api/v1/namespaces/default/pods"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return what starts the command; whatever still runs of it is killed at the end."""
    with contextlib.ExitStack() as stack:

        def start_one(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
            pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            process = stack.enter_context(subprocess.Popen([*NNICTL, *arguments], **pipes | options))
            stack.callback(process.kill)
            return process

        yield start_one


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*NNICTL, *arguments], capture_output=True, text=True, timeout=60, check=False)


def described(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Read the line that ``--json`` gives."""
    return dict(json.loads(line_of(process.stdout)))


def line_of(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def call(kubeconfig: str, path: str, body: Any = None, method: str = "") -> dict[str, Any]:
    entry = json.loads(pathlib.Path(kubeconfig).read_text())
    authority = base64.b64decode(entry["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    headers = {"Authorization": f"Bearer {entry['users'][0]['user']['token']}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    url = entry["clusters"][0]["cluster"]["server"] + path
    request = urllib.request.Request(url, data, headers, method=method or None)
    with urllib.request.urlopen(request, context=ssl.create_default_context(cadata=authority), timeout=20) as answer:
        return dict(json.loads(answer.read()))


def until(kubeconfig: str, path: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [call(kubeconfig, path)]
        return is_so(found[0])

    pods.wait_until(look)
    return found[0]


def is_gone(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


# Alone


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_alone_it_says_how_to_use_it_and_serves_until_a_signal(start: Start, number: signal.Signals) -> None:
    process = start("--nfs", "10.0.0.1:/data")
    lines = []
    while "Ctrl-C" not in (line := line_of(process.stdout)):
        lines.append(line)
    said = "".join(lines)
    kubeconfig = re.findall(r"export KUBECONFIG=(\S+)", said)[0]
    folder = re.findall(r"export NNI_MOUNTS=10.0.0.1:/data=(\S+)", said)[0]
    assert "kubectl get pytorchjobs,pods" in said
    assert re.search("mount paths by (namespaces|rewrite)", said)
    assert pathlib.Path(folder).is_dir()
    assert call(kubeconfig, PODS)["items"] == []
    process.send_signal(number)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
    assert not pathlib.Path(kubeconfig).parent.exists()


def test_programs_read_one_line_of_json(start: Start, tmp_path: pathlib.Path) -> None:
    process = start("--json", "--nfs", f"10.0.0.1:/data={tmp_path}", "--isolation", "rewrite")
    found = described(process)
    expected = {
        "pid": process.pid, "isolation": "rewrite", "exports": {"10.0.0.1:/data": str(tmp_path)},
        "mounts": f"10.0.0.1:/data={tmp_path}",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert call(found["kubeconfig"], "/version")["major"] == "1"


def test_the_kubeconfig_is_the_owners_and_goes_with_the_sandbox(start: Start, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "config"
    process = start("--json", "--kubeconfig", str(path))
    assert described(process)["kubeconfig"] == str(path)
    assert path.stat().st_mode & 0o777 == 0o600
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert list(tmp_path.iterdir()) == []


def test_it_listens_where_it_is_told_to(start: Start, free_port: int) -> None:
    assert described(start("--json", "--port", str(free_port)))["url"] == f"https://127.0.0.1:{free_port}"
    second = run("--port", str(free_port))
    assert (second.returncode, second.stderr) == (
        2, f"nnictl sandbox: Port {free_port} on 127.0.0.1 cannot be listened on (Address already in use); "
        "choose another with --port.\n",
    )  # fmt: skip


def test_nothing_remains_when_it_is_killed(start: Start) -> None:
    process = start("--json", "--simulate")
    folder = pathlib.Path(described(process)["kubeconfig"]).parent
    process.kill()
    process.wait()
    pods.wait_until(lambda: not folder.exists())


def test_nobody_who_listens_is_no_mistake(start: Start) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start("--simulate", stdout=write)
    os.close(write)
    assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == 141


# Around a command


@pytest.mark.parametrize(
    ("script", "code"),
    [("true", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)],
)
def test_it_ends_with_the_commands_code(script: str, code: int) -> None:
    assert run("--", "sh", "-c", script).returncode == code


def test_a_command_that_is_not_there_is_told_in_a_sentence() -> None:
    found = run("--", "no-such-program")
    assert found.returncode == 127
    said = "nnictl sandbox: no-such-program cannot be run: No such file or directory."
    assert found.stderr.splitlines()[1:] == [said]


def test_a_command_finds_the_cluster_and_its_words_are_its_own(start: Start, tmp_path: pathlib.Path) -> None:
    script = 'echo "$NNI_MOUNTS"; echo "$KUBECONFIG"; cat'
    process = start("--nfs", f"10.0.0.1:/d={tmp_path}", "--", "sh", "-c", script, stdin=subprocess.PIPE)
    out, err = process.communicate("said to it\n", timeout=30)
    assert out.splitlines()[0] == f"10.0.0.1:/d={tmp_path}"
    assert out.splitlines()[2] == "said to it"
    assert err.startswith("sandbox: https://127.0.0.1:")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command_whose_answer_counts(start: Start, number: signal.Signals) -> None:
    script = f"import signal, sys; signal.signal({int(number)}, lambda *_: sys.exit(9)); print('up', flush=True)\n"
    script += "while True: signal.pause()"
    process = start("--", sys.executable, "-c", script)
    assert line_of(process.stdout) == "up\n"
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 9


def test_a_ctrl_c_at_the_terminal_reaches_the_command_once(start: Start) -> None:
    ours, theirs = pty.openpty()
    script = "trap 'echo got one' INT; echo up; read line; read line; exit 5"
    with contextlib.closing(os.fdopen(ours, "r+b", buffering=0)) as terminal:
        # A session of its own whose controlling terminal is the pseudo terminal.
        starter = "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        starter += "os.execvp(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", starter, *NNICTL, "--", "bash", "-c", script]
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            said = read_until(terminal, b"up\r\n")
            terminal.write(b"\x03")
            said = read_until(terminal, b"got one\r\n")
            terminal.write(b"a\nb\n")
            said += read_to_the_end(terminal)
            assert process.wait(timeout=20) == 5
        finally:
            process.kill()
            process.wait()
    assert said.count(b"got one") == 1


def read_until(terminal: Any, text: bytes) -> bytes:
    said = b""
    while text not in said:
        said += terminal.read(1024)
    return said


def read_to_the_end(terminal: Any) -> bytes:
    said = b""
    with contextlib.suppress(OSError):  # how a pseudo terminal says that nobody is there any more
        while chunk := terminal.read(1024):
            said += chunk
    return said


def test_the_command_ends_when_the_sandbox_is_killed(start: Start) -> None:
    process = start("--", "sh", "-c", "echo $$; sleep 1000")
    pid = int(line_of(process.stdout))
    process.kill()
    pods.wait_until(lambda: is_gone(pid))


def test_pods_end_with_the_command(tmp_path: pathlib.Path) -> None:
    body = {"metadata": {"name": "p"}, "spec": {"containers": [
        {"name": "c", "image": "x", "command": ["sh", "-c", f"echo $$ > {tmp_path}/up; exec sleep 4322"]},
    ]}}  # fmt: skip
    script = f"""
import json, os, pathlib, sys, time
sys.path.insert(0, {str(pathlib.Path(__file__).parents[1])!r})
from e2e import test_sandbox_command as helper
helper.call(os.environ["KUBECONFIG"], {PODS!r}, {body!r})
while not pathlib.Path({str(tmp_path)!r}, "up").exists(): time.sleep(0.01)
"""
    found = run("--", sys.executable, "-c", script)
    assert (found.returncode, (tmp_path / "up").exists()) == (0, True), found.stderr
    assert not any(b"sleep\x004322" in read_or_nothing(path) for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"))


def read_or_nothing(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "many"], "--port many is not a whole number from 0 to 65535."),
        (["--nodes", "0"], "--nodes 0 is not a whole number from 1 to 1000."),
        (["--memory", "much"], "--memory much is not a quantity such as 2, 500m or 4Gi."),
        (["--cpus", "0"], "--cpus 0 is not more than nothing; give a quantity such as 2, 500m or 4Gi."),
        (["--nfs", "data"],
         "--nfs data is not of the form SERVER:PATH or SERVER:PATH=DIR, as in 10.0.0.1:/data=./data."),
        (["--nfs", "a:/b=/no/such"],
         "--nfs a:/b=/no/such: /no/such is not a directory; make it first or leave =DIR out."),
        (["--kubeconfig", "/no/such/config"],
         "--kubeconfig /no/such/config: /no/such is not a directory; make it first."),
        (["--kubeconfig", "/dev/null"], "--kubeconfig /dev/null exists already; the sandbox writes a new file and "
                                        "removes it at its end."),
        (["--faults", "/no/such.yaml"], "/no/such.yaml: cannot be read: No such file or directory."),
        (["--simulate", "/no/such.yaml"], "/no/such.yaml: cannot be read: No such file or directory."),
        (["--state", "/dev/null/x"], "The directory /dev/null/x cannot be used for --state: Not a directory."),
    ],
)  # fmt: skip
def test_a_wrong_option_is_told_in_one_sentence(arguments: list[str], sentence: str) -> None:
    found = run(*arguments, "--", "true")
    assert (found.returncode, found.stdout, found.stderr) == (2, "", f"nnictl sandbox: {sentence}\n")


def test_the_file_of_another_is_not_taken_for_the_second_kubeconfig(tmp_path: pathlib.Path) -> None:
    theirs = tmp_path / "config.nni-user"
    theirs.write_text("theirs")
    found = run("--kubeconfig", str(tmp_path / "config"), "--", "true")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == (
        f"nnictl sandbox: --kubeconfig {tmp_path}/config: {theirs} exists already, where the kubeconfig of the "
        "second user would go; remove it or give another --kubeconfig.\n"
    )
    assert theirs.read_text() == "theirs"


def test_each_mistake_in_a_file_is_a_sentence(tmp_path: pathlib.Path) -> None:
    (tmp_path / "faults.yaml").write_text(
        "- {kind: ApiLatency, latncy: 2}\n"
        "- {kind: HalfOpened}\n"
        "- {kind: ServerError, code: 404, count: -1, verbs: read}\n"
        "- {kind: OperatorDown, operator: mpi-operator}\n"
        "- {kind: NamespaceDeleted}\n"
        "- {kind: SlowStart, labels: 'a in b'}\n"
        "- latency\n"
    )
    found = run("--faults", str(tmp_path / "faults.yaml"), "--", "true")
    where = f"nnictl sandbox: {tmp_path}/faults.yaml: faults"
    lines = found.stderr.splitlines()
    assert lines[:5] == [
        f"{where}[0].latncy: ApiLatency has no such field; write latency.",
        f"{where}[1].kind: HalfOpened is no fault; write HalfOpen.",
        f"{where}[2].code: 404 is none of 500, 502, 503, 504.",
        f"{where}[2].count: -1 is not a whole number, 0 or more.",
        f"{where}[2].verbs: read is none of get, list, watch, create, update, patch, delete, deletecollection.",
    ]
    assert lines[5].startswith(f"{where}[3].operator: mpi-operator is none of ")
    assert lines[6] == f"{where}[4].namespace: is missing; NamespaceDeleted needs it."
    assert lines[7].startswith(f"{where}[5].labels: a in b is not a label selector: ")
    assert lines[8] == f"{where}[6]: is not an object with a kind, as in {{kind: ApiLatency, latency: 2}}."
    assert (found.returncode, len(lines)) == (2, 9)


# Files


def test_faults_of_a_file_are_there_from_the_start(start: Start, tmp_path: pathlib.Path) -> None:
    (tmp_path / "faults.json").write_text('{"faults": [{"kind": "ApiLatency", "latency": 0, "verbs": "list"}]}')
    config = described(start("--json", "--faults", str(tmp_path / "faults.json")))["kubeconfig"]
    call(config, PODS)
    assert call(config, "/sandbox/faults")["faults"] == [
        {"id": "f1", "kind": "ApiLatency", "verbs": ["list"], "latency": 0, "hits": 1, "isOver": False}
    ]


def test_a_simulation_plays_by_its_file(start: Start, tmp_path: pathlib.Path) -> None:
    (tmp_path / "play.yaml").write_text("seed: 3\npods:\n- {name: 'p*', duration: 0.1, failures: 1, exitCode: 4}\n")
    config = described(start("--json", "--simulate", str(tmp_path / "play.yaml")))["kubeconfig"]
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}
    call(config, PODS, {"metadata": {"name": "p1"}, "spec": spec})
    found = until(config, f"{PODS}/p1", lambda found: found["status"]["phase"] == "Failed")
    assert found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4


def test_state_outlives_a_run_and_what_ran_is_told_as_lost(start: Start, tmp_path: pathlib.Path) -> None:
    state = tmp_path / "state"
    first = start("--json", "--state", str(state))
    config = described(first)["kubeconfig"]
    container = {"name": "pytorch", "image": "x", "command": ["sleep", "1000"]}
    replica = {"replicas": 1, "restartPolicy": "Never", "template": {"spec": {"containers": [container]}}}
    body = {
        "apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "job"},
        "spec": {"pytorchReplicaSpecs": {"Master": replica}},
    }  # fmt: skip
    call(config, JOBS, body)
    call(config, "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "kept"}, "data": {"a": "b"}})
    call(config, "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "gone"}})
    call(config, "/api/v1/namespaces/default/configmaps/gone", method="DELETE")
    before = until(config, f"{PODS}/job-master-0", lambda found: found["status"]["phase"] == "Running")
    assert run("--state", str(state)).stderr == (
        f"nnictl sandbox: Another sandbox uses the directory {state}; give another --state.\n"
    )
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=20)
    assert (state / "objects.jsonl").stat().st_mode & 0o777 == 0o600

    config = described(start("--json", "--state", str(state)))["kubeconfig"]
    maps = call(config, "/api/v1/namespaces/default/configmaps")["items"]
    assert [(each["metadata"]["name"], each["data"]) for each in maps] == [("kept", {"a": "b"})]
    pod = call(config, f"{PODS}/job-master-0")
    assert (pod["metadata"]["uid"], pod["status"]["phase"]) == (before["metadata"]["uid"], "Failed")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("ContainerStatusUnknown", 137)
    assert "DisruptionTarget" in [each["type"] for each in pod["status"]["conditions"]]
    job = until(config, f"{JOBS}/job", lambda found: "Failed" in str(found["status"].get("conditions")))
    assert job["metadata"]["uid"] == before["metadata"]["ownerReferences"][0]["uid"]


def test_definitions_and_rights_outlive_a_run(start: Start, tmp_path: pathlib.Path) -> None:
    definitions, foos = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/example.org/v1/foos"
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    path = f"{definitions}/foos.example.org"
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": "foos", "kind": "Foo"}
    first = start("--json", "--state", str(tmp_path))
    config = described(first)["kubeconfig"]
    spec = {"group": "example.org", "scope": "Cluster", "names": names, "versions": [version]}
    call(config, definitions, {"metadata": {"name": "foos.example.org"}, "spec": spec})
    before = until(config, path, lambda found: bool(found.get("status", {}).get("conditions")))
    made = call(config, foos, {"apiVersion": "example.org/v1", "kind": "Foo", "metadata": {"name": "kept"}})
    granted = call(config, roles)["items"]
    first.kill()
    first.communicate(timeout=20)

    found = described(start("--json", "--state", str(tmp_path)))
    config = found["kubeconfig"]
    assert call(config, f"{foos}/kept") == made
    assert call(config, path) == before
    assert call(config, roles)["items"] == granted
    assert pathlib.Path(found["restricted_kubeconfig"]).stat().st_mode & 0o777 == 0o600
    call(config, path, method="DELETE")
    until(config, definitions, lambda found: found["items"] == [])
    with pytest.raises(urllib.error.HTTPError, match="404"):
        call(config, foos)


def test_state_that_was_cut_off_is_read_up_to_there_and_state_of_others_is_refused(
    start: Start, tmp_path: pathlib.Path
) -> None:
    line = '{"resource":"configmaps","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept",'
    line += '"namespace":"default","uid":"u","resourceVersion":"7"}}}\n'
    (tmp_path / "objects.jsonl").write_text(line + line[:60])
    process = start("--json", "--state", str(tmp_path))
    found = call(described(process)["kubeconfig"], "/api/v1/namespaces/default/configmaps")["items"]
    assert [each["metadata"]["name"] for each in found] == ["kept"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    (tmp_path / "objects.jsonl").write_text("something else\n")
    refused = run("--state", str(tmp_path)).stderr
    assert refused == (
        f"nnictl sandbox: Line 1 of {tmp_path}/objects.jsonl is no object of a sandbox; move the file away to start "
        "with nothing.\n"
    )


def test_a_port_is_free_again_after_the_end(start: Start, free_port: int) -> None:
    process = start("--json", "--port", str(free_port), "--simulate")
    described(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", free_port))
