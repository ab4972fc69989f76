"""Pods: the defaults that a new one gets, and the rules that its type cannot say."""

import re
from collections.abc import Iterator
from typing import Any

from nni.sandbox import quantities, schema

_DEFAULTS: dict[str, Any] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "serviceAccountName": "default",
    "serviceAccount": "default",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "priority": 0,
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
}
_CONTAINER_DEFAULTS: dict[str, Any] = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_CONTAINERS = ("initContainers", "containers")
_OVERCOMMITTED = ("cpu", "memory", "ephemeral-storage")
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_FIXED_MESSAGE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
Findings = Iterator[schema.Finding]


def fill(spec: schema.Object) -> schema.Object:
    """Return a pod's spec with its defaults."""
    filled = _DEFAULTS | spec
    if "serviceAccountName" in spec:
        filled["serviceAccount"] = spec["serviceAccountName"]
    for part in _CONTAINERS:
        if part in filled:
            filled[part] = [_fill_container(container) for container in filled[part]]
    if "volumes" in filled:
        filled["volumes"] = [volume if len(volume) > 1 else volume | {"emptyDir": {}} for volume in filled["volumes"]]
    tolerations = filled.get("tolerations", [])
    known = {each.get("key") for each in tolerations}
    filled["tolerations"] = tolerations + [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in _TOLERATED
        if not known & {key, None}
    ]
    return filled


def _fill_container(container: schema.Object) -> schema.Object:
    image = container.get("image", "")
    _, _, tag = image.rpartition("/")[2].partition(":")
    is_moving = "@" not in image and tag in ("", "latest")
    filled = {**_CONTAINER_DEFAULTS, "imagePullPolicy": "Always" if is_moving else "IfNotPresent", **container}
    resources = filled["resources"]
    if resources.get("limits"):
        filled["resources"] = {**resources, "requests": {**resources["limits"], **resources.get("requests", {})}}
    return filled


def findings(spec: schema.Object) -> Findings:
    """Check a new pod."""
    if not spec.get("containers"):
        yield schema.Finding("spec.containers", "FieldValueRequired", "Required value")
    yield from _volumes(spec.get("volumes", []))
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    names: set[str] = set()
    for part in _CONTAINERS:
        for index, container in enumerate(spec.get(part, [])):
            path = f"spec.{part}[{index}]"
            yield from _name(f"{path}.name", container["name"], names)
            yield from _container(container, path, volumes)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield _negative("spec.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"])
    if spec.get("activeDeadlineSeconds", 1) < 1:
        message = f"Invalid value: {spec['activeDeadlineSeconds']}: must be between 1 and 2147483647, inclusive"
        yield schema.Finding("spec.activeDeadlineSeconds", "FieldValueInvalid", message)


def changes(spec: schema.Object, previous: schema.Object) -> Findings:
    """Check a changed pod: hardly anything of it may change."""
    if _fixed(spec) != _fixed(previous):
        yield schema.Finding("spec", "FieldValueForbidden", _FIXED_MESSAGE)


def _name(path: str, name: str, seen: set[str]) -> Findings:
    if not _LABEL.match(name):
        yield schema.Finding(path, "FieldValueInvalid", f'Invalid value: "{name}": {_LABEL_RULE}')
    if name in seen:
        yield schema.Finding(path, "FieldValueDuplicate", f'Duplicate value: "{name}"')
    seen.add(name)


def _volumes(volumes: list[schema.Object]) -> Findings:
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        path = f"spec.volumes[{index}]"
        yield from _name(f"{path}.name", volume["name"], names)
        sources = [name for name in volume if name != "name"]
        for extra in sources[1:]:
            message = "Forbidden: may not specify more than 1 volume type"
            yield schema.Finding(f"{path}.{extra}", "FieldValueForbidden", message)
        if "nfs" in volume and not volume["nfs"]["path"].startswith("/"):
            message = f'Invalid value: "{volume["nfs"]["path"]}": must be an absolute path'
            yield schema.Finding(f"{path}.nfs.path", "FieldValueInvalid", message)


def _container(container: schema.Object, path: str, volumes: set[str]) -> Findings:
    if not container.get("image"):
        yield schema.Finding(f"{path}.image", "FieldValueRequired", "Required value")
    yield from _mounts(container.get("volumeMounts", []), f"{path}.volumeMounts", volumes)
    for index, variable in enumerate(container.get("env", [])):
        if variable.get("value") and variable.get("valueFrom"):
            message = 'Invalid value: "": may not be specified when `value` is not empty'
            yield schema.Finding(f"{path}.env[{index}].valueFrom", "FieldValueInvalid", message)
    for index, port in enumerate(container.get("ports", [])):
        if not 0 < port["containerPort"] < 65536:
            message = f"Invalid value: {port['containerPort']}: must be between 1 and 65535, inclusive"
            yield schema.Finding(f"{path}.ports[{index}].containerPort", "FieldValueInvalid", message)
    yield from _resources(container.get("resources", {}), f"{path}.resources")


def _mounts(mounts: list[schema.Object], path: str, volumes: set[str]) -> Findings:
    places: set[str] = set()
    for index, mount in enumerate(mounts):
        if mount["name"] not in volumes:
            message = f'Not found: "{mount["name"]}"'
            yield schema.Finding(f"{path}[{index}].name", "FieldValueNotFound", message)
        if mount["mountPath"] in places:
            message = f'Invalid value: "{mount["mountPath"]}": must be unique'
            yield schema.Finding(f"{path}[{index}].mountPath", "FieldValueInvalid", message)
        places.add(mount["mountPath"])


def _resources(resources: schema.Object, path: str) -> Findings:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name, asked in requests.items():
        is_countable = name not in _OVERCOMMITTED and not name.startswith("hugepages-")
        if quantities.parse(asked) < 0:
            yield _negative(f"{path}.requests[{name}]", asked)
        if name not in limits:
            if is_countable:
                message = "Required value: Limit must be set for non overcommitable resources"
                yield schema.Finding(f"{path}.limits", "FieldValueRequired", message)
            continue
        asked_amount, limit = quantities.parse(asked), quantities.parse(limits[name])
        if asked_amount > limit:
            message = f'Invalid value: "{asked}": must be less than or equal to {name} limit of {limits[name]}'
            yield schema.Finding(f"{path}.requests", "FieldValueInvalid", message)
        elif is_countable and asked_amount != limit:
            message = f'Invalid value: "{asked}": must be equal to {name} limit of {limits[name]}'
            yield schema.Finding(f"{path}.requests", "FieldValueInvalid", message)


def _negative(path: str, value: Any) -> schema.Finding:
    return schema.Finding(path, "FieldValueInvalid", f"Invalid value: {value}: must be greater than or equal to 0")


def _fixed(spec: schema.Object) -> schema.Object:
    changeable = ("activeDeadlineSeconds", "tolerations", *_CONTAINERS)
    fixed = {name: value for name, value in spec.items() if name not in changeable}
    for part in _CONTAINERS:
        fixed[part] = [{name: value for name, value in each.items() if name != "image"} for each in spec.get(part, [])]
    return fixed
