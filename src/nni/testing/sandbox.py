"""The sandbox for tests: a Kubernetes cluster of their own, in a process of its own.

In a ``conftest.py``::

    @pytest.fixture(scope="session")
    def sandbox() -> Iterator[Sandbox]:
        with Sandbox(nfs={"10.0.0.1:/data": None}) as running:
            yield running

It ends with the context, and with the test process whatever happens to that: the sandbox leaves when its standard
input closes.
"""

import asyncio
import base64
import contextlib
import dataclasses
import http.client
import json
import pathlib
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from nni import errors

if TYPE_CHECKING:
    from nni.sandbox import cluster
    from nni.sandbox.faults import catalogue

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_END_WITHIN = 20.0


class Sandbox:
    """A running sandbox; use it as a context manager.

    Attributes:
        url: The API server, as ``https://127.0.0.1:41234``.
        kubeconfig: The file that lets clients in; they may do everything.
        restricted_kubeconfig: A second one, of the service account ``nni-user`` in ``default``: it may do what roles
            and bindings in the API grant, at first nothing.
        exports: Directory by NFS export (``server:path``).
        mounts: The value for ``NNI_MOUNTS``.
        isolation: ``namespaces`` or ``rewrite``: how pods get their mount paths.
        memory: ``cgroups v2``, ``cgroups v1`` or ``watching``: what holds containers to their memory limits.
        pid: The sandbox's process.
    """

    url: str
    kubeconfig: pathlib.Path
    restricted_kubeconfig: pathlib.Path
    exports: dict[str, pathlib.Path]
    mounts: str
    isolation: str
    memory: str
    pid: int

    def __init__(
        self,
        *,
        nfs: Mapping[str, pathlib.Path | None] | None = None,
        shares: Mapping[str, pathlib.Path | None] | None = None,
        node_count: int = 1,
        cpus: str | None = None,
        memory: str | None = None,
        gpus: str | None = None,
        isolation: str = "auto",
        environment: Mapping[str, str] | None = None,
        simulate: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Describe the sandbox; it starts on entry.

        Args:
            nfs: Directories behind NFS exports (``server:path``); None makes one that is removed at the end.
            shares: Directories behind Azure file shares, by the share's name; None makes one likewise.
            node_count: How many nodes.
            cpus: CPUs of each node, declared only; None is 64.
            memory: Memory of each node, declared only; None is 256Gi.
            gpus: ``nvidia.com/gpu`` of each node, declared only; None is 8.
            isolation: ``auto``, ``namespaces`` or ``rewrite``.
            environment: Variables that every container finds, beside PATH and LANG.
            simulate: Acts by which pods are played instead of run, as ``nnictl sandbox --simulate FILE`` has them
                (an empty list for a plain play); capacities that are None have no bounds then.
        """
        self._arguments: dict[str, Any] = {
            "exports": _written(nfs),
            "shares": _written(shares),
            "node_count": node_count,
            "capacity": {"cpus": cpus, "memory": memory, "gpus": gpus},
            "simulate": None if simulate is None else [dict(act) for act in simulate],
            "isolation": isolation,
            "environment": dict(environment or {}),
        }
        self._process: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to use it: ``KUBECONFIG`` and ``NNI_MOUNTS``."""
        return {"KUBECONFIG": str(self.kubeconfig), "NNI_MOUNTS": self.mounts}

    def __enter__(self) -> Self:
        """Start it and wait until it answers. Raises SandboxError."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nni.testing.sandbox", json.dumps(self._arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if self._process.stdout is None:
            raise errors.SandboxError("The sandbox's output cannot be read.")
        line = self._process.stdout.readline()
        unsaid = {"error": "The sandbox could not start; its own message stands above."}
        answer: dict[str, Any] = json.loads(line) if line else unsaid
        if "error" in answer:
            self.__exit__()
            raise errors.SandboxError(answer["error"])
        self.url, self.mounts, self.isolation = answer["url"], answer["mounts"], answer["isolation"]
        self.kubeconfig = pathlib.Path(answer["kubeconfig"])
        self.restricted_kubeconfig = pathlib.Path(answer["restricted_kubeconfig"])
        self.exports = {export: pathlib.Path(folder) for export, folder in answer["exports"].items()}
        self.memory, self.pid = answer["memory"], self._process.pid
        return self

    @contextlib.contextmanager
    def faults(self, *wanted: "catalogue.Fault") -> "Iterator[list[SetFault]]":
        """Let the cluster misbehave for as long as the context lasts (``nni.testing.faults`` has the kinds)."""
        from nni.sandbox.faults import reading  # noqa: PLC0415 - most tests of others set no fault

        control = Connection(self)
        code, answer = control.call("POST", "/sandbox/faults", [reading.write(fault) for fault in wanted])
        if code != 201:
            raise errors.SandboxError(answer["message"])
        made = [SetFault(control, described["id"]) for described in answer["faults"]]
        try:
            yield made
        finally:
            for fault in made:
                control.call("DELETE", f"/sandbox/faults/{fault.id}")

    def __exit__(self, *_: object) -> None:
        """Stop it and all that runs in it."""
        if self._process is None:
            return
        with self._process as process, contextlib.suppress(BrokenPipeError):
            process.communicate(timeout=_END_WITHIN)
        self._process = None


class Connection:
    """Plain HTTPS to the API server of a sandbox, for tests that want to see the answers themselves."""

    def __init__(self, running: Sandbox, *, restricted: bool = False) -> None:
        """Connect as the administrator, or as the user of ``restricted_kubeconfig``."""
        path = running.restricted_kubeconfig if restricted else running.kubeconfig
        config = json.loads(path.read_text())
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        self._url = running.url
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}

    def open(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        """Send a request (bytes as they are) and return the open answer. Raises urllib.error.HTTPError for refusals."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        complete = {"Content-Type": "application/json", **self._headers, **headers}
        request = urllib.request.Request(self._url + path, data, complete, method=method)  # noqa: S310 - it is https
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, context=self._tls, timeout=20)  # noqa: S310
        return answer

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """Send a request and return the status code and the object, of a refusal too."""
        try:
            with self.open(method, path, body, **headers) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def watch(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the events of a watch (the path carries its query) until the server ends it."""
        with self.open("GET", path) as answer:
            for line in answer:
                yield json.loads(line)

    def until(self, path: str, is_done: Callable[[dict[str, Any]], bool], *, timeout: int = 15) -> dict[str, Any]:
        """Watch one object until something holds, and return it as it then is. Raises TimeoutError."""
        for event in self.watch(self._one(path, timeout)):
            if event["type"] != "DELETED" and is_done(event["object"]):
                return dict(event["object"])
        raise TimeoutError(f"{path} never came to it: {self.call('GET', path)}")

    def until_gone(self, path: str, *, timeout: int = 15) -> None:
        """Watch one object until it is deleted. Raises TimeoutError."""
        code, found = self.call("GET", path)
        if code == 404:
            return
        since = f"&resourceVersion={found['metadata']['resourceVersion']}"
        if not any(event["type"] == "DELETED" for event in self.watch(self._one(path, timeout) + since)):
            raise TimeoutError(f"{path} is still there: {self.call('GET', path)}")

    @staticmethod
    def _one(path: str, timeout: int) -> str:
        collection, _, name = path.rpartition("/")
        return f"{collection}?watch=1&timeoutSeconds={timeout}&fieldSelector=metadata.name%3D{name}"


def _written(folders: Mapping[str, pathlib.Path | None] | None) -> dict[str, str | None]:
    return {name: None if folder is None else str(folder) for name, folder in (folders or {}).items()}


class SetFault:
    """A fault that is in force."""

    def __init__(self, control: Connection, fault_id: str) -> None:
        self.id = fault_id
        self._control = control

    @property
    def hits(self) -> int:
        """How often it has struck by now."""
        listed = self._control.call("GET", "/sandbox/faults")[1]["faults"]
        return int(next(described["hits"] for described in listed if described["id"] == self.id))


async def _serve(options: "cluster.Options") -> None:
    from nni.sandbox import cluster  # noqa: PLC0415 - what only the sandbox's own process needs

    async with cluster.running(options) as made:
        answer = dataclasses.asdict(made) | {"mounts": made.mounts}
        print(json.dumps(answer, default=str), flush=True)  # noqa: T201 - the line that the parent waits for
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        try:
            await reader.read()
        finally:
            transport.close()


def _options(text: str) -> "cluster.Options":
    from nni.sandbox import cluster, nodes  # noqa: PLC0415
    from nni.sandbox.simulation import script  # noqa: PLC0415

    given = json.loads(text)
    folders = {part: {name: folder and pathlib.Path(folder) for name, folder in given.pop(part).items()}
               for part in ("exports", "shares")}  # fmt: skip
    acts = given.pop("simulate")
    usual = nodes.Capacity() if acts is None else nodes.BOUNDLESS
    asked = {name: value for name, value in given.pop("capacity").items() if value is not None}
    environment = {
        "PATH": f"{pathlib.Path(sys.executable).parent}:{_PATH}",
        "LANG": "C.UTF-8",
        **given.pop("environment"),
    }
    return cluster.Options(
        capacity=dataclasses.replace(usual, **asked),
        simulation=None if acts is None else script.read(acts),
        environment=environment,
        **{**given, **folders},
    )


def _main(text: str) -> int:
    try:
        asyncio.run(_serve(_options(text)))
    except (errors.SandboxError, errors.ConfigError) as error:
        print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
