"""The metadata of objects: names, uids, labels, and who may write what."""

import datetime as dt
import random
import re
import uuid

from nni.sandbox import kinds, schema, status, times

_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_PATH = re.compile(r"^(?!\.{1,2}$)[^/%]+$")
_SHORT = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SHORT_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_NAME_RULES = {
    "short": (63, _SHORT, _SHORT_RULE),
    "subdomain": (253, _SUBDOMAIN, _SUBDOMAIN_RULE),
    "label": (63, _LABEL, _LABEL_RULE),
    "path": (253, _PATH, "may not be '.' or '..', and may not contain '/' or '%'"),
}
_QUALIFIED = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_LARGEST_ANNOTATIONS = 256 * 1024
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_LEFT_OUT_EMPTY = frozenset({"annotations", "finalizers", "labels", "managedFields", "ownerReferences"})
_HEAD = ("name", "generateName", "namespace", "uid", "resourceVersion")
_KEPT = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "namespace",
    "name",
)


def head(body: schema.Object) -> schema.Object:
    """Return the metadata that a body brings. Raises the 400 refusal when it is not what metadata is."""
    given = body.get("metadata") or {}
    if not isinstance(given, dict):
        raise status.bad_request("json: cannot unmarshal the field metadata into type ObjectMeta: it is not an object")
    for name in _HEAD:
        if not isinstance(given.get(name) or "", str):
            raise status.bad_request(f"json: cannot unmarshal the field metadata.{name} into type string")
    return given


def other_namespace() -> status.Refusal:
    """400: body and path name different namespaces."""
    return status.bad_request("the namespace of the provided object does not match the namespace sent on the request")


class Namer:
    """Makes the metadata of new objects."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - suffixes of names, not secrets

    def complete(self, kind: kinds.Kind, namespace: str, body: schema.Object, moment: dt.datetime) -> schema.Object:
        """Return the metadata with which a new object is stored. Raises a refusal when it cannot be."""
        given = head(body)
        if given.get("resourceVersion"):
            raise status.bad_request("resourceVersion should not be set on objects to be created")
        name = given.get("name") or ""
        if not name and given.get("generateName"):
            name = given["generateName"] + "".join(self._random.choices(_SUFFIX, k=5))
        _check_name(kind, name)
        if namespace and given.get("namespace", namespace) != namespace:
            raise other_namespace()
        fresh: schema.Object = {
            **{key: value for key, value in given.items() if key not in ("selfLink", "managedFields", *_KEPT)},
            "name": name,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": times.stamp(moment),
        }
        if namespace:
            fresh["namespace"] = namespace
        if kind.has_generation:
            fresh["generation"] = 1
        return tidy(fresh)


def carry_over(current: schema.Object, new: schema.Object) -> schema.Object:
    """Return the metadata of a changed object: what the server alone writes stays as it was."""
    metadata = {key: value for key, value in new.items() if key not in _KEPT}
    metadata |= {key: current[key] for key in _KEPT if key in current}
    if "managedFields" not in metadata and "managedFields" in current:
        metadata["managedFields"] = current["managedFields"]
    return tidy(metadata | {"resourceVersion": current["resourceVersion"]})


def tidy(metadata: schema.Object) -> schema.Object:
    """Leave out the lists and maps that are empty."""
    return {key: value for key, value in metadata.items() if key not in _LEFT_OUT_EMPTY or value}


def _check_name(kind: kinds.Kind, name: str) -> None:
    if not name:
        missing = schema.Finding(
            "metadata.name", "FieldValueRequired", "Required value: name or generateName is required"
        )
        raise kind.invalid("", [missing])
    limit, pattern, rule = _NAME_RULES[kind.name_rule]
    if len(name) > limit:
        rule = f"must be no more than {limit} characters"
    elif pattern.match(name):
        return
    finding = schema.Finding("metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": {rule}')
    raise kind.invalid(name, [finding])


def annotation_findings(metadata: schema.Object) -> list[schema.Finding]:
    """Check annotations; their size breaks the client's side of ``kubectl apply`` for large objects."""
    found = _key_findings("metadata.annotations", metadata.get("annotations", {}))
    size = sum(len(name) + len(value) for name, value in metadata.get("annotations", {}).items())
    if size > _LARGEST_ANNOTATIONS:
        message = f"Too long: may not be more than {_LARGEST_ANNOTATIONS} bytes"
        found.append(schema.Finding("metadata.annotations", "FieldValueTooLong", message))
    return found


def _key_findings(path: str, given: schema.Object) -> list[schema.Finding]:
    found = []
    for key in given:
        name = key.rpartition("/")[2]
        if len(name) > 63:
            message = f'Invalid value: "{key}": name part must be no more than 63 characters'
            found.append(schema.Finding(path, "FieldValueInvalid", message))
        elif not _QUALIFIED.match(key):
            found.append(schema.Finding(path, "FieldValueInvalid", f'Invalid value: "{key}": {_QUALIFIED_RULE}'))
    return found


def label_findings(metadata: schema.Object) -> list[schema.Finding]:
    """Check the keys and values of labels."""
    rule = (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
        "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )
    found = _key_findings("metadata.labels", metadata.get("labels", {}))
    for value in metadata.get("labels", {}).values():
        if len(value) > 63:
            message = f'Invalid value: "{value}": must be no more than 63 characters'
            found.append(schema.Finding("metadata.labels", "FieldValueInvalid", message))
        elif not _LABEL_VALUE.match(value):
            found.append(schema.Finding("metadata.labels", "FieldValueInvalid", f'Invalid value: "{value}": {rule}'))
    return found
