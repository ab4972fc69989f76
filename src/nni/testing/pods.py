"""Pods as processes of this machine, for tests: a volume, the real script and runtime, and an intake that listens.

Nothing is simulated on the pod's side: ``Pod.start`` runs the same ``run_<role>.sh`` that a container runs.
"""

import contextlib
import http.server
import io
import pathlib
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

from nni.runtime import archive
from nni.wire import intake, layout, parameter, report, script


class Request(NamedTuple):
    """What came to the intake."""

    path: str
    authorization: str
    batch: intake.Batch


Answer = tuple[int, bytes]


def wait_until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds of which no event tells, as of files and processes.

    Raises:
        TimeoutError: It does not.
    """
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError(f"not so within {seconds} s")
        time.sleep(0.01)


class Intake:
    """An intake on loopback that keeps to the contract and remembers what came. A context manager.

    Args:
        token: The one that it lets in.
    """

    def __init__(self, token: str = "a-token") -> None:  # noqa: S107 - it protects nothing
        self.token = token
        self.requests: list[Request] = []
        self.metrics: dict[str, list[report.Metric]] = {}
        """By path, without repetitions."""
        self.exits: dict[str, report.ReplicaExit] = {}
        """By path."""
        self.interfere: Callable[[Request], Answer | None] = lambda request: None
        """Gives an answer in place of the right one; what it answers to is not taken."""
        self._changed = threading.Condition()
        self._server: http.server.ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._connections: list[socket.socket] = []
        self.port = 0

    @property
    def url(self) -> str:
        """What the platform gives to pods."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the port of the last time if there was one."""
        mine = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                mine._connections.append(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = mine._answer(self.path, self.headers["Authorization"], body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="test-intake")
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections; ``start`` comes back on the same port."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def wait_for(self, is_so: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until something holds, looked at after each request.

        Raises:
            TimeoutError: It does not.
        """
        with self._changed:
            if not self._changed.wait_for(is_so, seconds):
                raise TimeoutError(f"not so within {seconds} s; came: {self.requests[-3:]}")

    def _answer(self, path: str, authorization: str, body: bytes) -> Answer:
        with self._changed:
            request = Request(path, authorization, intake.decode(body))
            answer = self.interfere(request) or self._take(request)
            self.requests.append(request)
            self._changed.notify_all()
            return answer

    def _take(self, request: Request) -> Answer:
        if request.authorization != "Bearer " + self.token:
            return 401, b"wrong token"
        known = self.metrics.setdefault(request.path, [])
        for metric in request.batch.metrics:
            if metric.number == len(known) + 1:
                known.append(metric)
        if request.batch.exit is not None:
            self.exits[request.path] = request.batch.exit
        return 200, intake.encode_answer(len(known))


class Ended(NamedTuple):
    """How a pod ended."""

    code: int
    stdout: bytes
    stderr: bytes


class Pod:
    """One replica of an attempt.

    Args:
        directory: Holds the volume and the pod's own directory.
        command: The role's command.
        code: Files of the code directory.
        parameters: Of the trial.
        environment: More variables for the container; None leaves one out.
        python: The interpreter that the image has as ``python3``.
    """

    path = intake.path("exp1", "k2f9z", 1, "master", 0)

    def __init__(
        self,
        directory: pathlib.Path,
        command: str,
        *,
        code: Mapping[str, str | bytes] | None = None,
        parameters: Any = None,
        environment: Mapping[str, str | None] | None = None,
        python: str,
    ) -> None:
        self.volume = directory / "volume"
        self.own = directory / "pod"
        self.attempt = self.volume / layout.attempt("exp1", "k2f9z", 1)
        self.replica = self.volume / layout.replica("exp1", "k2f9z", 1, "master", 0)
        self._image = directory / "image"
        self._environment = environment or {}
        runtime = archive.build()
        text = script.script(
            experiment="exp1",
            trial="k2f9z",
            attempt=1,
            role="master",
            sequence=7,
            runtime=runtime.digest,
            bundle="b0",
            command=command,
        )
        self._put(self.volume / layout.runtime("exp1", runtime.digest), runtime.content)
        self._put(self.volume / layout.bundle("exp1", "b0"), bundle(code or {}))
        self._put(self.attempt / layout.PARAMETERS, parameter.encode(3, parameters or {}))
        self._put(self.attempt / layout.script("master"), text.encode())
        self._image.mkdir()
        (self._image / "python3").symlink_to(python)

    def environment(self) -> dict[str, str]:
        """Return what the platform gives to the container."""
        given: dict[str, str | None] = {
            "PATH": f"{self._image}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self._image),
            "NNI_VOLUME": str(self.volume),
            "NNI_POD_DIR": str(self.own),
            "NNI_PLATFORM": "kubeflow",
            **self._environment,
        }
        return {name: value for name, value in given.items() if value is not None}

    @contextlib.contextmanager
    def start(self, *before: str, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
        """Start the container's process; ``before`` is a command that runs it, ``options`` are Popen's."""
        arguments = [*before, "/bin/sh", str(self.attempt / layout.script("master"))]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        environment = self.environment()
        with subprocess.Popen(arguments, env=environment, cwd="/", stdin=subprocess.DEVNULL, **options) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    def run(self, *before: str, seconds: float = 60.0) -> Ended:
        """Run it to its end."""
        with self.start(*before) as process:
            stdout, stderr = process.communicate(timeout=seconds)
        return Ended(process.returncode, stdout, stderr)

    def read(self, name: str) -> str:
        """Return a file of the replica's directory on the volume; empty when there is none."""
        path = self.replica / name
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def metrics(self) -> tuple[report.Metric, ...]:
        """Return what stands in the journal."""
        return report.parse_journal((self.replica / layout.JOURNAL).read_bytes()).metrics

    def exit(self) -> report.ReplicaExit:
        """Return what ``exit.json`` says."""
        return report.parse_exit((self.replica / layout.EXIT).read_bytes())

    def _put(self, path: pathlib.Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def bundle(code: Mapping[str, str | bytes]) -> bytes:
    """Return a code directory as a bundle."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        for name, text in code.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755
            packed.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def interpreter(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the path of a Python that runs, behind whatever switches between versions; None without one."""
    version = name.removeprefix("python")
    for environment in (environ, {**environ, "PYENV_VERSION": version}):
        try:
            answer = subprocess.run(
                [name, "-c", "import sys; print(sys.executable)"],
                env=dict(environment),
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            return None
        if answer.returncode == 0:
            return answer.stdout.strip()
    return None
