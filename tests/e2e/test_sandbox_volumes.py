"""What pods of the sandbox find at their mount paths: by namespaces as root and as anybody, and by rewriting."""

import pathlib
from typing import Any

import pytest

from pods import CLAIMS, EXPORT, MAPS, PODS, SECRETS, Pods, is_over, waits_as


def test_claims_and_shares_are_directories_that_outlive_pods(pods: Pods) -> None:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = pods.api.call("POST", CLAIMS, {"metadata": {"name": "data"}, "spec": spec})[1]
    assert (claim["status"]["phase"], claim["spec"]["volumeName"]) == ("Bound", f"pvc-{claim['metadata']['uid']}")
    keys = {"azurestorageaccountname": "me", "azurestorageaccountkey": "a2V5"}
    pods.api.call("POST", SECRETS, {"metadata": {"name": "account"}, "stringData": keys})
    share = {"driver": "file.csi.azure.com", "volumeAttributes": {"shareName": "training", "secretName": "account"}}
    volumes = [
        {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "share", "csi": share},
        {"name": "classic", "azureFile": {"shareName": "training", "secretName": "account"}},
    ]
    mounts = {"volumeMounts": [
        {"name": "claim", "mountPath": "/claim", "subPath": "deep/er"},
        {"name": "share", "mountPath": "/share"},
        {"name": "classic", "mountPath": "/classic", "subPathExpr": "$(WHO)"},
    ]}  # fmt: skip
    container = mounts | {"env": [{"name": "WHO", "value": "me"}]}
    pods.run("writer", "echo c > /claim/f; echo s > /share/f; echo k > /classic/f", container, volumes=volumes)
    assert pods.end("writer")["exitCode"] == 0
    whole = {"volumeMounts": [{"name": "claim", "mountPath": "/claim"}, {"name": "share", "mountPath": "/share"}]}
    pods.run("reader", "cat /claim/deep/er/f /share/f /share/me/f", whole, volumes=volumes[:2])
    assert pods.end("reader")["exitCode"] == 0
    assert pods.log("reader") == "c\ns\nk\n"


@pytest.mark.parametrize(
    ("name", "volume", "message", "cure"),
    [
        ("secret", {"secret": {"secretName": "late-1"}}, 'secret "late-1" not found', {"k": "v"}),
        ("key", {"secret": {"secretName": "half", "items": [{"key": "new", "path": "new"}]}},
         "references non-existent secret key: new", None),
        ("csi", {"csi": {"driver": "file.csi.azure.com", "nodePublishSecretRef": {"name": "late-2"},
                         "volumeAttributes": {"shareName": "training"}}},
         "fetching NodePublishSecretRef default/late-2 failed: kubernetes.io/csi: failed to find the secret late-2 in "
         'the namespace default with error: secrets "late-2" not found',
         {"azurestorageaccountname": "a", "azurestorageaccountkey": "a2V5"}),
    ],
)  # fmt: skip
def test_a_mount_that_fails_is_told_and_mended(
    pods: Pods, name: str, volume: dict[str, Any], message: str, cure: dict[str, str] | None
) -> None:
    pods.api.call("POST", SECRETS, {"metadata": {"name": "half"}, "stringData": {"old": "1"}})
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    pods.run(f"unmounted-{name}", "ls /v", mounts, volumes=[{"name": "v", **volume}])
    told = pods.event(f"unmounted-{name}", "FailedMount")
    assert told == f'MountVolume.SetUp failed for volume "v" : {message}'
    found = pods.api.call("GET", f"{PODS}/unmounted-{name}")[1]
    assert (found["status"]["phase"], waits_as("ContainerCreating")(found)) == ("Pending", True)
    if cure is None:
        pods.merge(f"{SECRETS}/half", {"stringData": {"new": "1"}})
    else:
        missing = message.split()[-3 if name == "csi" else 1].strip('"')
        pods.api.call("POST", SECRETS, {"metadata": {"name": missing}, "stringData": cure})
    assert pods.end(f"unmounted-{name}")["exitCode"] == 0


@pytest.mark.parametrize(
    ("name", "volume", "message"),
    [
        ("share", {"csi": {"driver": "file.csi.azure.com", "volumeAttributes": {"shareName": "other"}}},
         "this sandbox maps no share of that name"),
        ("driver", {"csi": {"driver": "disk.example.com"}},
         "driver name disk.example.com not found in the list of registered CSI drivers"),
        ("kind", {"cephfs": {}}, "the sandbox cannot mount volumes of the type cephfs"),
    ],
)  # fmt: skip
def test_what_cannot_be_mounted_at_all_says_so(pods: Pods, name: str, volume: dict[str, Any], message: str) -> None:
    pods.run(f"lost-{name}", "true", volumes=[{"name": "v", **volume}])
    assert message in pods.event(f"lost-{name}", "FailedMount")
    pods.delete(f"lost-{name}")


