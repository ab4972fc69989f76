"""The nodes that the sandbox declares; their capacities have nothing to do with the host's."""

import dataclasses

from nni.sandbox import kinds, registry, times


@dataclasses.dataclass(frozen=True)
class Capacity:
    """What one node offers, in Kubernetes' quantities."""

    cpus: str = "64"
    memory: str = "256Gi"
    gpus: str = "8"
    pods: str = "110"


BOUNDLESS = Capacity("1000000", "1Pi", "1000000", "1000000")
"""What simulated pods never fill."""


def register(objects: registry.Registry, count: int, capacity: Capacity) -> None:
    """Create ``sandbox-0`` and on."""
    moment = times.stamp(objects.now())
    resources = {
        "cpu": capacity.cpus,
        "memory": capacity.memory,
        "nvidia.com/gpu": capacity.gpus,
        "ephemeral-storage": "1Ti",
        "pods": capacity.pods,
    }
    for index in range(count):
        name = f"sandbox-{index}"
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        node = objects.create(kinds.NODE, "", {"metadata": {"name": name, "labels": labels}, "spec": {}})
        ready = {
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
            "lastHeartbeatTime": moment, "lastTransitionTime": moment,
        }  # fmt: skip
        state = {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {"kubeletVersion": "v1.32.0+sandbox", "operatingSystem": "linux", "architecture": "amd64",
                         "osImage": "sandbox", "kernelVersion": "", "containerRuntimeVersion": "sandbox://1",
                         "kubeProxyVersion": "", "machineID": "", "systemUUID": "", "bootID": ""},
        }  # fmt: skip
        objects.set_status(kinds.NODE, node, state)
