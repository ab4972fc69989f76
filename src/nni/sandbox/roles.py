"""The roles that stand in every cluster from the start, and who has them."""

from collections.abc import Iterable

from nni.sandbox import kinds, rbac, registry, schema

_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]

_PUBLIC_PATHS = [
    "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version",
    "/version/",
]  # fmt: skip


def furnish(objects: registry.Registry, served: Iterable[kinds.Kind]) -> None:
    """Make the default cluster roles and their bindings, where they are not there from an earlier run."""
    for name, rules in _roles(list(served)).items():
        if objects.find(kinds.CLUSTER_ROLE, "", name) is None:
            objects.create(kinds.CLUSTER_ROLE, "", {"metadata": {"name": name}, "rules": rules})
    for role, group in (
        ("cluster-admin", rbac.MASTERS),
        ("system:basic-user", rbac.AUTHENTICATED),
        ("system:discovery", rbac.AUTHENTICATED),
    ):
        subject = {"kind": "Group", "apiGroup": rbac.GROUP, "name": group}
        reference = {"kind": "ClusterRole", "apiGroup": rbac.GROUP, "name": role}
        body = {"metadata": {"name": role}, "roleRef": reference, "subjects": [subject]}
        if objects.find(kinds.CLUSTER_ROLE_BINDING, "", role) is None:
            objects.create(kinds.CLUSTER_ROLE_BINDING, "", body)


def _roles(served: list[kinds.Kind]) -> dict[str, list[schema.Object]]:
    own = [kind for kind in served if kind.is_namespaced and kind.group != rbac.GROUP]
    reading = _rules([kind for kind in own if kind.kind != "Secret"], _READ)
    writing = _rules([kind for kind in own if kind.kind != "Event"], [*_READ, *_WRITE])
    granting = {"apiGroups": [rbac.GROUP], "resources": ["roles", "rolebindings"], "verbs": [*_READ, *_WRITE]}
    return {
        "cluster-admin": [
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["*"], "verbs": ["*"]},
        ],
        "view": reading,
        "edit": reading + writing,
        "admin": [*reading, *writing, granting],
        "system:basic-user": [
            {"apiGroups": ["authorization.k8s.io"], "verbs": ["create"],
             "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
            {"apiGroups": ["authentication.k8s.io"], "verbs": ["create"], "resources": ["selfsubjectreviews"]},
        ],
        "system:discovery": [{"nonResourceURLs": _PUBLIC_PATHS, "verbs": ["get"]}],
    }  # fmt: skip


def _rules(of: list[kinds.Kind], verbs: list[str]) -> list[schema.Object]:
    resources: dict[str, list[str]] = {}
    for kind in of:
        below = [f"{kind.plural}/{part}" for part in (*kind.subresources, *(["status"] if kind.has_status else []))]
        resources.setdefault(kind.group, []).extend([kind.plural, *below])
    return [{"apiGroups": [group], "resources": found, "verbs": verbs} for group, found in resources.items()]
