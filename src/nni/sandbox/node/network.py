"""The network that containers see. In this version they share the host's, so names and ports are translated.

The addresses that an operator writes into a pod (a headless service's name and the framework's port) mean nothing on a
shared network: two jobs would meet on one port. The name becomes 127.0.0.1 and each job gets a port of its own.
"""

import re
import socket

from nni.sandbox import schema

_PORTS = range(21000, 31000)
"""Below the range from which systems take the ports of outgoing connections."""
_JOB = "training.kubeflow.org/job-name"
_ADDRESSES = ("MASTER_ADDR", "PET_MASTER_ADDR")
_PORT_NAMES = ("MASTER_PORT", "PET_MASTER_PORT")
LOOPBACK = "127.0.0.1"


class SharedNetwork:
    """The host's own network for all pods."""

    def __init__(self) -> None:
        self._ports: dict[str, int] = {}
        self._next = 0

    def address_of(self, pod: schema.Object) -> str:
        """Give the pod's IP."""
        return LOOPBACK

    def translate(self, pod: schema.Object, environment: dict[str, str]) -> dict[str, str]:
        """Return the environment with the addresses and ports under which a pod's peers are found here."""
        job = pod["metadata"].get("labels", {}).get(_JOB)
        if job is None:
            return environment
        translated = dict(environment)
        for name in _ADDRESSES:
            if translated.get(name, "").startswith(f"{job}-"):
                translated[name] = LOOPBACK
        where = f"{pod['metadata']['namespace']}/{_owner(pod) or job}"
        for name in _PORT_NAMES:
            if name in translated:
                translated[name] = str(self._port(where))
        endpoint = translated.get("PET_RDZV_ENDPOINT", "")
        if re.match(rf"{re.escape(job)}-[a-z]+-\d+:", endpoint):
            translated["PET_RDZV_ENDPOINT"] = f"{LOOPBACK}:{self._port(where)}"
        return translated

    def _port(self, job: str) -> int:
        if job not in self._ports:
            self._ports[job] = self._free_port()
        return self._ports[job]

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


def _owner(pod: schema.Object) -> str:
    for owner in pod["metadata"].get("ownerReferences", []):
        if owner.get("controller"):
            return str(owner["uid"])
    return ""
