"""kubectl on the sandbox: what people type, and what they are used to read."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from nni.testing import sandbox

pytestmark = pytest.mark.requires("kubectl")

JOB = """
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: NAME}
spec:
  runPolicy: {cleanPodPolicy: None}
  pytorchReplicaSpecs:
    Master:
      replicas: 1
      restartPolicy: Never
      template:
        spec:
          terminationGracePeriodSeconds: 1
          containers: [{name: pytorch, image: python, command: [sh, -c, "SCRIPT"]}]
"""
SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME, labels: {app: test}}
data: {colour: COLOUR, size: "9"}
"""


class Kubectl:
    """kubectl as one user of one cluster."""

    def __init__(self, config: pathlib.Path, home: pathlib.Path) -> None:
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(config)}

    def run(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Run a command line and return what it prints: errors too when it is to fail."""
        done = subprocess.run(
            ["kubectl", *arguments],
            input=stdin, capture_output=True, text=True, env=self._environment, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stderr.strip() if code else done.stdout.strip()

    def table(self, *arguments: str) -> list[list[str]]:
        """Run a command line and return its table, the cells of each row."""
        return [re.split(r"\s{2,}", line.strip()) for line in self.run(*arguments).splitlines()]

    @contextlib.contextmanager
    def following(self, *arguments: str) -> Iterator[Iterator[str]]:
        """Run a command that goes on, and give its lines as they come."""
        with subprocess.Popen(
            ["kubectl", *arguments], stdout=subprocess.PIPE, text=True, env=self._environment
        ) as process:
            assert process.stdout is not None
            try:
                yield iter(process.stdout)
            finally:
                process.terminate()


@pytest.fixture(scope="module")
def running() -> Iterator[sandbox.Sandbox]:
    with sandbox.Sandbox() as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A home of kubectl's own, where it keeps what it has discovered."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def kubectl(running: sandbox.Sandbox, home: pathlib.Path) -> Kubectl:
    return Kubectl(running.kubeconfig, home)


@pytest.fixture
def restricted(running: sandbox.Sandbox, home: pathlib.Path) -> Kubectl:
    return Kubectl(running.restricted_kubeconfig, home)


def submit(kubectl: Kubectl, name: str, script: str) -> None:
    answer = kubectl.run("apply", "-f", "-", stdin=JOB.replace("NAME", name).replace("SCRIPT", script))
    assert answer == f"pytorchjob.kubeflow.org/{name} created"


def test_a_job_from_apply_to_delete(kubectl: Kubectl) -> None:
    submit(kubectl, "life", "echo one; echo two; read line < /dev/zero")
    waited = kubectl.run("wait", "--for=condition=Running", "pytorchjob/life", "--timeout=20s")
    assert waited == "pytorchjob.kubeflow.org/life condition met"
    assert [row[:2] for row in kubectl.table("get", "pytorchjobs")] == [["NAME", "STATE"], ["life", "Running"]]
    heads, row = kubectl.table("get", "pods", "-o", "wide", "-l", "training.kubeflow.org/job-name=life")
    assert heads == [
        "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES",
    ]  # fmt: skip
    assert (row[:4], row[6:]) == (["life-master-0", "1/1", "Running", "0"], ["sandbox-0", "<none>", "<none>"])
    assert kubectl.run("logs", "life-master-0") == "one\ntwo"
    assert kubectl.run("logs", "life-master-0", "--tail=1") == "two"
    assert kubectl.run("logs", "-l", "training.kubeflow.org/replica-type=master", "--tail=-1") == "one\ntwo"
    stamped = kubectl.run("logs", "life-master-0", "--timestamps", "--tail=1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z two", stamped)
    assert kubectl.run("delete", "pytorchjob", "life") == 'pytorchjob.kubeflow.org "life" deleted'
    kubectl.run("wait", "--for=delete", "pod/life-master-0", "--timeout=20s")
    assert kubectl.run("get", "pod", "life-master-0", code=1) == (
        'Error from server (NotFound): pods "life-master-0" not found'
    )


def test_describe_tells_the_whole_story(kubectl: Kubectl) -> None:
    submit(kubectl, "told", "exit 3")
    kubectl.run("wait", "--for=condition=Failed", "pytorchjob/told", "--timeout=20s")
    job = kubectl.run("describe", "pytorchjob", "told")
    assert re.search(r"Reason:\s+PyTorchJobFailed\n\s+Status:\s+True", job)
    assert re.search(r"Normal\s+SuccessfulCreatePod\s+\S+\s+pytorchjob-controller\s+Created pod: told-master-0", job)
    pod = kubectl.run("describe", "pod", "told-master-0")
    assert re.search(r"Controlled By:\s+PyTorchJob/told", pod)
    assert re.search(r"State:\s+Terminated\n\s+Reason:\s+Error\n\s+Exit Code:\s+3", pod)
    for reason in ("Scheduled", "Pulled", "Created", "Started"):
        assert re.search(rf"Normal\s+{reason}\s", pod)
    assert kubectl.table("get", "pod", "told-master-0")[1][1:3] == ["0/1", "Error"]
    kubectl.run("delete", "pytorchjob", "told")


def test_get_watches_until_it_is_stopped(kubectl: Kubectl) -> None:
    # It waits for a secret, so that the watch begins before it runs.
    variable = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "seen", "key": "t"}}}
    main = {"name": "main", "image": "x", "command": ["true"], "env": [variable]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "seen", "labels": {"run": "seen"}},
           "spec": {"restartPolicy": "Never", "containers": [main]}}  # fmt: skip
    kubectl.run("create", "-f", "-", stdin=json.dumps(pod))
    events: list[list[str]] = []
    with kubectl.following("get", "pods", "-w", "--output-watch-events", "-l", "run=seen") as lines:
        events += [next(lines).split() for _ in range(2)]
        kubectl.run("create", "secret", "generic", "seen", "--from-literal=t=1")
        while events[-1][3] != "Completed":
            events.append(next(lines).split())
        kubectl.run("delete", "pod", "seen")
        events.append(next(lines).split())
    assert events[0] == ["EVENT", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert (events[1][0], events[1][2], events[-1][0]) == ("ADDED", "0/1", "DELETED")
    assert [each[2] for each in events if each[3] == "Running"] == ["1/1"]


def test_logs_are_followed_to_the_end(kubectl: Kubectl) -> None:
    kubectl.run(
        "run", "talker", "--image=x", "--restart=Never", "--", "sh", "-c", "echo a; sleep 0.5; echo b; exec cat"
    )
    kubectl.run("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/talker", "--timeout=20s")
    with kubectl.following("logs", "-f", "talker") as lines:
        assert list(lines) == ["a\n", "b\n"]
    refused = kubectl.run("logs", "talker", "-c", "other", code=1)
    assert refused == "error: container other is not valid for pod talker"
    kubectl.run("delete", "pod", "talker", "--now")


def test_apply_creates_configures_and_leaves_alone(kubectl: Kubectl) -> None:
    first = SETTINGS.replace("NAME", "client-side").replace("COLOUR", "red")
    second = first.replace("red", "blue").replace(', size: "9"', "")
    answers = [kubectl.run("apply", "-f", "-", stdin=text) for text in (first, first, second)]
    assert answers == [f"configmap/client-side {verb}" for verb in ("created", "unchanged", "configured")]
    assert json.loads(kubectl.run("get", "cm", "client-side", "-o", "json"))["data"] == {"colour": "blue"}
    assert kubectl.run("diff", "-f", "-", stdin=second) == ""
    assert kubectl.run("delete", "-f", "-", stdin=second) == 'configmap "client-side" deleted'


def test_apply_on_the_servers_side_knows_who_owns_what(kubectl: Kubectl) -> None:
    text = SETTINGS.replace("NAME", "server-side").replace("COLOUR", "red")
    apply = ("apply", "--server-side", "-f", "-")
    assert kubectl.run(*apply, stdin=text) == "configmap/server-side serverside-applied"
    version = kubectl.run("get", "cm", "server-side", "-o", "jsonpath={.metadata.resourceVersion}")
    kubectl.run(*apply, stdin=text)
    assert kubectl.run("get", "cm", "server-side", "-o", "jsonpath={.metadata.resourceVersion}") == version
    kubectl.run("patch", "cm", "server-side", "--type=merge", "-p", '{"data":{"colour":"green","other":"1"}}')
    refused = kubectl.run(*apply, stdin=text, code=1)
    assert 'Apply failed with 1 conflict: conflict with "kubectl-patch" using v1: .data.colour' in refused
    kubectl.run(*apply, "--force-conflicts", stdin=text.replace(', size: "9"', ""))
    found = json.loads(kubectl.run("get", "cm", "server-side", "-o", "json", "--show-managed-fields"))
    assert found["data"] == {"colour": "red", "other": "1"}
    owners = {(each["manager"], each["operation"]): each["fieldsV1"] for each in found["metadata"]["managedFields"]}
    assert owners == {
        ("kubectl", "Apply"): {"f:data": {"f:colour": {}}, "f:metadata": {"f:labels": {"f:app": {}}}},
        ("kubectl-patch", "Update"): {"f:data": {"f:other": {}}},
    }


def test_apply_moves_from_the_clients_to_the_servers_side(kubectl: Kubectl) -> None:
    text = SETTINGS.replace("NAME", "moved").replace("COLOUR", "red")
    kubectl.run("apply", "-f", "-", stdin=text)
    kubectl.run("apply", "--server-side", "-f", "-", stdin=text.replace(', size: "9"', ""))
    assert json.loads(kubectl.run("get", "cm", "moved", "-o", "json"))["data"] == {"colour": "red"}


@pytest.mark.parametrize("how", [("apply",), ("apply", "--server-side"), ("create",)])
def test_unknown_fields_are_named(kubectl: Kubectl, how: tuple[str, ...]) -> None:
    text = JOB.replace("NAME", "odd").replace("SCRIPT", "true").replace("replicas: 1", "replicas: 1\n      colour: red")
    refused = kubectl.run(*how, "-f", "-", stdin=text, code=1)
    assert 'strict decoding error: unknown field "spec.pytorchReplicaSpecs.Master.colour"' in refused


def test_what_the_webhook_refuses_is_told_word_for_word(kubectl: Kubectl) -> None:
    text = JOB.replace("NAME", "odd").replace("SCRIPT", "true").replace("replicas: 1", "replicas: 2")
    assert kubectl.run("create", "-f", "-", stdin=text, code=1) == (
        'Error from server (Forbidden): error when creating "STDIN": admission webhook '
        '"validator.pytorchjob.training-operator.kubeflow.org" denied the request: '
        "spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1"
    )


def test_create_makes_the_small_things(kubectl: Kubectl) -> None:
    assert kubectl.run("create", "namespace", "small") == "namespace/small created"
    made = [
        kubectl.run("create", "-n", "small", *command.split())
        for command in (
            "configmap settings --from-literal=a=b",
            "secret generic keys --from-literal=password=x",
            "serviceaccount robot",
            "role reader --verb=get,list --resource=pods,pods/log,pytorchjobs.kubeflow.org",
            "rolebinding robot-reads --role=reader --serviceaccount=small:robot",
        )
    ]
    assert made == [
        "configmap/settings created",
        "secret/keys created",
        "serviceaccount/robot created",
        "role.rbac.authorization.k8s.io/reader created",
        "rolebinding.rbac.authorization.k8s.io/robot-reads created",
    ]
    rows = kubectl.table("get", "secrets,cm,sa,roles,rolebindings", "-n", "small", "-o", "wide")
    assert [row[:-1] for row in rows[:2]] == [["NAME", "TYPE", "DATA"], ["secret/keys", "Opaque", "1"]]
    assert ["NAME", "ROLE", "AGE", "USERS", "GROUPS", "SERVICEACCOUNTS"] in rows
    assert re.search(r"password:\s+1 bytes", kubectl.run("describe", "secret", "keys", "-n", "small"))
    found = json.loads(kubectl.run("get", "secret", "keys", "-n", "small", "-o", "json"))
    assert found["data"] == {"password": "eA=="}
    exists = kubectl.run("create", "configmap", "settings", "-n", "small", code=1)
    assert exists == 'error: failed to create configmap: configmaps "settings" already exists'
    assert kubectl.run("delete", "namespace", "small") == 'namespace "small" deleted'
    gone = kubectl.run("create", "configmap", "settings", "-n", "small", code=1)
    assert gone == 'error: failed to create configmap: namespaces "small" not found'


def test_patch_label_and_annotate(kubectl: Kubectl) -> None:
    kubectl.run("create", "configmap", "changed", "--from-literal=a=b")
    for command in (
        ("patch", "cm", "changed", "-p", '{"data":{"strategic":"1"}}'),
        ("patch", "cm", "changed", "--type=merge", "-p", '{"data":{"merge":"1","a":null}}'),
        ("patch", "cm", "changed", "--type=json", "-p", '[{"op":"add","path":"/data/json","value":"1"}]'),
    ):
        assert kubectl.run(*command) == "configmap/changed patched"
    assert kubectl.run("label", "cm", "changed", "colour=red") == "configmap/changed labeled"
    assert "already has a value (red)" in kubectl.run("label", "cm", "changed", "colour=blue", code=1)
    assert kubectl.run("annotate", "cm", "changed", "note=x") == "configmap/changed annotated"
    found = json.loads(kubectl.run("get", "cm", "-l", "colour in (red)", "-o", "json"))["items"][0]
    assert found["data"] == {"strategic": "1", "merge": "1", "json": "1"}
    assert (found["metadata"]["labels"], found["metadata"]["annotations"]) == ({"colour": "red"}, {"note": "x"})
    refused = kubectl.run("patch", "cm", "changed", "--type=json", "-p", '[{"op":"test","path":"/data/a","value":"1"}]',
                          code=1)  # fmt: skip
    assert refused.startswith("The request is invalid")


def test_what_is_served_is_listed_and_explained(kubectl: Kubectl) -> None:
    rows = {row[0]: row for row in kubectl.table("api-resources")}
    assert rows["pods"] == ["pods", "po", "v1", "true", "Pod"]
    assert rows["pytorchjobs"][-3:] == ["kubeflow.org/v1", "true", "PyTorchJob"]
    assert kubectl.run("api-resources", "--api-group=kubeflow.org", "--verbs=deletecollection", "-o", "name") != ""
    told = kubectl.run("explain", "pytorchjob.spec.runPolicy")
    assert re.search(r"cleanPodPolicy\s+<string>", told)
    assert re.search(r"mountPath\s+<string> -required-", kubectl.run("explain", "pod.spec.containers.volumeMounts"))


def test_nodes_and_events_read_as_on_a_cluster(kubectl: Kubectl) -> None:
    heads, row = kubectl.table("get", "nodes", "-o", "wide")
    assert heads == [
        "NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION",
        "CONTAINER-RUNTIME",
    ]  # fmt: skip
    assert row[:3] == ["sandbox-0", "Ready", "<none>"]
    assert kubectl.run("cordon", "sandbox-0") == "node/sandbox-0 cordoned"
    assert kubectl.table("get", "nodes")[1][1] == "Ready,SchedulingDisabled"
    kubectl.run("run", "stuck", "--image=x", "--restart=Never", "--", "true")
    with kubectl.following(
        "get", "events", "-w", "--no-headers", "--field-selector=involvedObject.name=stuck"
    ) as lines:  # fmt: skip
        assert "FailedScheduling" in next(lines)
    heads = kubectl.table("get", "events", "-o", "wide")[0]
    assert heads == [
        "LAST SEEN", "TYPE", "REASON", "OBJECT", "SUBOBJECT", "SOURCE", "MESSAGE", "FIRST SEEN", "COUNT", "NAME",
    ]  # fmt: skip
    kubectl.run("uncordon", "sandbox-0")
    kubectl.run("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/stuck", "--timeout=20s")
    kubectl.run("delete", "pod", "stuck")


def test_a_drained_node_says_why_its_pods_go(kubectl: Kubectl, running: sandbox.Sandbox) -> None:
    kubectl.run(
        "run", "evicted", "--image=x", "--restart=Never", "--", "sh", "-c", "trap 'exit 1' TERM; sleep 1000 & wait"
    )
    kubectl.run("wait", "--for=condition=Ready", "pod/evicted", "--timeout=20s")
    found: list[dict[str, Any]] = []
    path = "/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%3Devicted"
    events = sandbox.Connection(running).watch(path)
    found.append(next(events))
    assert "pod/evicted evicted" in kubectl.run("drain", "sandbox-0", "--force", "--timeout=20s")
    while found[-1]["type"] != "DELETED":
        found.append(next(events))
    conditions = {
        each["type"]: each["reason"] for each in found[-1]["object"]["status"]["conditions"] if "reason" in each
    }
    assert conditions["DisruptionTarget"] == "EvictionByEvictionAPI"
    kubectl.run("uncordon", "sandbox-0")


def test_a_job_of_kubernetes_own_is_made_by_one_command(kubectl: Kubectl) -> None:
    assert kubectl.run("create", "job", "once", "--image=x", "--", "echo", "done") == "job.batch/once created"
    kubectl.run("wait", "--for=condition=Complete", "job/once", "--timeout=20s")
    assert kubectl.run("logs", "job/once") == "done"
    kubectl.run("delete", "job", "once")


def test_faults_are_the_administrators_alone(kubectl: Kubectl, restricted: Kubectl) -> None:
    assert json.loads(kubectl.run("get", "--raw", "/sandbox/faults")) == {"faults": []}
    assert 'cannot get path "/sandbox/faults"' in restricted.run("get", "--raw", "/sandbox/faults", code=1)


def test_kubeconfigs_are_for_their_owner_alone(running: sandbox.Sandbox) -> None:
    modes = [path.stat().st_mode & 0o777 for path in (running.kubeconfig, running.restricted_kubeconfig)]
    assert modes == [0o600, 0o600]


def test_who_am_i_and_what_may_i(kubectl: Kubectl, restricted: Kubectl) -> None:
    account = "system:serviceaccount:default:nni-user"
    assert f"Username    {account}" in restricted.run("auth", "whoami")
    assert kubectl.run("auth", "can-i", "delete", "nodes") == "yes"
    assert restricted.run("get", "pods", code=1) == (
        f'Error from server (Forbidden): pods is forbidden: User "{account}" cannot list resource "pods" in API group '
        '"" in the namespace "default"'
    )
    kubectl.run("create", "role", "runner", "--verb=create,get,list,watch", "--resource=pytorchjobs.kubeflow.org,pods")
    kubectl.run("create", "rolebinding", "runner", "--role=runner", "--serviceaccount=default:nni-user")
    assert restricted.run("get", "pods") == ""
    assert restricted.run("auth", "can-i", "create", "pytorchjobs.kubeflow.org") == "yes"
    assert kubectl.run("auth", "can-i", "list", "pods", f"--as={account}") == "yes"
    assert ["pods", "[]", "[]", "[create get list watch]"] in restricted.table("auth", "can-i", "--list")
    assert 'pods "x" is forbidden' in restricted.run("delete", "pod", "x", code=1)
    kubectl.run("create", "serviceaccount", "guest")
    token = kubectl.run("create", "token", "guest", "--duration=10m")
    assert "system:serviceaccount:default:guest" in kubectl.run("auth", "whoami", f"--token={token}")
    kubectl.run("delete", "role,rolebinding", "runner")
    assert "Forbidden" in restricted.run("get", "pods", code=1)


def test_nobody_grants_more_than_they_have(kubectl: Kubectl, restricted: Kubectl) -> None:
    roles = "roles.rbac.authorization.k8s.io"
    kubectl.run("create", "role", "granter", "--verb=create,get,patch", f"--resource={roles},pods")
    kubectl.run("create", "rolebinding", "granter", "--role=granter", "--serviceaccount=default:nni-user")
    assert restricted.run("create", "role", "less", "--verb=get", "--resource=pods").endswith("/less created")
    assert restricted.run("create", "role", "more", "--verb=get,delete", "--resource=pods", code=1) == (
        'Error from server (Forbidden): roles.rbac.authorization.k8s.io "more" is forbidden: user '
        '"system:serviceaccount:default:nni-user" (groups=["system:serviceaccounts" "system:serviceaccounts:default" '
        '"system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}'
    )
    more = '[{"op":"add","path":"/rules/0/verbs/-","value":"delete"}]'
    refused = restricted.run("patch", "role", "less", "--type=json", "-p", more, code=1)
    assert "is attempting to grant RBAC permissions not currently held" in refused
    assert restricted.run("get", "role", "less", "-o", "jsonpath={.rules[0].verbs}") == '["get"]'
    kubectl.run("delete", "rolebinding", "granter")
    kubectl.run("delete", "role", "granter", "less")


def test_a_definition_is_served_until_it_is_deleted(kubectl: Kubectl, running: sandbox.Sandbox) -> None:
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]}
    size = {"type": "integer", "minimum": 1, "description": "How large it is."}
    shape = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": size}}}}
    version = {
        "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": shape},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    }  # fmt: skip
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }  # fmt: skip
    kubectl.run("apply", "--server-side", "-f", "-", stdin=json.dumps(definition))
    kubectl.run("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s")
    widget: dict[str, Any] = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}}
    kubectl.run("create", "-f", "-", stdin=json.dumps(widget | {"spec": {"size": 3}}))
    assert kubectl.table("get", "wd") == [["NAME", "SIZE"], ["one", "3"]]
    assert "How large it is." in kubectl.run("explain", "widget.spec.size")
    refused = kubectl.run("create", "-f", "-", stdin=json.dumps(widget | {"spec": {"size": 0}}), code=1)
    assert refused == (
        'The Widget "one" is invalid: spec.size: Invalid value: 0: '
        "spec.size in body should be greater than or equal to 1"
    )
    kubectl.run("delete", "crd", "widgets.example.com", "--timeout=20s")
    # kubectl has kept what it has discovered, so it still asks for them.
    assert "the server could not find the requested resource" in kubectl.run("get", "widgets", code=1)
