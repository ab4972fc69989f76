"""Population-based training: members train on, the weak ones from a strong one's checkpoint with changed parameters.

M. Jaderberg and others, Population Based Training of Neural Networks, 2017; asynchronous, as there. Each step of a
member is a trial: it loads what the parameter ``load_checkpoint_dir`` names (nothing is there at first) and saves to
``save_checkpoint_dir``, as with NNI's PBT.
"""

import dataclasses
import math
import random
from collections.abc import Mapping
from typing import Any

from nni.core import model
from nni.core.dimension import Space
from nni.tuners import algorithm, points, random_search

_LOAD, _SAVE = "load_checkpoint_dir", "save_checkpoint_dir"


@dataclasses.dataclass(slots=True)
class _Member:
    number: int
    parameters: model.Parameters
    steps: int = 0
    loss: float = math.inf
    is_ready: bool = False
    saved: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """NNI's arguments."""

    directory: str
    population: int
    factor: float
    resample: float
    fraction: float


class Pbt:
    """See ``algorithm.Algorithm``."""

    def __init__(
        self, space: Space, fresh: algorithm.Algorithm, settings: Settings, *, maximize: bool, seed: int | None
    ) -> None:
        """Take the space, where first parameters come from, and how the population lives."""
        self._space, self._fresh, self._settings = space, fresh, settings
        self._sign = -1.0 if maximize else 1.0
        self._chance = random.Random(seed)  # noqa: S311 nothing here is secret
        self._members: list[_Member] = []
        self._running: dict[int, _Member] = {}

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``. When more trials run at once than there are members, more members come."""
        ready = [member for member in self._members if member.is_ready]
        if len(self._members) < self._settings.population or not ready:
            member = _Member(len(self._members), self._fresh.suggest(parameter_id))
            self._members.append(member)
        else:
            member = min(ready, key=lambda one: (one.steps, one.number))
            self._learn_from_better(member)
        member.is_ready = False
        self._running[parameter_id] = member
        saved = f"{self._settings.directory}/{member.number}/{member.steps}"
        load, member.saved = member.saved or f"{self._settings.directory}/{member.number}/none", saved
        return {**member.parameters, _LOAD: load, _SAVE: saved}

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``. After a restart the population begins anew."""
        member = self._running.pop(outcome.parameter_id, None)
        if member is None:
            return
        is_good = outcome.succeeded and outcome.value is not None and math.isfinite(outcome.value)
        member.loss = self._sign * (outcome.value or 0.0) if is_good else math.inf
        member.is_ready, member.steps = True, member.steps + 1

    def _learn_from_better(self, member: _Member) -> None:
        """Exploit and explore, when a member is among the weakest."""
        ranked = sorted((one for one in self._members if one.steps), key=lambda one: one.loss)
        few = max(1, math.ceil(self._settings.fraction * len(ranked)))
        strong = [one for one in ranked[:few] if one.loss < math.inf]
        is_weak = any(one is member for one in ranked[-few:]) and ranked[-1].loss > ranked[0].loss
        if not strong or not (is_weak or member.loss == math.inf) or any(one is member for one in strong):
            return
        source = self._chance.choice(strong)
        # A strong member that trains on has named where it will save; what it has saved is one step back.
        member.saved = f"{self._settings.directory}/{source.number}/{source.steps - 1}"
        member.parameters = self._explored(source.parameters)

    def _explored(self, parameters: model.Parameters) -> model.Parameters:
        located = points.locate(self._space, parameters) or {}

        def take(key: str, domain: points.Domain) -> points.Number:
            if key not in located or self._chance.random() < self._settings.resample:
                return points.at_share(domain, self._chance.random())
            number = located[key][1]
            sign = self._chance.choice((-1, 1))
            match domain:
                case points.Categories(size):
                    return min(max(round(number) + sign, 0), size - 1)
                case points.Integers(low, high):
                    step = max(1, round(abs(number) * self._settings.factor))
                    return min(max(round(number) + sign * step, low), high)
                case points.Reals(low, high):
                    return min(max(number * (1 + sign * self._settings.factor), low), high)

        return points.draw(self._space, take)


def make(space: Space, arguments: Mapping[str, Any]) -> Pbt:
    """Make the tuner that is called PBT."""
    settings = Settings(
        directory=arguments["all_checkpoint_dir"].rstrip("/"),
        population=arguments["population_size"],
        factor=arguments["factor"],
        resample=arguments["resample_probability"],
        fraction=arguments["fraction"],
    )
    fresh = random_search.make(space, arguments)
    maximize = arguments["optimize_mode"] == "maximize"
    return Pbt(space, fresh, settings, maximize=maximize, seed=arguments["seed"])
