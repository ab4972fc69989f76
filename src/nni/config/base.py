"""What all configuration classes have in common.

A configuration is a bag of fields that can be set in any order and hold anything: nothing is checked before
``validate()``, ``json()`` or ``freeze()``, except that a field must exist. Names are matched without regard to case and
underscores, so ``gpu_number``, ``gpuNumber`` and ``GPU_Number`` are one field; the name that the user wrote is kept for
messages.
"""

import copy
import dataclasses
import numbers
import os
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from nni import errors
from nni.config import files
from nni.core import nearest, plain

AnyPath = str | os.PathLike[str]
"""Type of the fields that hold a path; relative ones are resolved against the YAML file's directory."""

REQUIRED: Any = None
"""Default of the fields that have none: ``freeze`` says when one is still missing."""

Maker = Callable[[Mapping[str, Any], Path | None], Any]
"""Makes a configuration from a mapping and the directory of its file; gives the mapping back where it cannot."""


@typing.dataclass_transform(kw_only_default=True, field_specifiers=(dataclasses.field,))
class Config:
    """Base of all configuration classes: a subclass lists its fields as a dataclass does."""

    _fields: ClassVar[tuple["dataclasses.Field[Any]", ...]] = ()
    _elsewhere: ClassVar[Mapping[str, str]] = {}
    """Where fields really are that users look for here."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclasses.dataclass(init=False)(cls)
        # Every Config is a dataclass by now; the base itself, which has no fields, is not.
        cls._fields = dataclasses.fields(cls)  # type: ignore[arg-type]

    def __init__(self, **values: Any) -> None:
        """Set fields; all others have their defaults.

        Raises:
            UnknownFieldError: There is no such field; all misspelt names are in the one message.
        """
        self.fill(values, None)
        if self.strange:
            raise errors.UnknownFieldError("\n".join(self.strange.values()))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], directory: Path | None = None) -> Self:
        """Return a configuration from what YAML or JSON holds.

        Unknown names raise nothing here: they are kept, and named with all other mistakes by ``validate``.

        Args:
            values: Fields by name; values that are mappings become configurations themselves.
            directory: Where relative paths start; the current directory when None.
        """
        made = cls.__new__(cls)
        made.fill(values, directory)
        return made

    @classmethod
    def load(cls, path: AnyPath) -> Self:
        """Return a configuration from a YAML file; relative paths in it start at its directory.

        Raises:
            ConfigError: The file cannot be read, or is not YAML with a mapping in it.
        """
        file = Path(path)
        return cls.from_dict(files.read_mapping(file), file.parent.resolve())

    def fill(self, values: Mapping[str, Any], directory: Path | None) -> None:
        """Set all fields, to these values or to their defaults; names that are no fields are kept aside."""
        self._directory = directory
        self._written: dict[str, str] = {}
        self._strange: dict[str, str] = {}
        for field in self._fields:
            object.__setattr__(self, field.name, _default(field))
        for name, value in values.items():
            self._fill_one(str(name), value)

    def _fill_one(self, name: str, value: Any) -> None:
        field = _field(type(self), name)
        if field is None:
            self._strange[name] = no_field(type(self), name)
        elif field.name in self._written:
            self._strange[name] = f"{self._written[field.name]!r} and {name!r} are one field; keep one of the two"
        else:
            self._set(field, name, value)

    def _assign(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        field = _field(type(self), name)
        if field is None:
            raise errors.UnknownFieldError(no_field(type(self), name))
        self._set(field, name, value)

    def _set(self, field: "dataclasses.Field[Any]", name: str, value: Any) -> None:
        self._written[field.name] = name
        object.__setattr__(self, field.name, self._converted(field, value))

    def _look_up(self, name: str) -> Any:
        """Return a field by another spelling of its name; called only for names that are not found as they are."""
        field = None if name.startswith("_") else _field(type(self), name)
        if field is None:
            raise errors.UnknownFieldError(no_field(type(self), name))
        return getattr(self, field.name)

    if not typing.TYPE_CHECKING:  # else no type checker would find a misspelt field any more
        __setattr__ = _assign
        __getattr__ = _look_up

    def _converted(self, field: "dataclasses.Field[Any]", value: Any) -> Any:
        """Return a value as the field holds it: mappings as configurations, where the field has such.

        None means unset, as an empty line in YAML does.
        """
        if value is None:
            return _default(field)
        if isinstance(value, numbers.Real):
            return plain.of(value)  # numpy's numbers are no int or float to Python
        make: Maker | None = field.metadata.get("make")
        if make is None:
            return value
        if isinstance(value, list):
            return [self._converted(field, one) for one in value]
        return make(value, self._directory) if isinstance(value, Mapping) else value

    def canonical_copy(self) -> Self:
        """Return a copy that is complete and checked: paths absolute, defaults that depend on others filled in.

        Raises:
            ConfigError: There are mistakes; all of them are named.
        """
        self.validate()
        return self.completed()

    def validate(self) -> None:
        """Return if there is no mistake.

        Raises:
            ConfigError: There are mistakes; all of them are named.
        """
        # The rules know the classes that derive from this one.
        from nni.config import view  # noqa: PLC0415

        problems: list[errors.Problem] = []
        view.examine(self, problems)
        if problems:
            raise errors.ConfigError(problems)

    def json(self) -> dict[str, Any]:
        """Return the canonical copy as NNI's JSON: camelCase names in the order of declaration, unset fields left out.

        Raises:
            ConfigError: There are mistakes; all of them are named.
        """
        return typing.cast(dict[str, Any], to_json(self.canonical_copy()))

    def completed(self) -> Self:
        """Return the canonical copy of a configuration that has been checked."""
        made = copy.deepcopy(self)
        made.complete()
        return made

    def complete(self) -> None:
        """Complete this (a copy already) and what it holds."""
        for field in self._fields:
            value = getattr(self, field.name)
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, Config):
                    one.complete()
            if value is not None and field.type in (AnyPath, AnyPath | None):
                object.__setattr__(self, field.name, self.resolved(value))

    def resolved(self, path: AnyPath) -> str:
        """Return a path as an absolute one."""
        # Unlike pathlib's, this expanduser leaves the home of an unknown user as it stands.
        return os.fspath(((self._directory or Path()) / os.path.expanduser(path)).resolve())  # noqa: PTH111

    @property
    def written(self) -> Mapping[str, str]:
        """How the user spelt the fields that were set."""
        return self._written

    @property
    def strange(self) -> Mapping[str, str]:
        """The names that were given and are no fields, or the same field again, and what is wrong with each.

        Only ``from_dict`` and ``load`` keep such.
        """
        return self._strange

    def json_fields(self) -> dict[str, Any]:
        """Return the fields that belong into JSON."""
        return {field.name: getattr(self, field.name) for field in self._fields}


def holds(cls: type[Config], make: Maker) -> Mapping[str, Any]:
    """Return the metadata of a field that holds configurations of a class."""
    return {"holds": cls, "make": make}


def no_field(cls: type[Config], name: str) -> str:
    """Return the sentence for a field that does not exist."""
    elsewhere = next((path for field, path in cls._elsewhere.items() if _key(field) == _key(name)), None)
    if elsewhere is not None:
        return f"{cls.__name__} has no field {name!r}; set {elsewhere}"
    is_camel = "_" not in name and name != name.lower()
    names = [camel(field.name) if is_camel else field.name for field in cls._fields]
    return f"{cls.__name__} has no field {name!r}; {nearest.advice(name, names)}"


def camel(name: str) -> str:
    """Return a field's name as JSON and YAML have it."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _field(cls: type[Config], name: str) -> "dataclasses.Field[Any] | None":
    return next((field for field in cls._fields if _key(field.name) == _key(name)), None)


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _key(name: str) -> str:
    return name.replace("_", "").lower()


def to_json(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Config):
        held = {camel(name): to_json(one) for name, one in value.json_fields().items()}
        return {name: one for name, one in held.items() if one is not None}
    return os.fspath(value) if isinstance(value, os.PathLike) else plain.of(value)
