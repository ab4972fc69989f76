"""The sandbox as a program: until it is told to stop, or around a command."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from nni import errors
from nni.sandbox import cluster

_Tell = Callable[[cluster.Cluster], str]
_DIE_WITH_ME = (
    "import ctypes, os, signal, sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(143)\n"
    "try: os.execvp(sys.argv[2], sys.argv[2:])\n"
    "except OSError as error:\n"
    "  print(f'nnictl sandbox: {sys.argv[2]} cannot be run: {error.strerror}.', file=sys.stderr)\n"
    "sys.exit(127)"
)


def serve(
    options: cluster.Options, command: Sequence[str], environment: Mapping[str, str], *, is_for_programs: bool = False
) -> int:
    """Run a sandbox until SIGINT or SIGTERM, or until ``command`` ends; return the exit code.

    Args:
        options: What it is to be like.
        command: What to run in it; none serves it alone.
        environment: That of the command.
        is_for_programs: Whether to say what is served as JSON.
    """
    tell = _described if is_for_programs else _introduced if command else _usage
    try:
        return asyncio.run(_around(options, command, environment, tell) if command else _alone(options, tell))
    except* (errors.SandboxError, BrokenPipeError) as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    raise AssertionError("not reached")


async def _alone(options: cluster.Options, tell: _Tell) -> int:
    stop = asyncio.Event()
    with _on_signals(lambda _: stop.set()):
        async with cluster.running(options) as made:
            print(tell(made), flush=True)  # noqa: T201 - it is what the user waits for
            await stop.wait()
    return 0


async def _around(
    options: cluster.Options, command: Sequence[str], environment: Mapping[str, str], tell: _Tell
) -> int:  # fmt: skip
    async with cluster.running(options) as made:
        print(tell(made), file=sys.stderr, flush=True)  # noqa: T201
        inside = {**environment, "KUBECONFIG": str(made.kubeconfig), "NNI_MOUNTS": made.mounts}
        process: asyncio.subprocess.Process | None = None
        early: list[signal.Signals] = []

        def forward(number: signal.Signals) -> None:
            # A Ctrl-C at the terminal has reached the command already.
            if number == signal.SIGINT and _is_in_foreground():
                return
            if process is None:
                early.append(number)
            elif process.returncode is None:
                process.send_signal(number)

        # First: the command may have run for a while before it is known here.
        with _on_signals(forward):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", _DIE_WITH_ME, str(os.getpid()), *command, env=inside
            )
            for number in early:
                forward(number)
            code = await process.wait()
    return 128 - code if code < 0 else code


def _described(made: cluster.Cluster) -> str:
    described = dataclasses.asdict(made) | {"mounts": made.mounts, "pid": os.getpid()}
    return json.dumps(described, default=str)


def _introduced(made: cluster.Cluster) -> str:
    return f"sandbox: {made.url}, {_manner(made)}"


def _manner(made: cluster.Cluster) -> str:
    is_played = made.isolation == "simulation"
    ways = f"mount paths by {made.isolation}, memory limits by {made.memory}"
    return "pods are played, no process runs" if is_played else ways


def _usage(made: cluster.Cluster) -> str:
    lines = [
        f"The sandbox serves Kubernetes at {made.url} ({_manner(made)}).",
        *(f"NFS export {export} is {folder}" for export, folder in made.exports.items()),
        "",
        "Use it from another terminal:",
        "",
        f"  export KUBECONFIG={made.kubeconfig}",
        *([f"  export NNI_MOUNTS={made.mounts}"] if made.exports else []),
        "  kubectl get pytorchjobs,pods",
        "",
        f"{made.restricted_kubeconfig} lets in a user without rights: for trying out roles.",
        "Ctrl-C here ends it and everything that runs in it.",
    ]
    return "\n".join(lines)


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


@contextlib.contextmanager
def _on_signals(react: Callable[[signal.Signals], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, react, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
