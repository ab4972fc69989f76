"""The script by which simulated pods are played."""

import dataclasses
import fnmatch
import pathlib
import random
from collections.abc import Mapping
from typing import Any

from nni import errors
from nni.sandbox import inputs, schema, selectors, status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Act:
    """How the pods that it is for are played. Times are seconds; of a range each pod takes its own value."""

    name: str = "*"
    """A pattern; of a pod's acts the first counts."""
    labels: str = ""
    """A selector."""
    start: inputs.Range = (0.05, 0.05)
    """From the pod's node to its start."""
    duration: inputs.Range = (1.0, 3.0)
    """From its start to its end."""
    metrics: int = 5
    """Intermediate results, spread over the duration."""
    final: inputs.Range | None = (0.0, 1.0)
    """The final result, which the intermediate ones come closer to; null for no result at the end."""
    failures: float = 0.0
    """Share of the pods that fail, from 0 to 1: at a moment of their own, without a final result."""
    exit_code: int = 1
    """Of those that fail."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What one pod plays."""

    start: float
    duration: float
    """Until its end, be it a failure."""
    metrics: tuple[tuple[float, float], ...]
    """Intermediate results: seconds from the start, and value."""
    final: float | None
    exit_code: int


@dataclasses.dataclass(frozen=True)
class Script:
    """All acts; a pod that none is for plays a plain one."""

    acts: tuple[Act, ...] = ()
    seed: int = 0

    def part(self, pod: schema.Object) -> Part:
        """Give a pod its part: always the same one for its name."""
        metadata = pod["metadata"]
        act = next((act for act in self.acts if _is_for(act, metadata)), Act())
        dice = random.Random(f"{self.seed}/{metadata['namespace']}/{metadata['name']}")  # noqa: S311 - it is a play
        start, duration = dice.uniform(*act.start), dice.uniform(*act.duration)
        final = dice.uniform(*(act.final or (0.0, 1.0)))
        has_failed = dice.random() < act.failures
        end = duration * dice.random() if has_failed else duration
        moments = (duration * (index + 1) / (act.metrics + 1) for index in range(act.metrics))
        metrics = tuple(
            (moment, final * (1 - 0.5 ** (index + 1))) for index, moment in enumerate(moments) if moment <= end
        )  # fmt: skip
        is_silent = has_failed or act.final is None
        return Part(start, end, metrics, None if is_silent else final, act.exit_code if has_failed else 0)


def load(path: pathlib.Path) -> Script:
    """Read a file, YAML or JSON: ``{"seed": 0, "pods": [...]}``, or the list alone.

    Raises:
        ConfigError: with each mistake of the file.
    """
    return inputs.load(path, read)


def read(content: Any) -> Script:
    """Read ``{"seed": 0, "pods": [...]}``, or the list alone.

    Raises:
        ConfigError: with each mistake.
    """
    given = content if isinstance(content, Mapping) else {"pods": content}
    problems = [errors.Problem(name, "is neither pods nor seed.") for name in given if name not in ("pods", "seed")]
    seed, acts = given.get("seed", 0), []
    if not isinstance(seed, int):
        problems.append(errors.Problem("seed", f"{seed!r} is not a whole number."))
    listed = given.get("pods")
    for index, entry in enumerate(listed if isinstance(listed, list) else [listed]):
        if not isinstance(entry, Mapping):
            problems.append(errors.Problem(f"pods[{index}]", "is not an object, as in {duration: [1, 3]}."))
            continue
        values, mistakes = inputs.read(f"pods[{index}]", Act, entry, _judge)
        problems += mistakes
        if not mistakes:
            acts.append(Act(**values))
    if problems:
        raise errors.ConfigError(problems)
    return Script(tuple(acts), seed)


def _is_for(act: Act, metadata: schema.Object) -> bool:
    return fnmatch.fnmatchcase(metadata["name"], act.name) and selectors.labels(act.labels)(metadata.get("labels", {}))


def _judge(name: str, given: Any) -> str:
    if name == "failures" and given > 1:
        return f"{given} is not a share from 0 to 1."
    if name == "exit_code" and not 1 <= given <= 255:
        return f"{given} is not an exit code of a failure, from 1 to 255."
    if name == "labels":
        try:
            selectors.labels(given)
        except status.Refusal as refusal:
            return f"{given} is not a label selector: {refusal}."
    return ""
