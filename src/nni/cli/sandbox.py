"""``nnictl sandbox``: a Kubernetes cluster in one process, alone or around a command."""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from nni import errors

if TYPE_CHECKING:
    from nni.sandbox import cluster, nodes

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("OMP_NUM_THREADS",)
_AZURE = "NNI_SANDBOX_AZURE"
"""Says, with a blank between: account and share, the Secret with the key, the endpoint."""
_SHARE, _SECRET = "nni", "nni-azure"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "sandbox",
        help="run a Kubernetes cluster for tests and first steps in this process",
        description="Serve a Kubernetes API on 127.0.0.1 whose pods are processes of this machine: the whole Kubeflow "
        "flow without Docker. Without COMMAND it serves until Ctrl-C; with one it runs it, with KUBECONFIG and "
        "NNI_MOUNTS set, and ends with its exit code.",
    )
    parser.add_argument(
        "--nfs", action="append", default=[], metavar="SERVER:PATH[=DIR]",
        help="map an NFS export to a directory (to one made for this run when DIR is left out); may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--azure-file", action="append", default=[], metavar="SHARE[=DIR]",
        help="map an Azure file share to a directory (to one made for this run when DIR is left out); may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--claim", action="append", default=[], metavar="NAME",
        help="have a PersistentVolumeClaim in the namespace default, which many pods may write; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--azure", action="store_true",
        help="have a share of Azure Files, with a double of the service before it and its key in a Secret; COMMAND "
        f"finds them in {_AZURE}",
    )  # fmt: skip
    parser.add_argument("--nodes", default="1", help="how many nodes there are (default 1)")
    parser.add_argument("--cpus", help="CPUs of each node, declared only (default 64)")
    parser.add_argument("--memory", help="memory of each node, declared only (default 256Gi)")
    parser.add_argument("--gpus", help="nvidia.com/gpu of each node, declared only (default 8)")
    parser.add_argument(
        "--kubeconfig", metavar="PATH", help="where to write the kubeconfig (default: a temporary file)"
    )
    parser.add_argument("--port", default="0", help="port of the API server on 127.0.0.1 (default: a free one)")
    parser.add_argument("--json", action="store_true", help="say what is served as one line of JSON, for programs")
    parser.add_argument(
        "--state", metavar="DIR",
        help="keep all objects in a directory: the next sandbox with it has them again, and pods that ran are lost",
    )  # fmt: skip
    parser.add_argument(
        "--faults", metavar="FILE", help="faults that the cluster is to have from the start, YAML or JSON"
    )  # fmt: skip
    parser.add_argument(
        "--simulate", metavar="FILE", nargs="?", const="",
        help="play pods by a script, YAML or JSON, instead of running them (a plain play without FILE); nodes are "
        "boundless then, unless their capacities are given",
    )  # fmt: skip
    parser.add_argument(
        "--isolation", choices=("auto", "namespaces", "rewrite"), default="auto",
        help="how pods get their mount paths: by mount namespaces, or by rewriting paths in their environment and "
        "arguments (default auto: namespaces where this machine allows them)",
    )  # fmt: skip
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="a command to run inside, after --")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sandbox and return the exit code."""
    from nni.sandbox import serving  # noqa: PLC0415 - heavy, and of no use to the other verbs

    try:
        with _azure() if arguments.azure else contextlib.nullcontext(_NOTHING) as azure:
            options = _options(arguments, azure)
            environment = {**os.environ, **azure.told}
            return serving.serve(options, list(arguments.command), environment, is_for_programs=arguments.json)
    except errors.SandboxError as error:
        print(f"nnictl sandbox: {error}", file=sys.stderr)
    except errors.ConfigError as error:
        for problem in error.problems:
            print(f"nnictl sandbox: {problem}", file=sys.stderr)
    return 2


class _Azure(NamedTuple):
    """What is there of Azure Files."""

    shares: Mapping[str, pathlib.Path]
    secrets: Mapping[str, Mapping[str, str]]
    told: Mapping[str, str]
    """What a command finds in its environment."""


_NOTHING = _Azure({}, {}, {})


@contextlib.contextmanager
def _azure() -> Iterator[_Azure]:
    """Keep a double of Azure Files, a process of its own, while the context is open."""
    with tempfile.TemporaryDirectory(prefix="nni-azure-") as folder:
        share = pathlib.Path(folder, _SHARE)
        share.mkdir()
        command = [sys.executable, "-m", "nni.testing.azure", folder]
        # It ends with its input: with this process, whatever happens to that.
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdout is not None  # noqa: S101
            endpoint, account, key = (process.stdout.readline().strip() for _ in range(3))
            if not key:
                raise errors.SandboxError("The double of Azure Files does not start; its own message stands above.")
            told = f"{account}/{_SHARE} {_SECRET} {endpoint}"
            print(f"Azure Files: {_AZURE}='{told}'", file=sys.stderr, flush=True)
            secret = {"azurestorageaccountname": account, "azurestorageaccountkey": key}
            try:
                yield _Azure({_SHARE: share}, {_SECRET: secret}, {_AZURE: told})
            finally:
                process.communicate()


def _options(arguments: argparse.Namespace, azure: _Azure) -> "cluster.Options":
    from nni.sandbox import cluster  # noqa: PLC0415
    from nni.sandbox.faults import reading  # noqa: PLC0415
    from nni.sandbox.simulation import script  # noqa: PLC0415

    simulation = None
    if arguments.simulate is not None:
        simulation = script.load(pathlib.Path(arguments.simulate)) if arguments.simulate else script.Script()
    return cluster.Options(
        exports=dict(_export(text) for text in arguments.nfs),
        shares={**azure.shares, **dict(_share(text) for text in arguments.azure_file)},
        secrets=azure.secrets,
        claims=arguments.claim,
        node_count=_number(arguments.nodes, "--nodes", 1, 1000),
        capacity=_capacity(arguments),
        port=_number(arguments.port, "--port", 0, 65535),
        isolation=arguments.isolation,
        kubeconfig=_config_path(arguments.kubeconfig),
        state=None if arguments.state is None else pathlib.Path(arguments.state).absolute(),
        simulation=simulation,
        faults=reading.load(pathlib.Path(arguments.faults), cluster.OPERATORS) if arguments.faults else (),
        environment={
            "PATH": f"{pathlib.Path(sys.executable).parent}:{_PATH}",
            "LANG": "C.UTF-8",
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        },
    )


def _capacity(arguments: argparse.Namespace) -> "nodes.Capacity":
    """Give what each node offers: what was asked for, else the usual, or no bounds where pods are played."""
    from nni.sandbox import nodes  # noqa: PLC0415

    usual = nodes.Capacity() if arguments.simulate is None else nodes.BOUNDLESS
    gpus = usual.gpus if arguments.gpus is None else str(_number(arguments.gpus, "--gpus", 0, 1_000_000))
    return nodes.Capacity(
        usual.cpus if arguments.cpus is None else _quantity(arguments.cpus, "--cpus"),
        usual.memory if arguments.memory is None else _quantity(arguments.memory, "--memory"),
        gpus,
        usual.pods,
    )


def _export(text: str) -> tuple[str, pathlib.Path | None]:
    export, equals, folder = text.partition("=")
    server, _, path = export.partition(":")
    if not server or not path.startswith("/") or "," in text or (equals and not folder):
        raise errors.SandboxError(
            f"--nfs {text} is not of the form SERVER:PATH or SERVER:PATH=DIR, as in 10.0.0.1:/data=./data."
        )
    return export, _directory(folder, f"--nfs {text}") if equals else None


def _share(text: str) -> tuple[str, pathlib.Path | None]:
    share, equals, folder = text.partition("=")
    if not share or (equals and not folder):
        raise errors.SandboxError(f"--azure-file {text} is not of the form SHARE or SHARE=DIR, as in nni=./data.")
    return share, _directory(folder, f"--azure-file {text}") if equals else None


def _directory(folder: str, option: str) -> pathlib.Path:
    place = pathlib.Path(folder).resolve()
    if not place.is_dir():
        raise errors.SandboxError(f"{option}: {folder} is not a directory; make it first or leave =DIR out.")
    return place


def _number(text: str, option: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise errors.SandboxError(f"{option} {text} is not a whole number from {least} to {most}.")
    return number


def _quantity(text: str, option: str) -> str:
    from nni.sandbox import quantities  # noqa: PLC0415

    try:
        amount = quantities.parse(text)
    except ValueError as error:
        raise errors.SandboxError(f"{option} {error}.") from error
    if amount <= 0:
        raise errors.SandboxError(f"{option} {text} is not more than nothing; give a quantity such as 2, 500m or 4Gi.")
    return text


def _config_path(text: str | None) -> pathlib.Path | None:
    if text is None:
        return None
    from nni.sandbox import kubeconfig  # noqa: PLC0415

    path = pathlib.Path(text).absolute()
    if path.exists():
        raise errors.SandboxError(
            f"--kubeconfig {text} exists already; the sandbox writes a new file and removes it at its end."
        )
    second = kubeconfig.restricted(path)
    if second.exists():
        raise errors.SandboxError(
            f"--kubeconfig {text}: {second} exists already, where the kubeconfig of the second user would go; "
            "remove it or give another --kubeconfig."
        )
    if not path.parent.is_dir():
        raise errors.SandboxError(f"--kubeconfig {text}: {path.parent} is not a directory; make it first.")
    return path
