"""What happens to an object of a built-in kind on its way into the store: defaults and rules."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

from nni.sandbox import schema, times

Rule = Callable[[schema.Object], list[schema.Finding]]

_FROZEN = ("data", "binaryData", "immutable")
_POD_DEFAULTS: dict[str, Any] = {
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
    "imagePullPolicy": "IfNotPresent",
}


def prepare(kind: str, body: schema.Object, now: times.Now) -> schema.Object:
    """Fill the defaults of a new object (its status too)."""
    filler = _FILLERS.get(kind)
    return filler(body, now) if filler else body


def normalise(kind: str, body: schema.Object) -> schema.Object:
    """Bring an object into the form in which it is stored, on create and on every change."""
    if kind != "Secret" or "stringData" not in body:
        return body
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in body["stringData"].items()}
    return {**{name: value for name, value in body.items() if name != "stringData"},
            "data": body.get("data", {}) | encoded}  # fmt: skip


def findings(kind: str, body: schema.Object, previous: schema.Object | None) -> list[schema.Finding]:
    """Check the rules of a kind that its type cannot say."""
    if kind == "Pod":
        return _pod_rules(body) if previous is None else _pod_update_rules(body, previous)
    if previous and previous.get("immutable") and any(body.get(part) != previous.get(part) for part in _FROZEN):
        return [schema.Finding("data", "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set")]
    if kind in ("RoleBinding", "ClusterRoleBinding") and previous and body["roleRef"] != previous["roleRef"]:
        return [schema.Finding("roleRef", "FieldValueInvalid", "Invalid value: cannot change roleRef")]
    if kind == "Secret" and previous and body.get("type", "Opaque") != previous.get("type"):
        return [schema.Finding("type", "FieldValueInvalid", f'Invalid value: "{body.get("type")}": field is immutable')]
    if kind == "CustomResourceDefinition":
        return list(_definition_rules(body))
    if kind == "Secret":
        return [
            schema.Finding(f"data[{name}]", "FieldValueInvalid", "Invalid value: illegal base64 data")
            for name, value in body.get("data", {}).items()
            if not _is_base64(value)
        ]
    return []


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _pod(body: schema.Object, now: times.Now) -> schema.Object:
    spec = _POD_DEFAULTS | body.get("spec", {})
    for part in ("containers", "initContainers"):
        if part in spec:
            spec[part] = [_CONTAINER_DEFAULTS | container for container in spec[part]]
    status = {"phase": "Pending", "qosClass": _quality(spec.get("containers", []))}
    return {**body, "spec": spec, "status": status}


def _quality(containers: list[schema.Object]) -> str:
    resources = [container.get("resources", {}) for container in containers]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    for each in resources:
        limits = each.get("limits", {})
        if not {"cpu", "memory"} <= limits.keys() or each.get("requests", limits) != limits:
            return "Burstable"
    return "Guaranteed"


def _namespace(body: schema.Object, now: times.Now) -> schema.Object:
    labels = {**body["metadata"].get("labels", {}), "kubernetes.io/metadata.name": body["metadata"]["name"]}
    metadata = {**body["metadata"], "labels": labels}
    return {**body, "metadata": metadata, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def _secret(body: schema.Object, now: times.Now) -> schema.Object:
    return {"type": "Opaque", **body}


def _service(body: schema.Object, now: times.Now) -> schema.Object:
    spec = {"type": "ClusterIP", "sessionAffinity": "None", "clusterIP": "None", **body.get("spec", {})}
    spec["ports"] = [
        {"protocol": "TCP", "targetPort": port.get("port"), **port} for port in spec.get("ports", [])
    ]  # fmt: skip
    return {**body, "spec": spec, "status": {"loadBalancer": {}}}


def _claim(body: schema.Object, now: times.Now) -> schema.Object:
    return {**body, "status": {"phase": "Bound"}}


def _definition(body: schema.Object, now: times.Now) -> schema.Object:
    spec = body["spec"]
    names = {"singular": spec["names"]["kind"].lower(), "listKind": f"{spec['names']['kind']}List", **spec["names"]}
    return {**body, "spec": {"conversion": {"strategy": "None"}, **spec, "names": names}}


_FILLERS: dict[str, Callable[[schema.Object, times.Now], schema.Object]] = {
    "Pod": _pod,
    "Namespace": _namespace,
    "Secret": _secret,
    "Service": _service,
    "PersistentVolumeClaim": _claim,
    "CustomResourceDefinition": _definition,
}


def _pod_rules(body: schema.Object) -> list[schema.Finding]:
    spec = body.get("spec", {})
    containers = spec.get("containers", [])
    if not containers:
        return [schema.Finding("spec.containers", "FieldValueRequired", "Required value")]
    found = []
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    for index, container in enumerate(containers):
        path = f"spec.containers[{index}]"
        if not container.get("image"):
            found.append(schema.Finding(f"{path}.image", "FieldValueRequired", "Required value"))
        for number, mount in enumerate(container.get("volumeMounts", [])):
            if mount["name"] not in volumes:
                where = f"{path}.volumeMounts[{number}].name"
                found.append(schema.Finding(where, "FieldValueNotFound", f'Not found: "{mount["name"]}"'))
    return found


def _definition_rules(body: schema.Object) -> Iterator[schema.Finding]:
    spec = body["spec"]
    wanted = f"{spec['names']['plural']}.{spec['group']}"
    if body["metadata"]["name"] != wanted:
        message = f'Invalid value: "{body["metadata"]["name"]}": must be spec.names.plural+"."+spec.group'
        yield schema.Finding("metadata.name", "FieldValueInvalid", message)
    if sum(version["storage"] for version in spec["versions"]) != 1:
        message = "Invalid value: must have exactly one version marked as storage version"
        yield schema.Finding("spec.versions", "FieldValueInvalid", message)
    for index, version in enumerate(spec["versions"]):
        if not isinstance(version.get("schema", {}).get("openAPIV3Schema"), dict):
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            yield schema.Finding(path, "FieldValueRequired", "Required value: schemas are required")


def _pod_update_rules(body: schema.Object, previous: schema.Object) -> list[schema.Finding]:
    if _fixed(body["spec"]) == _fixed(previous["spec"]):
        return []
    message = (
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
        "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
    )
    return [schema.Finding("spec", "FieldValueForbidden", message)]


def _fixed(spec: schema.Object) -> schema.Object:
    changeable = ("activeDeadlineSeconds", "tolerations", "containers", "initContainers")
    fixed = {name: value for name, value in spec.items() if name not in changeable}
    for part in ("containers", "initContainers"):
        fixed[part] = [{name: value for name, value in each.items() if name != "image"} for each in spec.get(part, [])]
    return fixed
