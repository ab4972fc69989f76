"""Who may do what, by the roles and bindings that stand in the API."""

import datetime as dt
from typing import Any

import pytest

from nni.sandbox import kinds, rbac, registry, schema, status, store

BOB = rbac.service_account("team", "bob")
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.fixture
def objects() -> registry.Registry:
    made = registry.Registry(store.Store(), schema.load(), lambda: MOMENT, {})
    for name in ("team", "other"):
        made.create(kinds.NAMESPACE, "", {"metadata": {"name": name}})
    return made


def grant(objects: registry.Registry, *rules: dict[str, Any], subject: Any = None, cluster: bool = False) -> None:
    """Give a user a role of a namespace, or of the whole cluster."""
    bob = {"kind": "ServiceAccount", "name": "bob", "namespace": "team"}
    binding = {
        "metadata": {"name": "some"},
        "roleRef": {"apiGroup": rbac.GROUP, "kind": "ClusterRole" if cluster else "Role", "name": "some"},
        "subjects": [subject or bob],
    }
    namespace = "" if cluster else "team"
    role_kind = kinds.CLUSTER_ROLE if cluster else kinds.ROLE
    binding_kind = kinds.CLUSTER_ROLE_BINDING if cluster else kinds.ROLE_BINDING
    objects.create(role_kind, namespace, {"metadata": {"name": "some"}, "rules": list(rules)})
    objects.create(binding_kind, namespace, binding)


def rule(verbs: str, groups: str, resources: str, *names: str) -> dict[str, Any]:
    made = {"verbs": verbs.split(), "apiGroups": groups.split(","), "resources": resources.split()}
    return made | ({"resourceNames": list(names)} if names else {})


@pytest.mark.parametrize(
    ("granted", "act", "expected"),
    [
        (rule("get", "", "pods"), rbac.Act("get", "", "pods", namespace="team", name="x"), True),
        (rule("get", "", "pods"), rbac.Act("list", "", "pods", namespace="team"), False),
        (rule("get", "", "pods"), rbac.Act("get", "", "pods", namespace="other"), False),
        (rule("get", "", "pods"), rbac.Act("get", "", "pods"), False),
        (rule("get", "", "pods"), rbac.Act("get", "", "pods", "log", "team"), False),
        (rule("get", "", "pods/log"), rbac.Act("get", "", "pods", "log", "team"), True),
        (rule("get", "", "*/log"), rbac.Act("get", "", "pods", "log", "team"), True),
        (rule("get", "", "pods"), rbac.Act("get", "kubeflow.org", "pods", namespace="team"), False),
        (rule("*", "*", "*"), rbac.Act("patch", "kubeflow.org", "tfjobs", "status", "team"), True),
        (rule("get", "", "secrets", "one"), rbac.Act("get", "", "secrets", namespace="team", name="one"), True),
        (rule("get", "", "secrets", "one"), rbac.Act("get", "", "secrets", namespace="team", name="two"), False),
        (rule("list", "", "secrets", "one"), rbac.Act("list", "", "secrets", namespace="team"), False),
    ],
)
def test_a_role_allows_what_it_names(
    objects: registry.Registry, granted: dict[str, Any], act: rbac.Act, expected: bool
) -> None:
    grant(objects, granted)
    assert rbac.Authorizer(objects).allows(BOB, act) is expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"kind": "User", "name": BOB.name}, True),
        ({"kind": "User", "name": "bob"}, False),
        ({"kind": "Group", "name": "system:serviceaccounts:team"}, True),
        ({"kind": "Group", "name": "system:authenticated"}, True),
        ({"kind": "Group", "name": "system:masters"}, False),
        ({"kind": "ServiceAccount", "name": "bob", "namespace": "other"}, False),
    ],
)
def test_a_binding_means_its_subjects(objects: registry.Registry, subject: dict[str, str], expected: bool) -> None:
    grant(objects, rule("get", "", "pods"), subject=subject)
    assert rbac.Authorizer(objects).allows(BOB, rbac.Act("get", "", "pods", namespace="team")) is expected


def test_a_cluster_role_holds_everywhere_and_for_paths(objects: registry.Registry) -> None:
    grant(objects, rule("get", "", "nodes pods"), {"verbs": ["get"], "nonResourceURLs": ["/logs/*"]}, cluster=True)
    authorizer = rbac.Authorizer(objects)
    acts = [
        rbac.Act("get", "", "nodes", name="x"),
        rbac.Act("get", "", "pods", namespace="other"),
        rbac.Act("get", path="/logs/one"),
        rbac.Act("get", path="/metrics"),
    ]
    assert [authorizer.allows(BOB, act) for act in acts] == [True, True, True, False]


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (
            rbac.Act("list", "", "secrets", namespace="team"),
            f'secrets is forbidden: User "{BOB.name}" cannot list resource "secrets" in API group "" in the namespace '
            '"team"',
        ),
        (
            rbac.Act("get", "", "pods", "log", "team", "x"),
            f'pods "x" is forbidden: User "{BOB.name}" cannot get resource "pods/log" in API group "" in the namespace '
            '"team"',
        ),
        (
            rbac.Act("delete", "kubeflow.org", "pytorchjobs", namespace="team", name="x"),
            f'pytorchjobs.kubeflow.org "x" is forbidden: User "{BOB.name}" cannot delete resource "pytorchjobs" in API '
            'group "kubeflow.org" in the namespace "team"',
        ),
        (
            rbac.Act("get", "", "nodes", name="x"),
            f'nodes "x" is forbidden: User "{BOB.name}" cannot get resource "nodes" in API group "" at the cluster '
            "scope",
        ),
        (rbac.Act("get", path="/metrics"), f'forbidden: User "{BOB.name}" cannot get path "/metrics"'),
    ],
)
def test_a_refusal_names_verb_resource_and_place(objects: registry.Registry, act: rbac.Act, sentence: str) -> None:
    with pytest.raises(status.Refusal, match="forbidden") as caught:
        rbac.Authorizer(objects).check(BOB, act)
    assert (caught.value.code, caught.value.reason, str(caught.value)) == (403, "Forbidden", sentence)


def test_nobody_grants_what_they_do_not_have(objects: registry.Registry) -> None:
    grant(objects, rule("get", "", "pods"))
    authorizer = rbac.Authorizer(objects)
    body = {"kind": "Role", "metadata": {"name": "new"}}
    authorizer.check_grant(BOB, "team", body | {"rules": [rule("get", "", "pods")]})
    with pytest.raises(status.Refusal, match="is attempting to grant RBAC permissions not currently held"):
        authorizer.check_grant(BOB, "team", body | {"rules": [rule("get delete", "", "pods")]})
    master = rbac.User("root", (rbac.MASTERS,))
    authorizer.check_grant(master, "team", body | {"rules": [rule("*", "*", "*")]})
