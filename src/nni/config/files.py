"""Reads configuration files: YAML and JSON."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni import errors


def read_mapping(file: Path) -> Mapping[str, Any]:
    """Return what a YAML file holds.

    Raises:
        ConfigError: It cannot be read, or does not hold a mapping.
    """
    value = _parse_yaml(_read(file), file)
    if not isinstance(value, dict):
        raise _wrong(file, "does not hold a mapping; it should begin with a line such as 'trialConcurrency: 2'")
    return value


def read_search_space(file: Path) -> Any:
    """Return what a JSON or YAML file holds; each is tried.

    Raises:
        ConfigError: It cannot be read, or is neither.
    """
    text = _read(file)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _parse_yaml(text, file)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise _wrong(file, f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise _wrong(file, f"is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _parse_yaml(text: str, file: Path) -> Any:
    import yaml  # noqa: PLC0415 15 ms that only those who read files should pay

    class Loader(yaml.SafeLoader):
        """YAML 1.1 as PyYAML reads it, with two traps closed."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            """Refuse a key that is there twice; PyYAML would take the last one without a word."""
            names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise yaml.constructor.ConstructorError(None, None, f"{twice!r} is there twice", node.start_mark)
            return dict(super().construct_mapping(node, deep))

    # YAML 1.1 takes 1e-4 for text, and a learning rate is written so.
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$", re.ASCII), list("-+0123456789")
    )
    try:
        value = yaml.load(text, Loader)  # noqa: S506 the loader is a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _wrong(file, f"cannot be understood{place}: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:  # YAML lets errors of Python's types through, as for 2026-13-01
        raise _wrong(file, f"cannot be understood: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise _wrong(file, "is nested too deeply to be read") from error
    try:
        json.dumps(value, default=str, skipkeys=True)
    except ValueError as error:
        # Whoever read it later would never come to an end.
        raise _wrong(file, "has an alias (*name) inside of what it stands for (&name)") from error
    return value


def _wrong(file: Path, message: str) -> errors.ConfigError:
    return errors.ConfigError([errors.Problem(str(file), message)])
