"""Freezes what a role asks of its pods, in Kubernetes' own form: checked here as far as no cluster is needed for it."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni.config.view import View, join
from nni.core import plain, spec, units

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_QUANTITY = re.compile(r"\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i)?")
_SOURCES = ("configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef")
_OURS = "nni/"

NO_NAME = "is not the name of a Kubernetes object"
NOT_QUALIFIED = "is not the name of a resource; write for example 'nvidia.com/gpu'"


def is_name(text: str) -> bool:
    """Whether a text can be the name of a Kubernetes object."""
    return _NAME.fullmatch(text) is not None


def is_qualified(text: str) -> bool:
    """Whether a text can be the name of a resource, a label or an annotation."""
    return _QUALIFIED.fullmatch(text) is not None


def freeze(role: View) -> spec.PodSpec:
    """Return what a role asks of its pods; what is wrong with it is reported to the view."""
    fields = {
        "nodeSelector": _texts(role, "node_selector"),
        "tolerations": _objects(role, "tolerations", needs=None),
        "affinity": _mapping(role, "affinity"),
        "serviceAccountName": role.checked("service_account", is_name, NO_NAME),
        "priorityClassName": role.checked("priority_class", is_name, NO_NAME),
        "imagePullSecrets": [{"name": name} for name in _names(role, "image_pull_secrets")],
    }
    return spec.PodSpec(
        environment=_environment(role),
        requests=_quantities(role, "requests"),
        shm_mib=role.parsed("shm_size", units.parse_size),
        labels=_labels(role),
        annotations=_texts(role, "annotations"),
        fields={name: value for name, value in fields.items() if value},
        volumes=tuple(_objects(role, "volumes", needs="name")),
        mounts=tuple(_objects(role, "volume_mounts", needs="mountPath")),
        registry_credentials=_registry_credentials(role),
        template=_mapping(role, "pod_template"),
    )


def _environment(role: View) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, value in _mapping(role, "environment").items():
        path = join(role.at("environment"), name)
        if not _VARIABLE.fullmatch(name):
            role.report(path, "is not a name that a variable can have")
        elif name.startswith("NNI_"):
            role.report(path, "is set for every trial already; choose a name that does not begin with NNI_")
        elif isinstance(value, Mapping) and not (len(value) == 1 and next(iter(value)) in _SOURCES):
            role.report(path, f"is neither a text nor one of {', '.join(_SOURCES)} with its fields")
        else:
            found[name] = plain.of(value) if isinstance(value, Mapping) else _text(value)
    return found


def _text(value: Any) -> str:
    """Return a value as a variable or a label holds it."""
    return value if isinstance(value, str) else json.dumps(value)


def _quantities(role: View, name: str) -> Mapping[str, str]:
    found = {}
    for resource, value in _mapping(role, name).items():
        text = _text(value)
        if not is_qualified(resource) or not _QUANTITY.fullmatch(text):
            role.report(
                join(role.at(name), resource), f"{plain.shown(value)} is not an amount; write for example 0.5 or '2Gi'"
            )
        else:
            found[resource] = text
    return found


def _texts(role: View, name: str) -> Mapping[str, str]:
    found = {}
    for key, value in _mapping(role, name).items():
        if not is_qualified(key):
            role.report(join(role.at(name), key), f"is not a name that {role.at(name)} can have")
        found[key] = _text(value)
    return found


def _labels(role: View) -> Mapping[str, str]:
    found = _texts(role, "labels")
    for key, value in found.items():
        path = join(role.at("labels"), key)
        if not _LABEL_VALUE.fullmatch(value):
            role.report(path, f"{value!r} is not a value that a label can have")
        if key.startswith(_OURS):
            role.report(path, f"begins with {_OURS}, which the experiment itself uses; choose another name")
    return found


def _mapping(role: View, name: str) -> Mapping[str, Any]:
    value: Mapping[str, Any] | None = role.get(name)
    if value is None:
        return {}
    if plain.is_plain(value):
        return value
    role.wrong(name, "cannot be written as JSON; use text, numbers, lists and mappings")
    return {}


def _names(role: View, name: str) -> list[str]:
    found: list[str] = role.get(name) or []
    for index, one in enumerate(found):
        if not is_name(one):
            role.report(f"{role.at(name)}[{index}]", f"{one!r} {NO_NAME}")
    return found


def _objects(role: View, name: str, *, needs: str | None) -> list[Mapping[str, Any]]:
    """Return a list of Kubernetes' objects, each of which has to have a field."""
    found: list[Mapping[str, Any]] = []
    for index, one in enumerate(role.get(name) or []):
        path = f"{role.at(name)}[{index}]"
        if not isinstance(one, Mapping) or not plain.is_plain(one):
            role.report(path, f"{plain.shown(one)} is not a mapping as Kubernetes has it")
        elif needs is not None and not one.get(needs):
            role.report(path, f"has no {needs}")
        else:
            found.append(plain.of(one))
    return found


def _registry_credentials(role: View) -> str | None:
    value = role.get("private_registry_auth_path")
    if value is None:
        return None
    path = Path(role.config.resolved(value))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("auths"), dict):
        role.wrong(
            "private_registry_auth_path",
            f"{path} is not a Docker configuration with credentials (`auths`); log in with `docker login` first",
        )
        return None
    return os.fspath(path)
