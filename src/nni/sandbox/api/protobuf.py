"""Bodies in Kubernetes' protobuf encoding, which kubectl and Go clients send for the kinds they were built with.

Answers are JSON always: every client that sends protobuf reads JSON too.
"""

import base64
import datetime as dt
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from nni.sandbox import schema, status, times

MEDIA = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}


class _Numbered(NamedTuple):
    name: str
    keeps_zero: bool
    is_bytes: bool


class Decoder:
    """Turns messages into the objects that JSON would have carried."""

    def __init__(self, types: schema.Types, numbers: str) -> None:
        """Take the table of field numbers, in the syntax that the head of ``schemas/protobuf.numbers`` describes."""
        self._types = types
        self._numbers: dict[str, dict[int, _Numbered]] = {}
        for line in numbers.splitlines():
            if line and not line.startswith("#"):
                name, *entries = line.split()
                self._numbers[name] = dict(_numbered(entry) for entry in entries)

    def decode(self, raw: bytes) -> schema.Object:
        """Read a body. Raises the 400 or 415 refusal for one that cannot be read."""
        if not raw.startswith(_MAGIC):
            raise status.bad_request("the body is not protobuf as Kubernetes encodes it")
        try:
            envelope = dict(_fields(raw[len(_MAGIC) :]))
            meta = dict(_fields(envelope[1]))
            api_version, kind = meta[1].decode(), meta[2].decode()
            if kind not in self._numbers or kind not in self._types.by_name:
                raise _unreadable(kind)
            return {"apiVersion": api_version, "kind": kind, **self._message(kind, envelope.get(2, b""))}
        except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise status.bad_request("the body is not protobuf as Kubernetes encodes it") from error

    def _message(self, type_name: str, raw: bytes) -> schema.Object:
        numbers = self._numbers.get(type_name)
        if numbers is None:
            raise _unreadable(type_name)
        found: schema.Object = {}
        for number, value in _fields(raw):
            numbered = numbers.get(number)
            field = numbered and self._types.field(type_name, numbered.name)
            if numbered is None or (field is None and value):
                raise _unreadable(f"{type_name}, field {number}")
            if field is None:
                continue  # what is written though it is empty
            self._place(found, numbered, field.expression, value)
        return found

    def _place(self, into: schema.Object, numbered: _Numbered, expression: str, value: Any) -> None:
        name = numbered.name
        if name == "status":
            return  # it is the server's to write
        if expression.startswith("["):
            into.setdefault(name, []).append(self._value(expression[1:-1], numbered, value))
        elif expression.startswith("{"):
            entry = dict(_fields(value))
            key = entry.get(1, b"").decode()
            into.setdefault(name, {})[key] = self._value(expression[1:-1], numbered, entry.get(2, b""))
        elif expression != "any":
            read = self._value(expression, numbered, value)
            if read or (numbered.keeps_zero and read is not None):
                into[name] = read
        else:
            raise _unreadable(name)

    def _value(self, expression: str, numbered: _Numbered, value: Any) -> Any:
        if numbered.is_bytes:
            return base64.b64encode(value).decode()
        if expression in self._types.by_name:
            return self._message(expression, value)
        match expression:
            case "int" | "number":
                return value - (1 << 64) if value >= 1 << 63 else value
            case "bool":
                return bool(value)
            case "time":
                return _time(value)
            case "quantity":
                return dict(_fields(value)).get(1, b"0").decode()
            case "int|string":
                parts = dict(_fields(value))
                return parts.get(3, b"").decode() if parts.get(1) else parts.get(2, 0)
            case _:
                return value.decode()


def load(types: schema.Types) -> Decoder:
    """Read the table that ships with the sandbox."""
    path = pathlib.Path(schema.__file__).parent / "schemas" / "protobuf.numbers"
    return Decoder(types, path.read_text())


def _numbered(entry: str) -> tuple[int, _Numbered]:
    name, _, number = entry.partition("=")
    return int(number.rstrip("?!")), _Numbered(name, number.endswith("?"), number.endswith("!"))


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value (an int or bytes) of each field of a message."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        form = key & 7
        if form == _VARINT:
            value, at = _varint(raw, at)
            yield key >> 3, value
            continue
        if form == _BYTES:
            size, at = _varint(raw, at)
        else:
            size = _FIXED_SIZES[form]
        if at + size > len(raw):
            raise ValueError("a field ends after its message")
        yield key >> 3, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _time(raw: bytes) -> str | None:
    parts = dict(_fields(raw))
    if not parts:
        return None
    moment = dt.datetime.fromtimestamp(parts.get(1, 0), dt.UTC)
    nanoseconds = parts.get(2, 0)
    return times.stamp_fine(moment.replace(microsecond=nanoseconds // 1000)) if nanoseconds else times.stamp(moment)


def _unreadable(what: str) -> status.Refusal:
    message = f"the sandbox does not read {what} as protobuf; send it as JSON or YAML (application/json)"
    return status.Refusal(415, "UnsupportedMediaType", message)
