"""The sandbox as a program: until it is told to stop, or around a command."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from nni import errors
from nni.sandbox import cluster

_DIE_WITH_ME = (
    "import ctypes, os, signal, sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(143)\n"
    "try: os.execvp(sys.argv[2], sys.argv[2:])\n"
    "except OSError as error:\n"
    "  print(f'nnictl sandbox: {sys.argv[2]} cannot be run: {error.strerror}.', file=sys.stderr)\n"
    "sys.exit(127)"
)


def serve(options: cluster.Options, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a sandbox until SIGINT or SIGTERM, or until ``command`` ends; return the exit code."""
    try:
        return asyncio.run(_around(options, command, environment) if command else _alone(options))
    except* errors.SandboxError as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    raise AssertionError("not reached")


async def _alone(options: cluster.Options) -> int:
    stop = asyncio.Event()
    with _on_signals(lambda _: stop.set()):
        async with cluster.running(options) as made:
            print(_usage(made), flush=True)  # noqa: T201 - it is what the user waits for
            await stop.wait()
    return 0


async def _around(options: cluster.Options, command: Sequence[str], environment: Mapping[str, str]) -> int:
    async with cluster.running(options) as made:
        print(f"sandbox: {made.url}, mount paths by {made.isolation}", file=sys.stderr, flush=True)  # noqa: T201
        inside = {**environment, "KUBECONFIG": str(made.kubeconfig), "NNI_MOUNTS": made.mounts}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _DIE_WITH_ME, str(os.getpid()), *command, env=inside
        )

        def forward(number: signal.Signals) -> None:
            # A Ctrl-C at the terminal has reached the command already.
            if process.returncode is None and not (number == signal.SIGINT and _is_in_foreground()):
                process.send_signal(number)

        with _on_signals(forward):
            code = await process.wait()
    return 128 - code if code < 0 else code


def _usage(made: cluster.Cluster) -> str:
    lines = [
        f"The sandbox serves Kubernetes at {made.url}.",
        f"Pods get their mount paths by {made.isolation}.",
        *(f"The volume {export} is {folder}" for export, folder in made.exports.items()),
        "",
        "Use it from another terminal:",
        "",
        f"  export KUBECONFIG={made.kubeconfig}",
        *([f"  export NNI_MOUNTS={made.mounts}"] if made.exports else []),
        "  kubectl get pytorchjobs,pods",
        "",
        "Ctrl-C ends it and everything that runs in it.",
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
