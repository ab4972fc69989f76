"""Discovery: which groups, versions and kinds are served."""

from nni.sandbox import kinds, schema
from nni.sandbox.api import reviews

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

VERSION: schema.Object = {
    "major": "1", "minor": "32", "gitVersion": "v1.32.0+sandbox", "gitCommit": "", "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
}  # fmt: skip


def answer(served: kinds.Kinds, steps: list[str]) -> schema.Object | None:
    """Answer a path of discovery (as steps between slashes); None when it is not one."""
    match steps:
        case ["version"]:
            return VERSION
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            groups = [_group(group, versions) for group, versions in _groups(served).items()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["api", "v1"]:
            return _resources(served, "", "v1")
        case ["apis", group] if group in _groups(served):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, _groups(served)[group])}
        case ["apis", group, version] if version in _groups(served).get(group, []):
            return _resources(served, group, version)
        case _:
            return None


def _groups(served: kinds.Kinds) -> dict[str, list[str]]:
    return {group: versions for group, versions in served.groups().items() if group} | {
        name: ["v1"] for name in reviews.KINDS
    }


def _group(name: str, versions: list[str]) -> schema.Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(served: kinds.Kinds, group: str, version: str) -> schema.Object:
    rows = [row for kind in served.of(group, version) for row in _rows(kind)]
    rows += [
        {"name": f"{kind.lower()}s", "singularName": kind.lower(), "namespaced": False, "kind": kind,
         "verbs": ["create"]}
        for kind in reviews.KINDS.get(group, ())
    ]  # fmt: skip
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": rows,
    }


def _rows(kind: kinds.Kind) -> list[schema.Object]:
    row: schema.Object = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.is_namespaced,
        "kind": kind.kind,
        "verbs": _VERBS,
    }
    if kind.short:
        row["shortNames"] = list(kind.short)
    if kind.categories:
        row["categories"] = list(kind.categories)
    below = [_below(kind, name) for name in kind.subresources]
    if kind.has_status:
        below.append({"name": f"{kind.plural}/status", "kind": kind.kind, "verbs": ["get", "patch", "update"]})
    return [row, *({"singularName": "", "namespaced": kind.is_namespaced, **each} for each in below)]


def _below(kind: kinds.Kind, name: str) -> schema.Object:
    row: schema.Object = {"name": f"{kind.plural}/{name}"}
    if name not in kinds.POSTED:
        return row | {"kind": kind.kind, "verbs": ["get"]}
    group, version, posted = kinds.POSTED[name]
    return row | {"group": group, "version": version, "kind": posted, "verbs": ["create"]}
