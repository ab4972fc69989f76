"""Role-based access: what a user may do by the roles that are bound to them."""

import dataclasses
from collections.abc import Iterable, Iterator

from nni.sandbox import kinds, registry, schema, status

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
GROUP = "rbac.authorization.k8s.io"
_SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclasses.dataclass(frozen=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...]
    uid: str = ""

    @property
    def is_master(self) -> bool:
        """Whether no rule holds for them."""
        return MASTERS in self.groups

    @property
    def account(self) -> tuple[str, str] | None:
        """Namespace and name of the service account that they are; None for people."""
        if not self.name.startswith(_SERVICE_ACCOUNT):
            return None
        namespace, _, name = self.name.removeprefix(_SERVICE_ACCOUNT).partition(":")
        return namespace, name


@dataclasses.dataclass(frozen=True)
class Act:
    """What somebody wants to do: something to a resource, or to a path that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    part: str = ""
    """The subresource."""
    namespace: str = ""
    name: str = ""
    path: str = ""
    """For what is no resource."""

    @property
    def full_resource(self) -> str:
        """``pods/log``."""
        return f"{self.resource}/{self.part}" if self.part else self.resource

    def refusal(self, user: User) -> status.Refusal:
        """403, in a Kubernetes API's words."""
        if self.path:
            return status.forbidden(f'forbidden: User "{user.name}" cannot {self.verb} path "{self.path}"')
        about = status.qualified(self.group, self.resource) + (f' "{self.name}"' if self.name else "")
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        refusal = status.forbidden(
            f'{about} is forbidden: User "{user.name}" cannot {self.verb} resource "{self.full_resource}" '
            f'in API group "{self.group}" {where}'
        )
        refusal.details = {"name": self.name} if self.name else {}
        refusal.details |= {"group": self.group} if self.group else {}
        refusal.details["kind"] = self.resource
        return refusal


def service_account(namespace: str, name: str, uid: str = "") -> User:
    """Give the user that a service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"{_SERVICE_ACCOUNT}{namespace}:{name}", groups, uid)


def named(name: str, groups: Iterable[str] = ()) -> User:
    """Give a user by name; a service account's groups come with its name."""
    if name.startswith(_SERVICE_ACCOUNT) and not groups:
        namespace, _, account = name.removeprefix(_SERVICE_ACCOUNT).partition(":")
        return service_account(namespace, account)
    return User(name, (*groups, AUTHENTICATED))


class Authorizer:
    """Answers from the roles and bindings that stand in the API."""

    def __init__(self, objects: registry.Registry) -> None:
        self._objects = objects

    def allows(self, user: User, act: Act) -> bool:
        """Whether a user may do something."""
        if user.is_master:
            return True
        return any(_covers(rule, act) for rule in self.rules(user, act.namespace))

    def check(self, user: User, act: Act) -> None:
        """Raise the 403 refusal for what a user may not do."""
        if not self.allows(user, act):
            raise act.refusal(user)

    def rules(self, user: User, namespace: str) -> Iterator[schema.Object]:
        """Yield the rules that hold for a user in a namespace (empty: in the cluster as a whole)."""
        if user.is_master:
            yield {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            yield {"verbs": ["*"], "nonResourceURLs": ["*"]}
            return
        bindings = self._objects.all(kinds.CLUSTER_ROLE_BINDING)
        if namespace:
            bindings += self._objects.all(kinds.ROLE_BINDING, namespace)
        for binding in bindings:
            if any(_is(subject, user) for subject in binding.get("subjects", [])):
                yield from self._role(binding)

    def check_grant(self, user: User, namespace: str, body: schema.Object) -> None:
        """Refuse a role or a binding that gives more than its writer has."""
        wanted = body.get("rules", []) if "roleRef" not in body else list(self._role(body, namespace))
        own = list(self.rules(user, namespace))
        missing = [
            act for rule in wanted for act in _acts(rule, namespace) if not any(_covers(each, act) for each in own)
        ]
        if missing:
            name = body.get("metadata", {}).get("name", "")
            groups = " ".join(f'"{group}"' for group in user.groups)
            raise status.forbidden(
                f'{body["kind"].lower()}s.{GROUP} "{name}" is forbidden: user "{user.name}" (groups=[{groups}]) is '
                "attempting to grant RBAC permissions not currently held:\n" + "\n".join(map(_rule, missing))
            )

    def _role(self, binding: schema.Object, namespace: str = "") -> Iterator[schema.Object]:
        reference = binding["roleRef"]
        is_cluster = reference["kind"] == "ClusterRole"
        place = "" if is_cluster else binding["metadata"].get("namespace", namespace)
        found = self._objects.find(kinds.CLUSTER_ROLE if is_cluster else kinds.ROLE, place, reference["name"])
        yield from (found or {}).get("rules", [])


def _is(subject: schema.Object, user: User) -> bool:
    match subject["kind"]:
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            return f"{_SERVICE_ACCOUNT}{subject.get('namespace', '')}:{subject['name']}" == user.name
        case _:
            return False


def _covers(rule: schema.Object, act: Act) -> bool:
    if not _has(rule.get("verbs", []), act.verb):
        return False
    if act.path:
        return any(
            known in ("*", act.path) or (known.endswith("*") and act.path.startswith(known[:-1]))
            for known in rule.get("nonResourceURLs", [])
        )
    resources = rule.get("resources", [])
    names = rule.get("resourceNames")
    return (
        _has(rule.get("apiGroups", []), act.group)
        and ("*" in resources or act.full_resource in resources or bool(act.part and f"*/{act.part}" in resources))
        and (not names or act.name in names)
    )


def _has(known: list[str], wanted: str) -> bool:
    return "*" in known or wanted in known


def _rule(act: Act) -> str:
    if act.path:
        return f'{{NonResourceURLs:["{act.path}"], Verbs:["{act.verb}"]}}'
    names = f', ResourceNames:["{act.name}"]' if act.name else ""
    return f'{{APIGroups:["{act.group}"], Resources:["{act.full_resource}"]{names}, Verbs:["{act.verb}"]}}'


def _acts(rule: schema.Object, namespace: str) -> Iterator[Act]:
    for verb in rule.get("verbs", []):
        for path in rule.get("nonResourceURLs", []):
            yield Act(verb, path=path)
        for group in rule.get("apiGroups", []):
            for resource in rule.get("resources", []):
                plural, _, part = resource.partition("/")
                for name in rule.get("resourceNames") or [""]:
                    yield Act(verb, group, plural, part, namespace, name)
