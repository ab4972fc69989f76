"""The fault that lets tokens expire."""

from collections.abc import Callable, Sequence

from nni.sandbox import status
from nni.sandbox.faults import board, catalogue


class Expiry:
    """Knows which tokens have expired."""

    def __init__(self, faults: board.Board, renew: Callable[[], Sequence[str]]) -> None:
        """Take what makes new tokens, publishes them in the kubeconfigs, and returns them."""
        self._faults = faults
        self._renew = renew
        self._renewed: list[str] = []
        self._since: dict[str, int] = {}
        """By fault: how many tokens had been renewed before it. Those, and all older ones, are expired by it."""
        faults.on_add(self._expire)

    def check(self, token: str) -> None:
        """Raise the 401 refusal for a token that has expired."""
        for entry, _ in self._faults.of(catalogue.ExpiredCredentials):
            if token not in self._renewed[self._since[entry.id] :] and entry.hit():
                raise status.Refusal(401, "Unauthorized", "Unauthorized")

    def _expire(self, entry: board.Entry) -> None:
        fault = entry.fault
        if isinstance(fault, catalogue.ExpiredCredentials):
            self._since[entry.id] = len(self._renewed)
            if fault.is_rotated:
                self._renewed.extend(self._renew())
