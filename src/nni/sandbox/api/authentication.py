"""Who asks: the tokens of this run, and acting as somebody else."""

import dataclasses
import datetime as dt
import hashlib
import secrets

from aiohttp import web

from nni.sandbox import kinds, rbac, registry, status

ADMIN = rbac.User("sandbox-admin", (rbac.MASTERS, rbac.AUTHENTICATED))


@dataclasses.dataclass(frozen=True)
class _Grant:
    user: rbac.User
    expires: dt.datetime | None


class Tokens:
    """The tokens that open the API. Only their hashes are kept, so looking one up tells nothing about another."""

    def __init__(self, objects: registry.Registry) -> None:
        self._objects = objects
        self._now = objects.now
        self._grants: dict[bytes, _Grant] = {}

    def issue(self, user: rbac.User, lifetime: dt.timedelta | None = None) -> str:
        """Make a token for a user; without a lifetime it is good for the whole run."""
        token = secrets.token_urlsafe(32)
        self._grants[_digest(token)] = _Grant(user, None if lifetime is None else self._now() + lifetime)
        return token

    def user(self, request: web.BaseRequest) -> rbac.User:
        """Tell who sends a request. Raises the 401 refusal for strangers."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        grant = self._grants.get(_digest(token)) if scheme.lower() == "bearer" else None
        if grant is None or (grant.expires is not None and grant.expires <= self._now()) or self._is_gone(grant.user):
            raise status.Refusal(401, "Unauthorized", "Unauthorized")
        return grant.user

    def _is_gone(self, user: rbac.User) -> bool:
        """Say whether the service account that a user is has been deleted: its tokens go with it."""
        place = user.account
        if place is None:
            return False
        found = self._objects.find(kinds.SERVICE_ACCOUNT, *place)
        return found is None or found["metadata"]["uid"] != user.uid


def impersonated(request: web.BaseRequest) -> rbac.User | None:
    """Name the user that the sender wants to act as (``kubectl --as``); None for themselves."""
    name = request.headers.get("Impersonate-User", "")
    return rbac.named(name, request.headers.getall("Impersonate-Group", [])) if name else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
