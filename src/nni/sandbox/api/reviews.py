"""The reviews that clients ask for: may I, what may I, who am I; and tokens for service accounts."""

import datetime as dt

from nni.sandbox import kinds, rbac, registry, schema, status, times
from nni.sandbox.api import authentication, bodies

_AUTHORIZATION = "authorization.k8s.io"
_AUTHENTICATION = "authentication.k8s.io"
KINDS = {
    _AUTHORIZATION: ("SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"),
    _AUTHENTICATION: ("SelfSubjectReview",),
}
"""By group: what is answered and never stored."""

_LIFETIME = 3600
_LEAST_LIFETIME = 600


class Reviewer:
    """Answers reviews."""

    def __init__(self, authorizer: rbac.Authorizer, tokens: authentication.Tokens, objects: registry.Registry) -> None:
        self._authorizer = authorizer
        self._tokens = tokens
        self._objects = objects
        self._reviews = {
            (_AUTHORIZATION, "selfsubjectaccessreviews"): self._access,
            (_AUTHORIZATION, "subjectaccessreviews"): self._access_of_another,
            (_AUTHORIZATION, "selfsubjectrulesreviews"): self._rules,
            (_AUTHENTICATION, "selfsubjectreviews"): _who,
        }

    def is_review(self, steps: list[str]) -> bool:
        """Whether a path (as steps between slashes) is one of a review."""
        match steps:
            case ["apis", group, "v1", plural]:
                return (group, plural) in self._reviews
            case _:
                return False

    def answer(self, steps: list[str], body: schema.Object, user: rbac.User) -> schema.Object:
        """Answer a review for a user."""
        _, group, version, plural = steps
        if plural == "subjectaccessreviews":
            self._authorizer.check(user, rbac.Act("create", group, plural))
        kind = next(each for each in KINDS[group] if f"{each.lower()}s" == plural)
        bodies.check(self._objects.types, kind, {"spec": {}, **body})
        answered = self._reviews[group, plural](body, user)
        return {"kind": kind, "apiVersion": f"{group}/{version}", "metadata": {}, **answered}

    def token(self, namespace: str, name: str, body: schema.Object) -> schema.Object:
        """Make a token for a service account."""
        account = self._objects.get(kinds.SERVICE_ACCOUNT, namespace, name)
        bodies.check(self._objects.types, "TokenRequest", {"spec": {}, **body})
        spec = body.get("spec") or {}
        seconds = int(spec.get("expirationSeconds") or _LIFETIME)
        if seconds < _LEAST_LIFETIME:
            finding = schema.Finding(
                "spec.expirationSeconds", "FieldValueInvalid",
                f"Invalid value: {seconds}: may not specify a duration less than 10 minutes",
            )  # fmt: skip
            raise status.invalid(_AUTHENTICATION, "TokenRequest", "", [finding])
        lifetime = dt.timedelta(seconds=seconds)
        user = rbac.service_account(namespace, name, account["metadata"]["uid"])
        return {
            "kind": "TokenRequest",
            "apiVersion": f"{_AUTHENTICATION}/v1",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"audiences": [], **spec, "expirationSeconds": seconds},
            "status": {
                "token": self._tokens.issue(user, lifetime),
                "expirationTimestamp": times.stamp(self._objects.now() + lifetime),
            },
        }

    def _access(self, body: schema.Object, user: rbac.User) -> schema.Object:
        spec = body.get("spec") or {}
        act = _act(spec)
        allowed = self._authorizer.allows(user, act)
        return {"spec": spec, "status": {"allowed": allowed}}

    def _access_of_another(self, body: schema.Object, _: rbac.User) -> schema.Object:
        spec = body.get("spec") or {}
        return self._access(body, rbac.named(spec.get("user", ""), spec.get("groups", [])))

    def _rules(self, body: schema.Object, user: rbac.User) -> schema.Object:
        spec = body.get("spec") or {}
        namespace = spec.get("namespace", "")
        if not namespace:
            raise status.bad_request("no namespace on request")
        rules = list(self._authorizer.rules(user, namespace))
        found = {
            "incomplete": False,
            "resourceRules": [rule for rule in rules if "nonResourceURLs" not in rule],
            "nonResourceRules": [rule for rule in rules if "nonResourceURLs" in rule],
        }
        return {"spec": spec, "status": found}


def _who(_: schema.Object, user: rbac.User) -> schema.Object:
    about: schema.Object = {"username": user.name, "groups": list(user.groups)}
    return {"status": {"userInfo": about | ({"uid": user.uid} if user.uid else {})}}


def _act(spec: schema.Object) -> rbac.Act:
    if wanted := spec.get("nonResourceAttributes"):
        return rbac.Act(wanted.get("verb", ""), path=wanted.get("path", ""))
    wanted = spec.get("resourceAttributes")
    if not wanted:
        missing = schema.Finding(
            "spec.resourceAttributes", "FieldValueInvalid",
            "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )  # fmt: skip
        raise status.invalid(_AUTHORIZATION, "SelfSubjectAccessReview", "", [missing])
    return rbac.Act(
        wanted.get("verb", ""),
        wanted.get("group", ""),
        wanted.get("resource", ""),
        wanted.get("subresource", ""),
        wanted.get("namespace", ""),
        wanted.get("name", ""),
    )
