"""What users configured as people who may look may see it: without what looks like a secret.

Names tell: a name is cut into its words (``storageKey``, ``api-key``), and some words mean that a secret follows. A
secret under another name stays.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HIDDEN = "(hidden)"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PASSWORDS = ("password", "passwd", "passphrase", "pwd")
_ENDINGS = (
    *(*_PASSWORDS, "token", "secret", "credential"),
    *("apikey", "accesskey", "privatekey", "accountkey", "storagekey", "sharedkey"),
)
"""What a word that means a secret ends with, in the singular: ``PGPASSWORD`` is one, ``tokenizer`` is none."""
_WHOLE = frozenset({"pass", "auth", "authorization", "sig", "signature"})
_BEFORE_KEY = ("api", "access", "private", "account", "storage", "shared", "signing", "encryption", "ssh")
_PAIRS = frozenset({("connection", "string"), *((word, key) for word in _BEFORE_KEY for key in ("key", "keys"))})
_NAMES_ONE = frozenset({"name", "names", "ref", "refs", "file", "path", "url", "uri", "type"})
"""A name that ends with one of these says where a secret is, and is none; so does ``imagePullSecrets``."""

_NUMBER = re.compile(r"[+-]?[\d_.]+(?:[eE][+-]?\d+)?")
_NAMED = re.compile(r"(?<![\w.-])[\w.-]++")
"""A whole word: none is looked at twice, however long it is."""
_BETWEEN = re.compile(r"""=|\\?["']?\s*:\s*""")
_OPTION_BETWEEN = re.compile(r"""=|\\?["']?\s*:\s*|\s++(?!-)""")
_OPTION = re.compile(r"(-[\w.-]*)=(.*)", re.DOTALL)
_VALUE = re.compile(
    r"""
    (?: (?:Bearer|Basic|Token) \s++ )?
    (?: " (?: [^"\\] | \\. )*+ (?:"|$)
    |   ' [^']*+ (?:'|$)
    |   \\(["']) (?: (?!\\\1) . )*+ (?:\\\1|$)
    |   (?: [^\s"'\\&;|] | \\. )++ )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""Quoted, quoted within quotes, or up to where a shell, a query or a connection string goes on."""
_ADDRESS = re.compile(r"(https?)?(://)([^\s/:@?#]*+)(?::([^\s/@]*+))?@")


def without_secrets(value: Any) -> Any:
    """Return JSON with ``HIDDEN`` for what looks like a secret.

    That is a value under a name like one (``HF_TOKEN``, also in a container's list of names and values), what a text
    such as a command gives to a variable, an option or a header of such a name, and a password or a token in an
    address. A number is a secret only where the name is that of a password: ``max_tokens`` is none.
    """
    if isinstance(value, str):
        return _of_text(_ADDRESS.sub(_of_address, value))
    if isinstance(value, (list, tuple)):
        return list(_of_list(value))
    if not isinstance(value, Mapping):
        return value
    named = str(value.get("name", ""))
    return {name: _under(named if name == "value" and _is_secret(named) else name, its) for name, its in value.items()}


def _under(name: str, value: Any) -> Any:
    """Return a value as it is shown under a name."""
    if not _is_secret(name):
        return without_secrets(value)
    if isinstance(value, (list, tuple)):
        return [_under(name, one) for one in value]
    return HIDDEN if _may_be_one(name, value) else without_secrets(value)


def _of_list(values: Sequence[Any]) -> Iterator[Any]:
    """Yield the values of a list; it may be the words of a command, in which an option stands before its value."""
    for before, value in itertools.pairwise((None, *values)):
        option = _OPTION.fullmatch(value) if isinstance(value, str) else None
        if option:
            yield f"{option[1]}={_under(option[1], option[2])}"
        elif isinstance(value, str) and isinstance(before, str) and before[:1] == "-" != value[:1]:
            yield _under(before, value)
        else:
            yield without_secrets(value)


def _of_text(text: str) -> str:
    pieces, end = [], 0
    for found in _NAMED.finditer(text):
        name = found.group()
        if found.start() < end or not _is_secret(name):
            continue
        # Without the sign of an option, words that follow one another are only words.
        between = (_OPTION_BETWEEN if name.startswith("-") else _BETWEEN).match(text, found.end())
        value = between and _VALUE.match(text, between.end())
        if value and _may_be_one(name, value.group().strip("\"'\\")):
            pieces += [text[end : value.start()], HIDDEN]
            end = value.end()
    return "".join((*pieces, text[end:]))


def _of_address(found: re.Match[str]) -> str:
    scheme, sign, user, password = found.groups("")
    if password and user:
        return f"{scheme}{sign}{user}:{HIDDEN}@"
    # Whoever fetches by HTTP under a name alone shows a token; by SSH it is a user.
    return f"{scheme}{sign}{HIDDEN}@" if scheme or password else found.group()


def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _NAMES_ONE or words[-2:] == ["pull", "secrets"]:
        return False
    return any(
        word in _WHOLE or word.removesuffix("s").endswith(_ENDINGS) or (before, word) in _PAIRS
        for before, word in itertools.pairwise(("", *words))
    )


def _may_be_one(name: str, value: Any) -> bool:
    """Return whether a value under a secret's name can be the secret itself."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        return False
    if name.lower().rstrip("s").endswith(_PASSWORDS):
        return True
    return isinstance(value, str) and _NUMBER.fullmatch(value) is None
