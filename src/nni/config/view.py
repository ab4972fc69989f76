"""Looks at a configuration, and says where in it a mistake is, as the user wrote it."""

import os
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from nni import errors
from nni.config import base
from nni.core import plain

_WORDS: Mapping[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    os.PathLike[str]: "a path",
    types.NoneType: "nothing",
}


class View:
    """One configuration object under examination.

    Making it reports fields that do not exist and values of the wrong type; rules then read fields through it and get
    None for what was reported already.
    """

    def __init__(
        self,
        config: base.Config,
        path: str,
        problems: list[errors.Problem],
        *,
        is_camel: bool = False,
        is_begun: bool = False,
    ) -> None:
        """Examine the types of a configuration.

        Args:
            config: What is examined.
            path: Where it is in the whole; empty for the whole itself.
            problems: Takes what is found.
            is_camel: Whether what it stands in is written in camelCase.
            is_begun: Whether the experiment has begun before, and packed its trials' code then.
        """
        self.config = config
        self._is_camel = is_camel_case(config.written, or_else=is_camel)
        self.is_begun = is_begun
        self.path = path
        self.problems = problems
        self._bad: set[str] = set()
        self._children: dict[str, View] = {}
        for name, sentence in config.strange.items():
            self.problems.append(errors.Problem(join(path, name), sentence))
        for field in config._fields:
            message = _type_mistake(getattr(config, field.name), field.metadata.get("holds") or field.type)
            if message is not None:
                self._bad.add(field.name)
                self.wrong(field.name, message)

    def at(self, name: str) -> str:
        """Return the path of a field, spelt as the user spelt it."""
        written = self.config.written
        if name in written:
            return join(self.path, written[name])
        return join(self.path, base.camel(name) if self._is_camel else name)

    def wrong(self, name: str, message: str) -> None:
        """Report what is wrong with a field."""
        self.problems.append(errors.Problem(self.at(name), message))

    def report(self, path: str, message: str) -> None:
        """Report what is wrong at a path that is not a field's."""
        self.problems.append(errors.Problem(path, message))

    def has_bad(self, *names: str) -> bool:
        """Whether one of these fields was reported as of the wrong type."""
        return not self._bad.isdisjoint(names)

    def mark_bad(self, name: str) -> None:
        """Let no later rule read a field that was reported."""
        self._bad.add(name)

    def get(self, name: str) -> Any:
        """Return a field's value; None when it is unset or was reported."""
        return None if name in self._bad else getattr(self.config, name)

    def needed(self, name: str, how: str) -> Any:
        """Return a field's value; when it is unset, say how to set it, and return None."""
        value = self.get(name)
        if value is None and name not in self._bad:
            self.wrong(name, f"is not set; {how}")
        return value

    def checked(self, name: str, is_right: Callable[[Any], object], rule: str) -> Any:
        """Return a field's value; None, after saying the rule, when it breaks it."""
        value = self.get(name)
        if value is None or is_right(value):
            return value
        self.wrong(name, f"{plain.shown(value)} {rule}")
        return None

    def parsed(self, name: str, parse: Callable[[Any], Any]) -> Any:
        """Return a field's value after parsing; None when unset, or after reporting what the parser says."""
        value = self.get(name)
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            self.wrong(name, str(error))
            return None

    def refused(self, name: str, message: str) -> None:
        """Report a field that is set to anything but nothing, false or zero."""
        if self.get(name):
            self.wrong(name, message)

    def directory(self, name: str, *, may_be_gone: bool = False) -> str | None:
        """Return a field's path as an absolute one; None when it is unset, or after reporting that it is not there."""
        value = self.get(name)
        if value is None:
            return None
        path = self.config.resolved(value)
        if may_be_gone or os.path.isdir(path):  # noqa: PTH112 one call, no object
            return path
        self.wrong(name, f"{os.fspath(value)!r} is not a directory of this machine (looked for {path})")
        return None

    def child(self, name: str) -> "View | None":
        """Return the view of a configuration in a field; None when there is none."""
        value = self.get(name)
        if not isinstance(value, base.Config):
            return None
        if name not in self._children:
            self._children[name] = View(
                value, self.at(name), self.problems, is_camel=self._is_camel, is_begun=self.is_begun
            )
        return self._children[name]


def examine(config: base.Config, problems: list[errors.Problem]) -> None:
    """Report unknown fields and values of the wrong type in a configuration and in all that it holds."""
    _examine(View(config, "", problems))


def _examine(view: View) -> None:
    for field in view.config._fields:
        if (child := view.child(field.name)) is not None:
            _examine(child)


def is_camel_case(written: Mapping[str, str], *, or_else: bool) -> bool:
    """Whether a user spells fields in camelCase, by the names of two words; what the surroundings say without any."""
    spelt = [name for field, name in written.items() if "_" in field]
    return any("_" not in name for name in spelt) if spelt else or_else


def join(path: str, name: str) -> str:
    """Return the path of a field of what has this path."""
    return f"{path}.{name}" if path else name


def _type_mistake(value: Any, hint: Any) -> str | None:
    """Return what is wrong with a value's type; None when nothing is. An unset value has no type."""
    hints = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None or any(_fits(value, one) for one in hints):
        return None
    # A whole number is a number too.
    words = [_word(one) for one in hints if one is not types.NoneType and not (one is int and float in hints)]
    return f"{plain.shown(value)} is not {' or '.join(words)}"


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return isinstance(value, list) and all(_fits(one, item) for one in value)
    # True is an int to Python, and a mistake to everybody else.
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, typing.get_origin(hint) or hint)


def _word(hint: Any) -> str:
    if typing.get_origin(hint) is list:
        return f"a list of {_word(typing.get_args(hint)[0]).removeprefix('a ')}s"
    if typing.get_origin(hint) is dict:
        return "a mapping"
    article = "an" if hint.__name__[0] in "AEIOU" else "a"
    return _WORDS.get(hint) or f"{article} {hint.__name__}, or a mapping with its fields"
