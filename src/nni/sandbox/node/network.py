"""The network that containers see: the host's own, with names and ports translated.

Pods get no network namespace. One of their own would need a bridge and forwarding, so root on the host, to reach its
peers, the manager's intake on loopback and the internet; and a user without root, for whom the sandbox is first of
all, could have nothing but a loopback that nobody else hears. So pods of both kinds of users share the host's network,
and behave alike.

The price: the addresses that an operator writes into a pod (a headless service's name and the framework's port) mean
nothing here, and two jobs would meet on one port. In the variables that frameworks read for their rendezvous the name
becomes 127.0.0.1, and each replica that is named gets a port of its own. A port that a program has by heart is not
translated: two pods that listen on the same one collide, as two programs on one machine do.
"""

import json
import socket
from collections.abc import Mapping
from typing import Any

from nni.sandbox import schema

_PORTS = range(21000, 31000)
"""Below the range from which systems take the ports of outgoing connections."""
_JOBS = ("training.kubeflow.org/job-name", "jobset.sigs.k8s.io/jobset-name", "batch.kubernetes.io/job-name")
_SET_UID = "jobset.sigs.k8s.io/jobset-uid"
_PAIRS = (("MASTER_ADDR", "MASTER_PORT"), ("PET_MASTER_ADDR", "PET_MASTER_PORT"))
_ENDPOINT = "PET_RDZV_ENDPOINT"
_CONFIG = "TF_CONFIG"
LOOPBACK = "127.0.0.1"


def hostname(pod: schema.Object) -> str:
    """Give the name that a pod's containers have for their host."""
    name = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return str(name)[:63].rstrip("-.")


def hosts(pod: schema.Object, address: str) -> str:
    """Write a pod's /etc/hosts, as the kubelet does."""
    aliases = [(each["ip"], *each.get("hostnames", [])) for each in pod["spec"].get("hostAliases", [])]
    entries = [("127.0.0.1", "localhost"), ("::1", "localhost ip6-localhost"), (address, hostname(pod)), *aliases]
    return "# Kubernetes-managed hosts file.\n" + "".join("\t".join(entry) + "\n" for entry in entries)


class SharedNetwork:
    """The host's own network for all pods."""

    def __init__(self) -> None:
        self._ports: dict[tuple[str, str, str], int] = {}
        self._next = 0

    def address_of(self, pod: schema.Object) -> str:
        """Give the pod's IP."""
        return LOOPBACK

    def translate(self, pod: schema.Object, environment: dict[str, str]) -> dict[str, str]:
        """Return the environment with the addresses and ports under which a pod's peers are found here."""
        peers = _Peers(self, pod)
        if not peers.job:
            return environment
        translated = dict(environment)
        for address, port in _PAIRS:
            host = environment.get(address, "")
            if peers.has(host):
                translated[address] = LOOPBACK
                if port in environment:
                    translated[port] = str(peers.port(host, environment[port]))
        if _ENDPOINT in environment:
            translated[_ENDPOINT] = peers.translate(environment[_ENDPOINT])
        if _CONFIG in environment:
            translated[_CONFIG] = _translate_config(environment[_CONFIG], peers)
        return translated

    def port(self, job: str, host: str, port: str) -> int:
        """Give the port that stands here for a port of a replica."""
        key = (job, host, port)
        if key not in self._ports:
            self._ports[key] = self._free_port()
        return self._ports[key]

    def _free_port(self) -> int:
        for _ in _PORTS:
            port = _PORTS[self._next % len(_PORTS)]
            self._next += 1
            with socket.socket() as probe:
                try:
                    probe.bind((LOOPBACK, port))
                except OSError:
                    continue
                return port
        return 0


class _Peers:
    """The replicas of the job that a pod belongs to."""

    def __init__(self, network: SharedNetwork, pod: schema.Object) -> None:
        labels: Mapping[str, str] = pod["metadata"].get("labels", {})
        self._network = network
        self.job = next((labels[name] for name in _JOBS if name in labels), "")
        owner = labels.get(_SET_UID) or _owner(pod) or self.job
        self._identity = f"{pod['metadata']['namespace']}/{owner}"

    def has(self, host: str) -> bool:
        return host.startswith(f"{self.job}-")

    def port(self, host: str, port: str) -> int:
        return self._network.port(self._identity, host.partition(".")[0], port)

    def translate(self, endpoint: str) -> str:
        host, colon, port = endpoint.rpartition(":")
        return f"{LOOPBACK}:{self.port(host, port)}" if colon and self.has(host) else endpoint


def _translate_config(text: str, peers: _Peers) -> str:
    """Translate the addresses in a TF_CONFIG, in its dense form (lists) and its sparse one (by index)."""
    try:
        config: Any = json.loads(text)
        form = "sparseCluster" if "sparseCluster" in config else "cluster"
        cluster = {role: _each(addresses, peers) for role, addresses in config[form].items()}
        return json.dumps({**config, form: cluster})
    except (ValueError, KeyError, TypeError, AttributeError):
        return text  # the user's own, in whatever form


def _each(addresses: Any, peers: _Peers) -> Any:
    if isinstance(addresses, Mapping):
        return {index: peers.translate(address) for index, address in addresses.items()}
    return addresses and [peers.translate(address) for address in addresses]


def _owner(pod: schema.Object) -> str:
    for owner in pod["metadata"].get("ownerReferences", []):
        if owner.get("controller"):
            return str(owner["uid"])
    return ""
