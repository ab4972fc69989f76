"""Names that NNI's users import from ``nni.utils``, with NNI's behaviour. Nothing else goes here."""

import copy
import enum
import pathlib
from typing import Any, Callable, Iterator, List, Mapping, Optional, Tuple, TypeVar

from nni import parameter_expressions

Base = TypeVar("Base")


class OptimizeMode(enum.Enum):
    """Whether a tuner looks for the smallest or the largest value."""

    Minimize = "minimize"
    Maximize = "maximize"


class NodeType:
    """Keys of search spaces and of nested parameters."""

    ROOT = "root"
    TYPE = "_type"
    VALUE = "_value"
    INDEX = "_index"
    NAME = "_name"


class MetricType:
    """Kinds of messages from a trial."""

    FINAL = "FINAL"
    PERIODICAL = "PERIODICAL"
    REQUEST_PARAMETER = "REQUEST_PARAMETER"


def extract_scalar_reward(value: Any, scalar_key: str = "default") -> float:
    """Return the number that a metric is judged by: itself, or a dict's ``default``.

    Raises:
        RuntimeError: There is no number.
    """
    number = value.get(scalar_key) if isinstance(value, dict) else value
    if not isinstance(number, (float, int)):
        raise RuntimeError(  # noqa: TRY004 - NNI's
            f"A metric must be a number, or a dict whose {scalar_key!r} is one, to be judged by, but it is {value!r}."
        )
    return number


def extract_scalar_history(trial_history: List[Any], scalar_key: str = "default") -> List[float]:
    """Return the numbers that a trial's metrics are judged by, in order."""
    return [extract_scalar_reward(value, scalar_key) for value in trial_history]


def split_index(params: Any) -> Any:
    """Return nested parameters without the indexes of their choices."""
    if not isinstance(params, dict):
        return params
    if NodeType.INDEX in params:
        return split_index(params[NodeType.VALUE])
    return {name: split_index(value) for name, value in params.items()}


def json2space(x: Any, oldy: Any = None, name: str = NodeType.ROOT) -> List[str]:
    """Return the names of a search space's dimensions, those below a choice before the choice itself.

    Args:
        x: The search space: ``{"lr": {"_type": "uniform", "_value": [0, 1]}}`` gives ``["root[lr]-uniform"]``.
        oldy: Parameters as ``json2parameter`` makes them; of each choice only what is below the chosen option counts.
        name: What the names begin with.

    Raises:
        RuntimeError: An option that is a mapping has no ``_name``.
    """
    below: List[str] = []
    if not isinstance(x, dict) or NodeType.TYPE not in x:
        for key, inner in _members(x):
            below += json2space(inner, oldy[key] if oldy else None, "%s[%s]" % (name, key))
        return below
    name = "%s-%s" % (name, x[NodeType.TYPE])
    if x[NodeType.TYPE] == "choice" and oldy is None:
        below = json2space(x[NodeType.VALUE], None, name)
    elif x[NodeType.TYPE] == "choice":
        index = oldy[NodeType.INDEX]
        below = json2space(x[NodeType.VALUE][index], oldy[NodeType.VALUE], "%s[%d]" % (name, index))
    return [*below, name]


def json2parameter(  # noqa: PLR0917 - NNI's
    x: Any,
    is_rand: Mapping[str, bool],
    random_state: Any,
    oldy: Any = None,
    Rand: bool = False,  # noqa: N803 - NNI's
    name: str = NodeType.ROOT,
) -> Any:
    """Return parameters of a search space, choices with the index of the option: ``{"_index": 0, "_value": 16}``.

    Args:
        x: The search space.
        is_rand: Whether to draw anew, by the names that ``json2space`` gives.
        random_state: A ``numpy.random.RandomState``.
        oldy: Parameters from which is taken what is not drawn.
        Rand: Whether to draw everything.
        name: What the names begin with.

    Raises:
        RuntimeError: An option that is a mapping has no ``_name``.
    """
    if not isinstance(x, (dict, list)):
        return copy.deepcopy(x)
    if isinstance(x, list) or NodeType.TYPE not in x:
        made = {
            key: json2parameter(inner, is_rand, random_state, oldy[key] if oldy else None, Rand, "%s[%s]" % (name, key))
            for key, inner in _members(x)
        }
        return made if isinstance(x, dict) else list(made.values())
    kind, value = x[NodeType.TYPE], x[NodeType.VALUE]
    name = "%s-%s" % (name, kind)
    if not Rand and not is_rand[name]:
        return copy.deepcopy(oldy)
    if kind != "choice":
        return getattr(parameter_expressions, kind)(*value, random_state)
    index = random_state.randint(len(value))
    below = json2parameter(value[index], is_rand, random_state, None, True, "%s[%d]" % (name, index))
    return {NodeType.INDEX: index, NodeType.VALUE: below}


