"""Events as JSON, and back: one walk over the type hints of the frozen records in ``nni.core``.

A record is an object of its fields without those that have their default; where a union says that it may be one of
several, ``is`` (which no field can be called) names its class. A new class or field needs no line here, as long as its
hints are made of plain JSON types, enums, tuples, mappings, other records and unions of records.

Parameters are kept apart, each set once under its id: they come with a proposal, and again whenever its trial is
submitted or told about. A record with a ``parameter_id`` holds them only where they differ from those kept.
"""

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from nni.core import event

Known = MutableMapping[int, Mapping[str, Any]]
"""Parameters by their id."""

_Walk = Callable[[Any, Known], Any]
_IS = "is"
_PLAIN = (str, int, float, bool, Any)


def encode(happened: event.Event, known: Known) -> Mapping[str, Any]:
    """Return an event as an object that ``json`` can write.

    Args:
        happened: The event.
        known: The parameters that are kept; those under a new id are added.
    """
    return typing.cast(Mapping[str, Any], _encoder(event.Event)(happened, known))


def decode(written: Mapping[str, Any], known: Known) -> event.Event:
    """Return the event that was encoded.

    Args:
        written: What ``encode`` returned, as ``json`` reads it.
        known: The parameters that were kept.

    Raises:
        KeyError, TypeError, ValueError: It is not an event as ``encode`` writes it.
    """
    return typing.cast(event.Event, _decoder(event.Event)(written, known))


@functools.cache
def _encoder(hint: Any) -> _Walk:
    """Return what turns a value of a type into JSON."""
    hint = _without_name(hint)
    if dataclasses.is_dataclass(hint):
        return _record_encoder(typing.cast(type, hint))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return lambda value, known: value.value
    if item := _item_of_tuple(hint):
        walk = _encoder(item)
        return lambda value, known: [walk(one, known) for one in value]
    if item := _value_of_mapping(hint):
        walk = _encoder(item)
        return lambda value, known: {key: walk(one, known) for key, one in value.items()}
    if (inner := _inner_of_optional(hint)) is not None:
        walk = _encoder(inner)
        return lambda value, known: None if value is None else walk(value, known)
    if records := _records_of_union(hint):
        walks = {record: (name, _encoder(record)) for name, record in records.items()}

        def encode_one_of(value: Any, known: Known) -> Any:
            name, walk = walks[type(value)]
            return {_IS: name, **walk(value, known)}

        return encode_one_of
    _insist_on_plain(hint)
    return lambda value, known: value


def _record_encoder(record: type) -> _Walk:
    hints = typing.get_type_hints(record)
    fields = [(field.name, field.default, _encoder(hints[field.name])) for field in dataclasses.fields(record)]
    has_parameters = _has_parameters(hints)

    def encode_record(value: Any, known: Known) -> Any:
        written = {}
        for name, default, walk in fields:
            if (its := getattr(value, name)) != default:
                written[name] = walk(its, known)
        if has_parameters and known.setdefault(value.parameter_id, value.parameters) == value.parameters:
            del written["parameters"]
        return written

    return encode_record


@functools.cache
def _decoder(hint: Any) -> _Walk:
    """Return what turns JSON into a value of a type."""
    hint = _without_name(hint)
    if dataclasses.is_dataclass(hint):
        return _record_decoder(typing.cast(type, hint))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        kind = hint
        return lambda written, known: kind(written)
    if item := _item_of_tuple(hint):
        walk = _decoder(item)
        return lambda written, known: tuple(walk(one, known) for one in written)
    if item := _value_of_mapping(hint):
        walk = _decoder(item)
        return lambda written, known: {key: walk(one, known) for key, one in written.items()}
    if (inner := _inner_of_optional(hint)) is not None:
        walk = _decoder(inner)
        return lambda written, known: None if written is None else walk(written, known)
    if records := _records_of_union(hint):
        walks = {name: _decoder(record) for name, record in records.items()}
        return lambda written, known: walks[written[_IS]](written, known)
    _insist_on_plain(hint)
    return lambda written, known: written


def _record_decoder(record: type) -> _Walk:
    hints = typing.get_type_hints(record)
    walks = {field.name: _decoder(hints[field.name]) for field in dataclasses.fields(record)}
    has_parameters = _has_parameters(hints)

    def decode_record(written: Any, known: Known) -> Any:
        values = {name: walks[name](its, known) for name, its in written.items() if name != _IS}
        if has_parameters and "parameters" not in values:
            values["parameters"] = known[values["parameter_id"]]
        return record(**values)

    return decode_record


def _has_parameters(hints: Mapping[str, Any]) -> bool:
    return "parameter_id" in hints and "parameters" in hints


def _without_name(hint: Any) -> Any:
    """Return the type behind a NewType."""
    return hint.__supertype__ if isinstance(hint, typing.NewType) else hint


def _item_of_tuple(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None


def _value_of_mapping(hint: Any) -> Any:
    origin = typing.get_origin(hint)
    return typing.get_args(hint)[1] if isinstance(origin, type) and issubclass(origin, Mapping) else None


def _inner_of_optional(hint: Any) -> Any:
    """Return X for ``X | None``, None for anything else."""
    # ``|`` with a NewType gives a Union of ``typing``.
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    options = typing.get_args(hint) if is_union else ()
    others = [option for option in options if option is not types.NoneType]
    return others[0] if len(options) == 2 and len(others) == 1 else None


def _records_of_union(hint: Any) -> Mapping[str, type]:
    """Return the classes of a union of records by their names, nothing for anything else."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else ()
    return {
        option.__name__: option for option in options if isinstance(option, type) and dataclasses.is_dataclass(option)
    }


def _insist_on_plain(hint: Any) -> None:
    if hint not in _PLAIN:
        raise TypeError(f"the codec has no way to write {hint}")
