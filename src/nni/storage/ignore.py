"""Which files of a code directory stay behind: patterns as in ``.gitignore``, in ``.nniignore`` too.

All of git's rules hold (gitignore(5), and wildmatch.c for what it leaves open), as they do in git byte by byte: one
pattern a line, ``#`` comments, ``!`` takes back, a trailing ``/`` means directories, a ``/`` elsewhere ties a pattern
to the file's own directory, ``*`` ``?`` ``[...]`` ``[[:class:]]`` ``**``; the last pattern that matches decides; what
is in a directory that stays behind cannot be taken back.
"""

import codecs
import os
import re
import string
from collections.abc import Sequence
from typing import NamedTuple


class Rule(NamedTuple):
    """One pattern."""

    expression: re.Pattern[bytes]
    takes_back: bool
    directories_only: bool


def parse(content: bytes, directory: str = "") -> tuple[Rule, ...]:
    """Return the rules of an ignore file.

    Args:
        content: The file's; a byte order mark of UTF-8 is none of it.
        directory: Where the file is, relative to the code directory, with ``/`` between names; empty for the top.
    """
    lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    return tuple(filter(None, (_rule(line.removesuffix(b"\r"), directory) for line in lines)))


def is_ignored(path: str, rules: Sequence[Rule], *, is_directory: bool) -> bool:
    """Say whether the rules leave a path behind; directories above it are the caller's to ask for."""
    name = os.fsencode(path)
    for rule in reversed(rules):
        if (is_directory or not rule.directories_only) and rule.expression.fullmatch(name):
            return not rule.takes_back
    return False


_TRIMMED = re.compile(rb"((?:\\.|[^\\])*?) *", re.DOTALL)
"""A line without the blanks at its end, but for quoted ones."""


def _rule(line: bytes, directory: str) -> Rule | None:
    if line.startswith(b"#"):
        return None
    trimmed = _TRIMMED.fullmatch(line)
    pattern = trimmed[1] if trimmed else line
    takes_back = pattern.startswith(b"!")
    pattern = pattern.removeprefix(b"!")
    directories_only = pattern.endswith(b"/")
    pattern = pattern.removesuffix(b"/")
    expression = _translated(pattern.removeprefix(b"/"))
    if not pattern or expression is None:
        return None
    below = re.escape(os.fsencode(directory)) + b"/" if directory else b""
    anywhere = b"" if b"/" in pattern else b"(?:.*/)?"
    return Rule(re.compile(below + anywhere + expression, re.DOTALL), takes_back, directories_only)


_TOKEN = re.compile(
    rb"(?P<deep>(?<![^/])\*\*+/)|(?P<all>(?<![^/])\*\*+(?:\Z|(?=\\/)))|(?P<star>\*+)|(?P<one>\?)|(?P<set>\[)|\\(?P<quoted>.)"
    rb"|(?P<plain>[^\\])",
    re.DOTALL,
)
_FIXED = {"deep": b"(?:.*/)?", "all": b".*", "star": b"[^/]*", "one": b"[^/]"}


def _translated(pattern: bytes) -> bytes | None:
    """Return the regular expression of a pattern, None for a broken one: git passes over these."""
    pieces, place = [], 0
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        if token is None:
            return None
        kind, place = str(token.lastgroup), token.end()
        if kind == "set":
            members, place = _members(pattern, place)
            if members is None:
                return None
            pieces.append(b"[" + b"".join(b"\\x%02x" % one for one in sorted(members)) + b"]" if members else b"(?!)")
        else:
            pieces.append(_FIXED.get(kind) or re.escape(token[kind]))
    return b"".join(pieces)


_MEMBER = re.compile(rb"\[:(?P<named>[^\]]*):\]|\\(?P<quoted>.)|(?P<plain>[^\\])", re.DOTALL)
_RANGE = re.compile(rb"-(?:\\(.)|([^\\\]]))", re.DOTALL)
_CLASSES = {
    "alnum": (string.ascii_letters + string.digits).encode(),
    "alpha": string.ascii_letters.encode(),
    "blank": b" \t",
    "cntrl": bytes([*range(32), 127]),
    "digit": string.digits.encode(),
    "graph": bytes(range(33, 127)),
    "lower": string.ascii_lowercase.encode(),
    "print": bytes(range(32, 127)),
    "punct": string.punctuation.encode(),
    "space": b" \t\n\r",  # git has no others
    "upper": string.ascii_uppercase.encode(),
    "xdigit": string.hexdigits.encode(),
}


def _members(pattern: bytes, place: int) -> tuple[frozenset[int] | None, int]:
    """Return the bytes that a set stands for and where the pattern goes on behind it; None for a broken set.

    Args:
        pattern: The whole pattern.
        place: Behind the set's opening bracket.
    """
    is_negated = pattern[place : place + 1] in (b"!", b"^")
    place += is_negated
    found: set[int] = set()
    first = place
    while place == first or pattern[place : place + 1] != b"]":
        member = _MEMBER.match(pattern, place)
        if member is None:
            return None, place
        place = member.end()
        if member.lastgroup == "named":
            if (named := _CLASSES.get(member["named"].decode("latin-1"))) is None:
                return None, place
            found.update(named)
            continue
        low = high = member[str(member.lastgroup)][0]
        if span := _RANGE.match(pattern, place):
            place, high = span.end(), (span[1] or span[2])[0]
        found.update(range(low, high + 1), [low])
    every = frozenset(range(256)) - found if is_negated else frozenset(found)
    return every - {ord("/")}, place + 1