def _members(x: Any) -> Iterator[Tuple[Any, Any]]:
    """Yield what a part of a search space consists of, by name or by place."""
    if isinstance(x, dict):
        yield from x.items()
    elif isinstance(x, list):
        for place, option in enumerate(x):
            if isinstance(option, dict) and NodeType.NAME not in option:
                raise RuntimeError("The option %r of a choice has no %r." % (option, NodeType.NAME))
            yield place, option


def convert_dict2tuple(value: Any) -> Any:
    """Return nested dicts as sorted tuples of pairs, which can be hashed."""
    if not isinstance(value, dict):
        return value
    return tuple(sorted((name, convert_dict2tuple(inner)) for name, inner in value.items()))


def merge_parameter(base_params: Base, override_params: Optional[Mapping[str, Any]]) -> Base:
    """Put a trial's parameters over defaults, in place, and return the defaults' object.

    Args:
        base_params: A dict, or a namespace such as argparse makes.
        override_params: What ``get_next_parameter()`` returned; None changes nothing.

    Raises:
        ValueError: There is no default of a parameter's name, or it is of another type. A whole number may stand for
            a float, and anything for None.
    """
    # A namespace is changed through the dict of its attributes, unless it has slots or properties.
    read, write = _access(base_params)
    for name, value in (override_params or {}).items():
        write(name, _fitting(name, read(name), value))
    return base_params


def _access(base: Any) -> "tuple[Callable[[str], Any], Callable[[str, Any], None]]":
    def get(name: str) -> Any:
        if isinstance(base, dict) and name in base:
            return base[name]
        if not isinstance(base, dict) and hasattr(base, name):
            return getattr(base, name)
        raise ValueError(f"The parameter {name!r} has no default to be put over: add one, or rename it.")

    def put(name: str, value: Any) -> None:
        if isinstance(base, dict):
            base[name] = value
        else:
            setattr(base, name, value)

    return get, put


def _fitting(name: str, base: Any, value: Any) -> Any:
    if base is None or isinstance(value, type(base)):
        return value
    if isinstance(base, float) and isinstance(value, int):
        return float(value)
    raise ValueError(
        f"The parameter {name!r} is {value!r} ({type(value).__name__}), but its default is a value of type "
        f"{type(base).__name__}."
    )


class _Check:
    """One requirement of an argument, as the package ``schema`` takes it: it has ``validate``."""

    def __init__(self, holds: Callable[[Any], bool], message: str) -> None:
        self._holds = holds
        self._message = message

    def validate(self, data: Any, **_: Any) -> Any:
        """Return the argument.

        Raises:
            ValueError: It does not fit.
        """
        if not self._holds(data):
            raise ValueError(self._message)
        return data


class ClassArgsValidator:
    """Checks the ``class_args`` of a custom tuner or assessor before the experiment starts. To be subclassed."""

    def validate_class_args(self, **kwargs: Any) -> None:
        """Raise an error unless the arguments fit."""

    def choices(self, key: str, *args: Any) -> _Check:
        """Return the requirement that an argument is one of some values."""
        return _Check(lambda data: data in args, f"{key} should be one of {args!r}")

    def range(self, key: str, keyType: type, start: Any, end: Any) -> _Check:  # noqa: N803
        """Return the requirement that an argument has a type and lies from start to end, both included."""
        return _Check(
            lambda data: isinstance(data, keyType) and start <= data <= end,
            f"{key} should be of type {keyType.__name__} and from {start} to {end}",
        )

    def path(self, key: str) -> _Check:
        """Return the requirement that an argument is the path of something that exists."""
        return _Check(
            lambda data: isinstance(data, str) and pathlib.Path(data).exists(), f"{key} should be an existing path"
        )
