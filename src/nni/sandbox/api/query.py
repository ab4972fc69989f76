"""What the query parameters of a list or a watch ask for."""

import dataclasses
from collections.abc import Callable, Mapping

from nni.sandbox import kinds, schema, selectors, status


@dataclasses.dataclass(frozen=True)
class Query:
    """One list or watch request."""

    matches: Callable[[schema.Object], bool]
    is_selective: bool
    version: int | None
    """The resource version; None when none was given."""
    match: str
    """``""``, ``Exact`` or ``NotOlderThan``."""
    limit: int
    """0 is no limit."""
    token: str
    is_watch: bool
    wants_bookmarks: bool
    wants_initial: bool
    timeout: float | None
    """Seconds."""


def parse(kind: kinds.Kind, given: Mapping[str, str], name: str = "") -> Query:
    """Read the parameters of a collection, or of one object of it. Raises the 400 refusal for what cannot be read."""
    _check_match(given)
    by_label = selectors.labels(given.get("labelSelector", ""))
    by_field = selectors.fields(given.get("fieldSelector", ""), kind.selectable, kind.kind)
    return Query(
        matches=lambda found: (
            name in ("", found["metadata"]["name"])
            and by_label(found["metadata"].get("labels", {}))
            and by_field(found)
        ),
        is_selective=bool(given.get("labelSelector") or given.get("fieldSelector")),
        version=integer(given, "resourceVersion"),
        match=given.get("resourceVersionMatch", ""),
        limit=max(0, integer(given, "limit") or 0),
        token=given.get("continue", ""),
        is_watch=flag(given, "watch"),
        wants_bookmarks=flag(given, "allowWatchBookmarks"),
        wants_initial=flag(given, "sendInitialEvents"),
        timeout=integer(given, "timeoutSeconds"),
    )


def _check_match(given: Mapping[str, str]) -> None:
    """Refuse the combinations of version, match and continue token that make no sense."""
    match, version = given.get("resourceVersionMatch", ""), given.get("resourceVersion", "")
    is_streamed = flag(given, "watch") and "sendInitialEvents" in given
    forbidden = ""
    if is_streamed and match != "NotOlderThan":
        forbidden = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    elif match and flag(given, "watch") and not is_streamed:
        forbidden = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    elif match and not version and not is_streamed:
        forbidden = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match and given.get("continue"):
        forbidden = "resourceVersionMatch is forbidden when continue is provided"
    elif match == "Exact" and version == "0":
        forbidden = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if forbidden:
        finding = schema.Finding("resourceVersionMatch", "FieldValueForbidden", f"Forbidden: {forbidden}")
        raise status.invalid("meta.k8s.io", "ListOptions", "", [finding])
    if match not in ("", "Exact", "NotOlderThan"):
        message = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
        finding = schema.Finding("resourceVersionMatch", "FieldValueNotSupported", message)
        raise status.invalid("meta.k8s.io", "ListOptions", "", [finding])


def flag(given: Mapping[str, str], name: str) -> bool:
    """Read a boolean parameter as Go does."""
    return given.get(name, "").lower() in ("1", "t", "true")


def integer(given: Mapping[str, str], name: str) -> int | None:
    """Read a number; None when it is not given. Raises the 400 refusal for what is none."""
    text = given.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise status.bad_request(f'{name}: Invalid value: "{text}": it is not a number') from error
