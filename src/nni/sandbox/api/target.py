"""What a request is about: kind, namespace, name and subresource, read from its path."""

import dataclasses

from nni.sandbox import kinds, status


@dataclasses.dataclass(frozen=True)
class Target:
    """The object or the collection that a path names."""

    kind: kinds.Kind
    namespace: str = ""
    name: str = ""
    part: str = ""
    """The subresource."""


def parse(served: kinds.Kinds, steps: list[str]) -> Target:
    """Read ``/api/v1/namespaces/default/pods/one/log`` and the like. Raises the 404 refusal for unknown paths."""
    match steps:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise status.no_such_path()
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and (len(rest) > 3 or rest[2] != "status"):
        _, namespace, *rest = rest
    if not 1 <= len(rest) <= 3:
        raise status.no_such_path()
    plural, name, part = (*rest, "", "")[:3]
    kind = served.at(group, version, plural)
    if kind is None or (namespace and not kind.is_namespaced) or (name and kind.is_namespaced and not namespace):
        raise status.no_such_path()
    if part and part not in (*kind.subresources, *(["status"] if kind.has_status else [])):
        raise status.no_such_path()
    return Target(kind, namespace, name, part)
