"""Who may use the portal: the token, the cookie that stands for it, and the names it is reached under."""

import dataclasses
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from urllib import parse

from nni.core import model

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised here, bound nowhere


def is_same(given: str | None, expected: str) -> bool:
    """Return whether a secret was given right, in a time that does not tell how much of it was."""
    if given is None:
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def bearer(header: str | None) -> str | None:
    """Return the token of an ``Authorization: Bearer`` header, None for any other header."""
    scheme, _, token = (header or "").strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def hostname(host: str) -> str:
    """Return the name in a Host header: without its port, brackets and final dot, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


@dataclasses.dataclass(frozen=True, slots=True)
class Hosts:
    """The names that a server answers under.

    A web page of a stranger can have its own name resolve to this machine and would then share an origin with the
    portal; it cannot choose the Host header that the browser sends.
    """

    names: frozenset[str]
    any_address: bool = False
    """Whether every literal address is right: those are no names that a stranger could point here."""

    @classmethod
    def of(cls, bind: str, extra: Iterable[str] = ()) -> "Hosts":
        """Return the names for a server that listens on ``bind``: loopback, that address, and ``extra``."""
        names = _LOOPBACK | {hostname(name) for name in extra}
        return cls(names | ({bind.lower()} - _WILDCARDS), any_address=bind in _WILDCARDS)

    def allows(self, host: str) -> bool:
        """Return whether a request with this Host header may be answered."""
        name = hostname(host)
        return name in self.names or (self.any_address and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@dataclasses.dataclass(frozen=True, slots=True)
class Guard:
    """Tells the owner of an experiment from everybody else."""

    experiment_id: model.ExperimentId
    token: str = dataclasses.field(repr=False)

    @property
    def cookie(self) -> str:
        """The cookie's name. Browsers share cookies between ports: each experiment has its own."""
        return f"nni-{self.experiment_id}"

    def accepts(self, token: str | None) -> bool:
        """Return whether this is the experiment's token."""
        return is_same(token, self.token)

    def knows(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Return whether a request shows the token, in its Authorization header or else in its cookie."""
        if "Authorization" in headers:
            return self.accepts(bearer(headers["Authorization"]))
        return self.accepts(cookies.get(self.cookie))


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Return whether a browser says that a page of another origin made this request.

    Another port of this machine is the same site to a cookie, but not the same origin.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("Origin")
    return origin is not None and parse.urlsplit(origin).netloc != headers.get("Host")
