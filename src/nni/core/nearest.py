"""Turns a misspelt name into advice."""

import difflib
from collections.abc import Iterable, Sequence


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that is most like this one, or None when none is; case, ``_`` and ``-`` do not count."""
    by_key = {_key(one): one for one in valid}
    found = difflib.get_close_matches(_key(name), by_key, n=1, cutoff=0.6)
    return by_key[found[0]] if found else None


def advice(name: str, valid: Sequence[str]) -> str:
    """Return ``did you mean 'this'?``, or, where nothing is near, ``use 'this', 'that' or 'these'``."""
    found = nearest(name, valid)
    return f"did you mean {found!r}?" if found is not None else f"use {either(valid)}"


def either(valid: Sequence[str]) -> str:
    """Return ``'a', 'b' or 'c'``."""
    quoted = [repr(one) for one in valid]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))


def _key(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
