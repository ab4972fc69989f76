"""Refusals: the ``kind: Status`` bodies that a Kubernetes API answers with."""

from collections.abc import Sequence
from typing import Any

from nni.sandbox import schema


class Refusal(Exception):  # noqa: N818 - it is an answer to a request, not a fault of ours
    """A request that is refused; it carries the whole answer."""

    def __init__(
        self, code: int, reason: str, message: str, details: schema.Object | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details or {}
        self.retry_after = retry_after
        self.token = ""
        """Continues a list that has expired."""

    def body(self) -> schema.Object:
        """Give the Status object."""
        status: schema.Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.token} if self.token else {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        details = dict(self.details)
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        if details:
            status["details"] = details
        return status


def success(details: schema.Object) -> schema.Object:
    """Give the Status object of a request that worked and has nothing else to show."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _details(group: str, plural: str, name: str, **more: Any) -> schema.Object:
    details: schema.Object = {"name": name}
    if group:
        details["group"] = group
    return details | {"kind": plural} | more


def qualified(group: str, plural: str) -> str:
    """Name a resource as messages do: ``pods``, ``pytorchjobs.kubeflow.org``."""
    return f"{plural}.{group}" if group else plural


def not_found(group: str, plural: str, name: str) -> Refusal:
    """404: no such object."""
    message = f'{qualified(group, plural)} "{name}" not found'
    return Refusal(404, "NotFound", message, _details(group, plural, name))


def no_such_path() -> Refusal:
    """404: no such resource."""
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def already_exists(group: str, plural: str, name: str) -> Refusal:
    """409: the name is taken."""
    message = f'{qualified(group, plural)} "{name}" already exists'
    return Refusal(409, "AlreadyExists", message, _details(group, plural, name))


def conflict(group: str, plural: str, name: str, why: str) -> Refusal:
    """409: the object has changed, or is another one."""
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return Refusal(409, "Conflict", message, _details(group, plural, name))


def invalid(group: str, kind: str, name: str, findings: Sequence[schema.Finding]) -> Refusal:
    """422: the object breaks its schema or the rules of its kind."""
    causes = [{"reason": item.reason, "message": item.message, "field": item.path} for item in findings]
    sentences = [f"{item.path}: {item.message}" for item in findings]
    listed = sentences[0] if len(sentences) == 1 else "[" + ", ".join(sentences) + "]"
    title = f"{kind}.{group}" if group else kind
    message = f'{title} "{name}" is invalid: {listed}'
    return Refusal(422, "Invalid", message, _details(group, kind, name, causes=causes))


def bad_request(message: str) -> Refusal:
    """400: the request itself is wrong."""
    return Refusal(400, "BadRequest", message)


def forbidden(message: str) -> Refusal:
    """403: refused by a rule or by a webhook."""
    return Refusal(403, "Forbidden", message)


def expired(message: str, token: str = "") -> Refusal:
    """410: that version of the data is gone; ``token`` continues a list at a newer one."""
    refusal = Refusal(410, "Expired", message)
    refusal.token = token
    return refusal
