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
import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from nni import errors

if TYPE_CHECKING:
    from nni.sandbox import cluster

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_END_WITHIN = 20.0


class Sandbox:
    """A running sandbox; use it as a context manager.

    Attributes:
        url: The API server, as ``https://127.0.0.1:41234``.
        kubeconfig: The file that lets clients in.
        exports: Directory by NFS export (``server:path``).
        mounts: The value for ``NNI_MOUNTS``.
        isolation: ``namespaces`` or ``rewrite``: how pods get their mount paths.
        pid: The sandbox's process.
    """

    url: str
    kubeconfig: pathlib.Path
    exports: dict[str, pathlib.Path]
    mounts: str
    isolation: str
    pid: int

    def __init__(
        self,
        *,
        nfs: Mapping[str, pathlib.Path | None] | None = None,
        node_count: int = 1,
        cpus: str = "64",
        memory: str = "256Gi",
        gpus: str = "8",
        isolation: str = "auto",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the sandbox; it starts on entry.

        Args:
            nfs: Directories behind NFS exports (``server:path``); None makes one that is removed at the end.
            node_count: How many nodes.
            cpus: CPUs of each node, declared only.
            memory: Memory of each node, declared only.
            gpus: ``nvidia.com/gpu`` of each node, declared only.
            isolation: ``auto``, ``namespaces`` or ``rewrite``.
            environment: Variables that every container finds, beside PATH and LANG.
        """
        self._arguments: dict[str, Any] = {
            "exports": {export: None if folder is None else str(folder) for export, folder in (nfs or {}).items()},
            "node_count": node_count,
            "capacity": {"cpus": cpus, "memory": memory, "gpus": gpus},
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
        self.exports = {export: pathlib.Path(folder) for export, folder in answer["exports"].items()}
        self.pid = self._process.pid
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and all that runs in it."""
        if self._process is None:
            return
        with self._process as process, contextlib.suppress(BrokenPipeError):
            process.communicate(timeout=_END_WITHIN)
        self._process = None


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


def _main(text: str) -> int:
    from nni.sandbox import cluster, nodes  # noqa: PLC0415

    given = json.loads(text)
    exports = given.pop("exports")
    environment = {
        "PATH": f"{pathlib.Path(sys.executable).parent}:{_PATH}",
        "LANG": "C.UTF-8",
        **given.pop("environment"),
    }
    options = cluster.Options(
        **given
        | {
            "exports": {export: folder and pathlib.Path(folder) for export, folder in exports.items()},
            "capacity": nodes.Capacity(**given["capacity"]),
            "environment": environment,
        }
    )
    try:
        asyncio.run(_serve(options))
    except errors.SandboxError as error:
        print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
