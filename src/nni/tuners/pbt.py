"""Population-based training: members train on, the weak ones from a strong one's checkpoint with changed parameters.

M. Jaderberg and others, Population Based Training of Neural Networks, 2017; asynchronous, as there. Each step of a
member is a trial: it loads what the parameter ``load_checkpoint_dir`` names (nothing is there at first) and saves to
``save_checkpoint_dir``, as with NNI's PBT. These two name member and step, so that the population comes to life again
after a restart from the trials that there were.
"""

import dataclasses
import math
import random
from collections.abc import Mapping
from typing import Any

from nni import errors
from nni.core import model
from nni.core.dimension import Space
from nni.tuners import algorithm, points, random_search

_LOAD, _SAVE = "load_checkpoint_dir", "save_checkpoint_dir"


@dataclasses.dataclass(slots=True)
class _Member:
    number: int
    parameters: model.Parameters
    steps: int = 0
    """How many it has made or begun."""
    judged: int = -1
    """The step that its loss is of; -1 before the first one."""
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
        self._members: dict[int, _Member] = {}
        self._running: dict[int, _Member] = {}

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``. When more trials run at once than there are members, more members come."""
        ready = [member for member in self._members.values() if member.is_ready]
        if len(self._members) < self._settings.population or not ready:
            member = self._born(parameter_id)
        else:
            member = min(ready, key=lambda one: (one.steps, one.number))
            self._learn_from_better(member)
            if points.locate(self._space, member.parameters) is None:
                # It began in a search space that was another one then.
                member.parameters = self._explored({})
        parameters = {**member.parameters, _LOAD: member.saved, _SAVE: self._saved(member, member.steps)}
        self._runs(parameter_id, member)
        return parameters

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        if (whose := self._whose(parameters)) is not None:
            member, step = whose
            self._took(member, step, parameters)
            self._runs(parameter_id, member)
            if step == 0 and isinstance(self._fresh, algorithm.Reminded):
                self._fresh.remind(parameter_id, member.parameters)

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``; of before a restart the last step of each member counts."""
        if (whose := self._whose(outcome.parameters)) is None:
            return
        member, step = whose
        is_its_last = self._running.pop(outcome.parameter_id, None) is member or step >= member.steps
        is_good = outcome.succeeded and outcome.value is not None and math.isfinite(outcome.value)
        if step > member.judged:
            member.judged = step
            member.loss = self._sign * (outcome.value or 0.0) if is_good else math.inf
        if is_its_last:
            self._took(member, step, outcome.parameters)
            # What a step that failed has saved, if anything, is not to be gone on from.
            member.saved = outcome.parameters[_SAVE if is_good else _LOAD]
            member.is_ready = True
        if step == 0:
            self._fresh.learn(dataclasses.replace(outcome, parameters=_own(outcome.parameters)))

    def _born(self, parameter_id: int) -> _Member:
        """Return a new member; in a space with few points it may have the parameters of another."""
        try:
            parameters = self._fresh.suggest(parameter_id)
        except errors.NoMoreTrialError:
            parameters = self._explored({})
        number = max(self._members, default=-1) + 1
        member = _Member(number, parameters, saved=f"{self._settings.directory}/{number}/none")
        self._members[number] = member
        return member

    def _runs(self, parameter_id: int, member: _Member) -> None:
        self._running[parameter_id] = member
        member.is_ready = False

    def _took(self, member: _Member, step: int, parameters: model.Parameters) -> None:
        """Note a step of a member with the parameters that it had."""
        member.steps = step + 1
        member.parameters = _own(parameters)

    def _saved(self, member: _Member, step: int) -> str:
        return f"{self._settings.directory}/{member.number}/{step}"

    def _whose(self, parameters: model.Parameters) -> tuple[_Member, int] | None:
        """Return the member, which may be one from before a restart, and the step that parameters were given for."""
        saved, loaded = parameters.get(_SAVE), parameters.get(_LOAD)
        if not isinstance(saved, str) or not isinstance(loaded, str):
            return None
        parent, _, step = saved.rpartition("/")
        directory, _, number = parent.rpartition("/")
        if directory != self._settings.directory or not (number.isdecimal() and step.isdecimal()):
            return None
        return self._members.setdefault(int(number), _Member(int(number), {}, saved=loaded)), int(step)

    def _learn_from_better(self, member: _Member) -> None:
        """Exploit and explore, when a member is among the weakest."""
        ranked = sorted((one for one in self._members.values() if one.judged >= 0), key=lambda one: one.loss)
        few = max(1, math.ceil(self._settings.fraction * len(ranked)))
        strong = [one for one in ranked[:few] if one.loss < math.inf]
        is_weak = any(one is member for one in ranked[-few:]) and ranked[-1].loss > ranked[0].loss
        if not strong or not (is_weak or member.loss == math.inf) or any(one is member for one in strong):
            return
        source = self._chance.choice(strong)
        # A strong member that trains on has named where it will save; what it has saved is of the step that was judged.
        member.saved = self._saved(source, source.judged)
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


def _own(parameters: model.Parameters) -> model.Parameters:
    """Return parameters without the directories."""
    return {name: one for name, one in parameters.items() if name not in (_LOAD, _SAVE)}


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
