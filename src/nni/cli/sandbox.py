"""``nnictl sandbox``: a Kubernetes cluster in one process, alone or around a command."""

import argparse
import os
import pathlib
import sys
from typing import TYPE_CHECKING

from nni import errors

if TYPE_CHECKING:
    from nni.sandbox import cluster

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("OMP_NUM_THREADS",)


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
        "--pvc", action="append", default=[], metavar="CLAIM[=DIR]",
        help="map a PersistentVolumeClaim to a directory; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--azure-file", action="append", default=[], metavar="SHARE[=DIR]",
        help="map an Azure Files share to a directory; may be repeated",
    )  # fmt: skip
    parser.add_argument("--nodes", default="1", help="how many nodes there are (default 1)")
    parser.add_argument("--cpus", default="64", help="CPUs of each node, declared only (default 64)")
    parser.add_argument("--memory", default="256Gi", help="memory of each node, declared only (default 256Gi)")
    parser.add_argument("--gpus", default="8", help="nvidia.com/gpu of each node, declared only (default 8)")
    parser.add_argument(
        "--kubeconfig", metavar="PATH", help="where to write the kubeconfig (default: a temporary file)"
    )
    parser.add_argument("--port", default="0", help="port of the API server on 127.0.0.1 (default: a free one)")
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
        return serving.serve(_options(arguments), list(arguments.command), dict(os.environ))
    except errors.SandboxError as error:
        print(f"nnictl sandbox: {error}", file=sys.stderr)
        return 2


def _options(arguments: argparse.Namespace) -> "cluster.Options":
    from nni.sandbox import cluster, nodes  # noqa: PLC0415

    return cluster.Options(
        exports=dict(
            [
                *(_export(text) for text in arguments.nfs),
                *(_named(text, "--pvc", "pvc") for text in arguments.pvc),
                *(_named(text, "--azure-file", "azure") for text in arguments.azure_file),
            ]
        ),
        node_count=_number(arguments.nodes, "--nodes", 1, 1000),
        capacity=nodes.Capacity(
            _quantity(arguments.cpus, "--cpus"),
            _quantity(arguments.memory, "--memory"),
            str(_number(arguments.gpus, "--gpus", 0, 1_000_000)),
        ),
        port=_number(arguments.port, "--port", 0, 65535),
        isolation=arguments.isolation,
        kubeconfig=_config_path(arguments.kubeconfig),
        environment={
            "PATH": f"{pathlib.Path(sys.executable).parent}:{_PATH}",
            "LANG": "C.UTF-8",
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        },
    )


def _export(text: str) -> tuple[str, pathlib.Path | None]:
    export, equals, folder = text.partition("=")
    server, _, path = export.partition(":")
    if not server or not path.startswith("/") or "," in text or (equals and not folder):
        raise errors.SandboxError(
            f"--nfs {text} is not of the form SERVER:PATH or SERVER:PATH=DIR, as in 10.0.0.1:/data=./data."
        )
    return export, _directory(f"--nfs {text}", folder) if equals else None


def _named(text: str, option: str, kind: str) -> tuple[str, pathlib.Path | None]:
    name, equals, folder = text.partition("=")
    if not name or "/" in name or "," in text or (equals and not folder):
        raise errors.SandboxError(f"{option} {text} is not of the form NAME or NAME=DIR, as in data=./data.")
    return f"{kind}:/{name}", _directory(f"{option} {text}", folder) if equals else None


def _directory(given: str, folder: str) -> pathlib.Path:
    place = pathlib.Path(folder).resolve()
    if not place.is_dir():
        raise errors.SandboxError(f"{given}: {folder} is not a directory; make it first or leave =DIR out.")
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
    path = pathlib.Path(text).absolute()
    if path.exists():
        raise errors.SandboxError(
            f"--kubeconfig {text} exists already; the sandbox writes a new file and removes it at its end."
        )
    if not path.parent.is_dir():
        raise errors.SandboxError(f"--kubeconfig {text}: {path.parent} is not a directory; make it first.")
    return path