def test_configuration_is_mounted_as_asked(pods: Pods) -> None:
    pods.api.call("POST", SECRETS, {"metadata": {"name": "modes"}, "stringData": {"key": "k", "other": "o"}})
    pods.api.call("POST", MAPS, {"metadata": {"name": "modes"}, "data": {"a": "1"}, "binaryData": {"b": "Mg=="}})
    downward = {"items": [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}},
    ]}  # fmt: skip
    sources = [
        {"secret": {"name": "modes", "items": [{"key": "key", "path": "deep/key", "mode": 0o400}]}},
        {"configMap": {"name": "modes"}},
        {"configMap": {"name": "absent", "optional": True}},
        {"downwardAPI": downward},
    ]
    volumes = [
        {"name": "all", "projected": {"defaultMode": 0o640, "sources": sources}},
        {"name": "none", "secret": {"secretName": "absent", "optional": True}},
    ]
    container = {
        "volumeMounts": [{"name": "all", "mountPath": "/all"}, {"name": "none", "mountPath": "/none"}],
        "resources": {"limits": {"cpu": "1500m"}},
    }
    script = (
        "stat -c '%a %n' /all/deep/key /all/a; cat /all/a /all/b /all/cpu; echo; ls /none | wc -l;"
        "touch /all/new 2>/dev/null && echo writable || echo read-only"
    )
    pods.run("modes", script, container, volumes=volumes)
    assert pods.end("modes")["exitCode"] == 0
    lines = pods.log("modes").split("\n")
    assert [line.split()[0] for line in lines[:2]] == ["400", "640"]
    assert lines[2:4] == ["121500", "0"]
    # Rewriting cannot take the right to write away.
    assert lines[4] == ("read-only" if pods.is_isolated else "writable")


def test_memory_volumes_have_their_size(pods: Pods) -> None:
    volumes = [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}}]
    write = "dd if=/dev/zero of=/dev/shm/x bs=1M count=3 2>&1 | grep -c 'No space'; stat -f -c %T /dev/shm"
    mounted = {"volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}]}
    pods.run("small", write, mounted, volumes=volumes)
    pods.run("usual", "df -k --output=size /dev/shm | tail -1; ls /dev/shm | wc -l; touch /dev/shm/nni-test")
    assert pods.end("small")["exitCode"] == pods.end("usual")["exitCode"] == 0
    small, usual = pods.log("small").split(), pods.log("usual").split()
    if pods.is_isolated:
        assert (small, usual) == (["1", "tmpfs"], ["65536", "0"])
        assert not pathlib.Path("/dev/shm/nni-test").exists()
    else:  # nothing can be mounted: a volume in memory is a plain directory
        assert small[0] == "0"
        pathlib.Path("/dev/shm/nni-test").unlink()


def test_two_containers_share_a_volume_in_memory(pods: Pods) -> None:
    mounts = [{"name": "m", "mountPath": "/m"}]
    wait = "while [ ! -e /m/f ]; do sleep 0.02; done; cat /m/f"
    second = {"name": "second", "image": "x", "command": ["sh", "-c", wait], "volumeMounts": mounts}
    first = {"name": "first", "image": "x", "command": ["sh", "-c", "echo hi > /m/g; mv /m/g /m/f"],
             "volumeMounts": mounts}  # fmt: skip
    body = {"metadata": {"name": "pair"}, "spec": {"restartPolicy": "Never", "containers": [first, second],
            "volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}]}}  # fmt: skip
    assert pods.api.call("POST", PODS, body)[0] == 201
    pods.until("pair", is_over)
    assert pods.log("pair", "?container=second") == "hi\n"


def test_a_claim_must_be_there_before_its_pod_is_placed(pods: Pods) -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "late"}}]
    pods.run("claimant", "true", volumes=volumes)
    assert pods.event("claimant", "FailedScheduling").startswith(
        '0/1 nodes are available: persistentvolumeclaim "late" not found. preemption: 0/1 nodes are available: 1 '
    )
    pods.api.call("POST", CLAIMS, {"metadata": {"name": "late"}, "spec": {"accessModes": ["ReadWriteOnce"]}})
    assert pods.end("claimant")["exitCode"] == 0


def test_a_working_directory_is_made(pods: Pods) -> None:
    pods.run("worker", "echo x > here && ls", {"workingDir": "/no/such/place"})
    assert pods.end("worker")["exitCode"] == 0
    assert (pods.log("worker"), pathlib.Path("/no/such").exists()) == ("here\n", False)


def test_read_only_mounts_cannot_be_written(pods: Pods) -> None:
    volumes = [{"name": "n", "nfs": {"server": "10.0.0.1", "path": "/data", "readOnly": True}},
               {"name": "e", "emptyDir": {}}]  # fmt: skip
    mounts = {"volumeMounts": [{"name": "n", "mountPath": "/n"}, {"name": "e", "mountPath": "/e", "readOnly": True}]}
    pods.run("frozen", "touch /n/x; touch /e/x; true", mounts, volumes=volumes)
    assert pods.end("frozen")["exitCode"] == 0
    # Rewriting cannot take the right to write away.
    assert pods.log("frozen").count("Read-only file system") == (2 if pods.is_isolated else 0)


def test_an_export_that_appears_is_mounted(pods: Pods) -> None:
    volumes = [{"name": "n", "nfs": {"server": "10.0.0.1", "path": "/data/later"}}]
    pods.run("early", "touch /n/x", {"volumeMounts": [{"name": "n", "mountPath": "/n"}]}, volumes=volumes)
    assert "No such file or directory" in pods.event("early", "FailedMount")
    (pods.sandbox.exports[EXPORT] / "later").mkdir()
    assert pods.end("early")["exitCode"] == 0
