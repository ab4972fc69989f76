"""Which files of a code directory stay behind: patterns as in ``.gitignore``, in ``.nniignore`` too.

Of git's rules these hold: one pattern a line, ``#`` comments, ``!`` takes back, a trailing ``/`` means directories, a
``/`` elsewhere ties a pattern to the file's own directory, ``*`` ``?`` ``[...]`` ``**``; the last pattern that matches
decides; what is in a directory that stays behind cannot be taken back.
"""

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple


class Rule(NamedTuple):
    """One pattern."""

    expression: re.Pattern[str]
    takes_back: bool
    directories_only: bool


def parse(text: str, directory: str = "") -> tuple[Rule, ...]:
    """Return the rules of an ignore file.

    Args:
        text: The file's content.
        directory: Where the file is, relative to the code directory, with ``/`` between names; empty for the top.
    """
    return tuple(filter(None, (_rule(line, directory) for line in text.splitlines())))


def is_ignored(path: str, rules: Sequence[Rule], *, is_directory: bool) -> bool:
    """Say whether the rules leave a path behind; directories above it are the caller's to ask for."""
    for rule in reversed(rules):
        if (is_directory or not rule.directories_only) and rule.expression.fullmatch(path):
            return not rule.takes_back
    return False


def _rule(line: str, directory: str) -> Rule | None:
    pattern = re.sub(r"(?<!\\) +$", "", line)
    if not pattern or pattern.startswith("#"):
        return None
    takes_back = pattern.startswith("!")
    pattern = pattern[1:] if takes_back else pattern
    directories_only = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    if not pattern:
        return None
    is_tied = "/" in pattern
    expression = _translate(pattern.lstrip("/"))
    below = re.escape(directory) + "/" if directory else ""
    anywhere = "" if is_tied else "(?:.*/)?"
    return Rule(_compiled(below + anywhere + expression), takes_back, directories_only)


_TOKEN = re.compile(
    r"(?P<deep>(?<![^/])\*\*/)|(?P<all>(?<=/)\*\*$)|(?P<star>\*+)|(?P<one>\?)"
    r"|(?P<set>\[[!^]?\]?[^\]]*\])|\\(?P<quoted>.)|(?P<plain>.)",
    re.DOTALL,
)


def _translate(pattern: str) -> str:
    return "".join(_piece(match) for match in _TOKEN.finditer(pattern))


def _piece(match: re.Match[str]) -> str:
    text = match.group()
    match match.lastgroup:
        case "deep":
            return "(?:.*/)?"
        case "all":
            return ".+"
        case "star":
            return "[^/]*"
        case "one":
            return "[^/]"
        case "set":
            inside = text[1:-1].replace("\\", "\\\\")
            negated = inside[:1] in ("!", "^")
            return f"(?!/)[{'^' if negated else ''}{inside[1:] if negated else inside}]"
        case "quoted":
            return re.escape(match["quoted"])
        case _:
            return re.escape(text)


@functools.lru_cache(maxsize=1024)
def _compiled(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression, re.DOTALL)
    except re.error:
        return re.compile(r"(?!)")  # git passes over a broken set, too
