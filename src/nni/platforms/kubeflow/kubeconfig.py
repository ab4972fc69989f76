"""Which kubeconfig is used, and whether the program that it gets credentials from is there.

The official client goes on without credentials when that program is missing, and a user would be told that they are
wrong.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from nni import errors


def find(environment: Mapping[str, str]) -> str | None:
    """Return the kubeconfig to read, None for the service account of the pod that this runs in.

    Raises:
        PlatformError: There is none.
    """
    named = environment.get("KUBECONFIG")
    if named:
        if not any(Path(one).is_file() for one in _paths(named)):
            raise errors.PlatformError(f"KUBECONFIG names {named}, which does not exist; correct it or unset it.")
        return named
    usual = Path(environment.get("HOME", "~")).expanduser() / ".kube" / "config"
    if usual.is_file():
        return str(usual)
    if "KUBERNETES_SERVICE_HOST" in environment:
        return None
    raise errors.PlatformError(
        "There is no kubeconfig: set KUBECONFIG to one, or copy it to ~/.kube/config; without a cluster, run "
        "`nnictl sandbox -- COMMAND`, or trials as processes with Experiment('local')."
    )


def check_plugin(file: str, context: str | None, search_path: str | None) -> None:
    """Make sure that the program that gives the credentials of a context is there, if there is one.

    Args:
        file: The kubeconfig, or several with the system's separator between them.
        context: The context's name; None for the current one.
        search_path: The value of PATH.

    Raises:
        PlatformError: It is not; the message has the kubeconfig's own hint.
    """
    parts = list(_parts(file))
    name = context or next((part["current-context"] for part in parts if part.get("current-context")), None)
    user = (_named(parts, "contexts", name).get("context") or {}).get("user")
    plugin = (_named(parts, "users", user).get("user") or {}).get("exec") or {}
    command = plugin.get("command")
    if not command or shutil.which(command, path=search_path) is not None:
        return
    hint = " ".join(str(plugin.get("installHint") or "install it, or put it on the PATH").split())
    raise errors.PlatformError(
        f"The kubeconfig {file} gets the credentials of user {user!r} from the program {command!r}, which is not here: "
        f"{hint}"
    )


def _paths(file: str) -> list[str]:
    return [one for one in file.split(os.pathsep) if one]


def _parts(file: str) -> Iterator[Mapping[str, Any]]:
    """Yield the files that can be read; the official client says what is wrong with the others."""
    for path in _paths(file):
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(content, dict):
            yield content


def _named(parts: list[Mapping[str, Any]], kind: str, name: str | None) -> Mapping[str, Any]:
    """Return the first entry of a kind with a name, as kubectl merges files; an empty one where there is none."""
    for part in parts:
        for entry in part.get(kind) or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                return entry
    return {}
