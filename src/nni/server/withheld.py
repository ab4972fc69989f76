"""A configuration as people who may look may see it: without what looks like a secret."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"
_SECRET = re.compile(
    r"token|secret|passw|credential|(?:api|access|private|account)_?key|(?:^|_)auth(?:$|_)", re.IGNORECASE
)
_NAMES_ONE = re.compile(r"names?$|ref$|secrets$|^key_?vault_?key$", re.IGNORECASE)
"""What is called so names a secret, and is none."""
_GIVEN = re.compile(
    r"([\w-]*(?:token|secret|passw(?:or)?d|api_?key|access_?key)[\w-]*)(=|\s+)(\"[^\"]*\"|'[^']*'|[^\s\"']+)",
    re.IGNORECASE,
)
"""Within a command: ``WANDB_API_KEY=abc python train.py``, ``--token abc``."""
_ADDRESS = re.compile(r"(://[^\s/:@]+:)[^\s/@]+@")


def without_secrets(value: Any) -> Any:
    """Return JSON with ``HIDDEN`` for what looks like a secret.

    That is a value under a name like one (``HF_TOKEN``, also in a container's list of names and values), what a command
    gives to a variable or an option of such a name, and a password in an address.
    """
    if isinstance(value, str):
        return _GIVEN.sub(_kept, _ADDRESS.sub(rf"\1{HIDDEN}@", value))
    if isinstance(value, (list, tuple)):
        return [without_secrets(its) for its in value]
    if not isinstance(value, Mapping):
        return value
    is_named = _is_secret(str(value.get("name", "")))
    return {
        name: HIDDEN
        if isinstance(its, (str, int, float)) and (_is_secret(name) or (is_named and name == "value"))
        else without_secrets(its)
        for name, its in value.items()
    }


def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None and _NAMES_ONE.search(name) is None


def _kept(found: re.Match[str]) -> str:
    name, between, _ = found.groups()
    # Without the sign of an option, words that follow one another are only words.
    return f"{name}{between}{HIDDEN}" if between == "=" or name.startswith("-") else found.group()
