"""The network that containers see. In this version they share the host's, so names and ports are translated.

The addresses that an operator writes into a pod (the names of services and the framework's port) mean nothing on a
shared network: two jobs would meet on one port. Each name becomes 127.0.0.1, and each replica gets a port of its own.
"""

import json
import re
import socket
from typing import Any

from nni.sandbox import schema

_PORTS = range(21000, 31000)
"""Below the range from which systems take the ports of outgoing connections."""
_JOB = "training.kubeflow.org/job-name"
_SET, _SET_UID = "jobset.sigs.k8s.io/jobset-name", "jobset.sigs.k8s.io/jobset-uid"
_PAIRS = (("MASTER_ADDR", "MASTER_PORT"), ("PET_MASTER_ADDR", "PET_MASTER_PORT"))
_HOST = r"-[a-z][-a-z0-9]*-\d+"
"""What follows the job's name in a replica's: ``-master-0``, ``-node-0-0``."""
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
        labels = pod["metadata"].get("labels", {})
        job = labels.get(_JOB) or labels.get(_SET)
        if job is None:
            return environment
        translated = dict(environment)
        place = f"{pod['metadata']['namespace']}/{labels.get(_SET_UID) or _owner(pod) or job}"
        peer = re.compile(rf"({re.escape(job)}{_HOST})(\.[-a-z0-9.]+)?(:\d+)?")
        for address, port in _PAIRS:
            if match := peer.fullmatch(translated.get(address, "")):
                translated[address] = LOOPBACK
                if port in translated:
                    translated[port] = str(self._port(place, match[1]))
        if match := peer.fullmatch(translated.get("PET_RDZV_ENDPOINT", "")):
            translated["PET_RDZV_ENDPOINT"] = f"{LOOPBACK}:{self._port(place, match[1])}"
        if "TF_CONFIG" in translated:
            translated["TF_CONFIG"] = self._translate_config(translated["TF_CONFIG"], peer, place)
        return translated

    def _translate_config(self, text: str, peer: re.Pattern[str], place: str) -> str:
        """Translate every endpoint in a TF_CONFIG; one that is not JSON is the user's own and stays."""

        def replace(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: replace(each) for name, each in value.items()}
            if isinstance(value, list):
                return [replace(each) for each in value]
            match = peer.fullmatch(value) if isinstance(value, str) else None
            return f"{LOOPBACK}:{self._port(place, match[1])}" if match else value

        try:
            return json.dumps(replace(json.loads(text)), separators=(",", ":"))
        except ValueError:
            return text

    def _port(self, place: str, host: str) -> int:
        """Give the port of a replica, the same for all who ask."""
        where = f"{place}/{host}"
        if where not in self._ports:
            self._ports[where] = self._free_port()
        return self._ports[where]

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
