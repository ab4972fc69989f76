"""Starts the manager of an experiment as a process in a session of its own.

The configuration goes in over a pipe, "ready" comes back over another. An attached manager ends when the first pipe
closes, however the program that holds it ends.
"""

import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from nni import errors

HOST = "127.0.0.1"
_PREFIX = re.compile(r"/*([A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*)?/*")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A manager that is ready."""

    process: subprocess.Popen[bytes]
    url: str
    """The portal's address, with its prefix."""
    token: str = dataclasses.field(repr=False)
    link: str = dataclasses.field(repr=False)
    """What to open in a browser; it holds the token."""


def check_ports(port: int) -> None:
    """Make sure that the portal's port and the intake's, the next one, can be had.

    Raises:
        PortInUseError: One of them is taken.
        ValueError: There can be no such port.
    """
    if not 0 < port < 65535:
        raise ValueError(f"Port {port} cannot be used: choose one from 1 to 65534 (trials report to the next one).")
    for number, purpose in ((port, "the portal"), (port + 1, "the trials' reports")):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, number))
            except OSError as error:
                message = f"Port {number}, for {purpose}, cannot be used ({error.strerror}); choose another port."
                raise errors.PortInUseError(message) from error


def check_prefix(prefix: str | None) -> None:
    """Make sure that something can stand before every path of the portal.

    Raises:
        ConfigError: It cannot.
    """
    if prefix is not None and _PREFIX.fullmatch(prefix) is None:
        message = f"{prefix!r} cannot be a part of an address; write letters, digits, '-', '_' and '.', such as team/a"
        raise errors.ConfigError([errors.Problem("url_prefix", message)])


def launch(
    config: Mapping[str, Any],
    *,
    experiment_id: str,
    directory: Path,
    port: int,
    url_prefix: str | None,
    is_attached: bool,
    say: Callable[[str], None],
    is_resumed: bool = False,
) -> Running:
    """Start a manager and return once it is ready.

    Args:
        config: The experiment's configuration in canonical JSON.
        experiment_id: Its id.
        directory: The experiment's own directory; made if it is not there.
        port: The portal's; the next one is the intake's.
        url_prefix: Put before every path of the portal.
        is_attached: Whether the manager ends with this program.
        say: Told what the manager is doing, a sentence each.
        is_resumed: Whether the experiment goes on with the records that are in its directory.

    Raises:
        ConfigError: The manager found mistakes in the configuration.
        ManagerError: It could not start; the message says why.
    """
    check_ports(port)
    logs = directory / "log"
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{logs} cannot be made ({error.strerror}); set experiment_working_directory to another place."
        raise errors.ManagerError(message) from error
    with (logs / "manager_stderr.log").open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "nni.manager"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    request = {
        "config": config,
        "experiment_id": experiment_id,
        "directory": os.fspath(directory),
        "port": port,
        "url_prefix": url_prefix,
        "is_attached": is_attached,
        "is_resumed": is_resumed,
    }
    try:
        return _wait_until_ready(process, request, logs, say)
    except BaseException:
        _end(process)
        raise


def become(
    config: Mapping[str, Any], *, experiment_id: str, directory: Path, port: int, url_prefix: str | None
) -> NoReturn:
    """Turn this process into a supervised manager: one that somebody starts again when it has ended.

    Args:
        config: The experiment's configuration in canonical JSON.
        experiment_id: Its id, the same at every start.
        directory: The experiment's own directory; made if it is not there.
        port: The portal's; the next one is the intake's.
        url_prefix: Put before every path of the portal.

    Raises:
        ManagerError: The directory cannot be made.
    """
    check_ports(port)
    try:
        (directory / "log").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{directory} cannot be made ({error.strerror}); set experiment_working_directory to another place."
        raise errors.ManagerError(message) from error
    request = {
        "config": config,
        "experiment_id": experiment_id,
        "directory": os.fspath(directory),
        "port": port,
        "url_prefix": url_prefix,
        "is_attached": False,
        "is_supervised": True,
    }
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(request).encode() + b"\n")
        file.seek(0)
        os.dup2(file.fileno(), 0)
    os.execv(sys.executable, [sys.executable, "-m", "nni.manager"])  # noqa: S606 ourselves


def _wait_until_ready(
    process: subprocess.Popen[bytes], request: Mapping[str, Any], logs: Path, say: Callable[[str], None]
) -> Running:
    # Popen was given pipes for both.
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        if not request["is_attached"]:
            process.stdin.close()
    except BrokenPipeError:
        pass  # it has ended already: what it said stands below
    for line in process.stdout:
        answer = json.loads(line)
        match answer["kind"]:
            case "progress":
                say(answer["message"])
            case "problems":
                raise errors.ConfigError(errors.Problem(*pair) for pair in answer["problems"])
            case "failed":
                raise errors.ManagerError(answer["message"])
            case _:
                return Running(process=process, url=answer["url"], token=answer["token"], link=answer["link"])
    process.wait()
    raise errors.ManagerError(f"The manager ended before it was ready (exit code {process.returncode}); see {logs}.")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a manager that did not become ready."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
