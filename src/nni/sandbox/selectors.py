"""Label and field selectors, in the syntax of query parameters."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from nni.sandbox import status

Matcher = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s+(?P<operator>in|notin)\s+\((?P<values>[^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s=!,()]*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[^\s!=,()]+)\s*$")
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^()]*\))")


def labels(text: str) -> Matcher:
    """Compile a label selector; an empty one matches everything. Raises a 400 refusal when it cannot be read."""
    requirements = [_requirement(part) for part in _COMMA_OUTSIDE_PARENTHESES.split(text)] if text.strip() else []
    return lambda found: all(requirement(found) for requirement in requirements)


def _requirement(text: str) -> Matcher:
    if match := _SET.match(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["operator"] == "in":
            return lambda found: found.get(key) in values
        return lambda found: found.get(key) not in values
    if match := _EQUAL.match(text):
        key, value = match["key"], match["value"]
        if match["operator"] == "!=":
            return lambda found: found.get(key) != value
        return lambda found: found.get(key) == value
    if match := _EXISTS.match(text):
        key, wanted = match["key"], not match["not"]
        return lambda found: (key in found) == wanted
    raise status.bad_request(f'unable to parse requirement: found "{text}", expected: an operator such as =, !=, in')


def fields(text: str, selectable: Mapping[str, Callable[[Any], str]], kind: str) -> Callable[[Any], bool]:
    """Compile a field selector over the fields that a kind can be selected by. Raises a 400 refusal for others."""
    terms: list[tuple[Callable[[Any], str], str, bool]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _EQUAL.match(part)
        if match is None:
            raise status.bad_request(f'invalid selector: "{part}"; can\'t understand "{part}"')
        if match["key"] not in selectable:
            raise status.bad_request(f'Unable to find "{kind}" that match label selector "", field selector "{text}": '
                                     f'field label not supported: {match["key"]}')  # fmt: skip
        terms.append((selectable[match["key"]], match["value"], match["operator"] != "!="))
    return lambda found: all((read(found) == value) == wanted for read, value, wanted in terms)
