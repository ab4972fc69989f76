"""The secrets of an experiment: the portal's token, and the key that trials' tokens come from.

They live in files of mode 0600 in the experiment's directory, and nowhere else: not in the records, not in a log.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from nni.core import model, state

TOKEN_FILE = "token"  # noqa: S105 the name of a file
KEY_FILE = "key"


class TrialTokens:
    """A token for each attempt, derived from the experiment's key and the attempt's slot."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, slot: int) -> str:
        """Return the token of the attempt with this number in the experiment."""
        return hmac.new(self._key, f"attempt {slot}".encode(), hashlib.sha256).hexdigest()

    def verify(self, now: state.State, attempt: model.AttemptKey, token: str) -> bool | None:
        """Return whether a token is an attempt's own; None when there is no such attempt."""
        trial = now.trials.get(attempt.trial)
        if trial is None or trial.attempt != attempt.number or trial.slot is None:
            return None
        return hmac.compare_digest(self.of(trial.slot).encode(), token.encode())


def portal_token(directory: Path) -> str:
    """Return the experiment's portal token, made on first use."""
    return _kept(directory / TOKEN_FILE).decode()


def trial_tokens(directory: Path) -> TrialTokens:
    """Return the experiment's trial tokens; their key is made on first use."""
    return TrialTokens(_kept(directory / KEY_FILE))


def _kept(path: Path) -> bytes:
    """Return the content of a secret file, made with a random content if it is not there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    secret = secrets.token_urlsafe(32).encode()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    return secret
