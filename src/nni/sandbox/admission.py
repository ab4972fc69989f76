"""What happens to an object of a built-in kind on its way into the store: defaults and rules."""

import base64
from collections.abc import Callable, Iterator

from nni.sandbox import claims, jobs, podrules, schema, schemarules, times

Rule = Callable[[schema.Object], list[schema.Finding]]

_REFILLED = frozenset({"CustomResourceDefinition", "Pod", "Secret", "Service"})
_FROZEN = ("data", "binaryData", "immutable")


def prepare(kind: str, body: schema.Object, now: times.Now) -> schema.Object:
    """Fill the defaults of a new object (its status too)."""
    filler = _FILLERS.get(kind)
    return filler(body, now) if filler else body


def refill(kind: str, body: schema.Object, now: times.Now) -> schema.Object:
    """Fill the defaults that a change of an object has left out; its status is nobody's here."""
    if kind not in _REFILLED:
        return body
    filled = _FILLERS[kind](body, now)
    return {name: value for name, value in filled.items() if name != "status" or "status" in body}


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
        found = (
            podrules.findings(body["spec"])
            if previous is None
            else podrules.changes(body.get("spec", {}), previous["spec"])
        )
        return list(found)
    if kind == "Job":
        return list(jobs.findings(body, previous))
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
    spec = podrules.fill(body.get("spec", {}))
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
    return claims.prepare(body)


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
    "Job": jobs.fill,
    "JobSet": jobs.fill_set,
    "TrainJob": jobs.fill_train,
    "CustomResourceDefinition": _definition,
}


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
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        root = version.get("schema", {}).get("openAPIV3Schema")
        if root is None:
            yield schema.Finding(path, "FieldValueRequired", "Required value: schemas are required")
        else:
            yield from schemarules.mistakes(root, path)
