"""The tokens that let clients in, and the fault that lets them expire."""

import hmac
import secrets
from collections.abc import Callable

from nni.sandbox.faults import board, catalogue


class Credentials:
    """The admin's tokens."""

    def __init__(self, faults: board.Board, token: str, publish: Callable[[str], None]) -> None:
        """Take the first token, and what writes a kubeconfig with another one."""
        self._faults = faults
        self._tokens = [token]
        self._publish = publish
        self._expired: dict[str, tuple[str, ...]] = {}
        """By fault: the tokens that were there before it."""
        faults.on_add(self._expire)

    def knows(self, token: str) -> bool:
        """Say whether a token was ever given out; an expired one still opens the control API."""
        given = token.encode()
        return any(hmac.compare_digest(given, each.encode()) for each in self._tokens)

    def takes(self, token: str) -> bool:
        """Say whether a known token is valid now."""
        for entry, _ in self._faults.of(catalogue.ExpiredCredentials):
            if token in self._expired.get(entry.id, ()) and entry.hit():
                return False
        return True

    def _expire(self, entry: board.Entry) -> None:
        fault = entry.fault
        if not isinstance(fault, catalogue.ExpiredCredentials):
            return
        self._expired[entry.id] = tuple(self._tokens)
        if fault.is_rotated:
            self._tokens.append(secrets.token_urlsafe(32))
            self._publish(self._tokens[-1])
