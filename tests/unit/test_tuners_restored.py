"""A tuner that is made anew, after a restart or for another search space, is as good as the one before it."""

import random
import statistics
from collections.abc import Mapping
from typing import Any

import pytest

from nni.core import model, space, spec
from nni.testing import tuner as scripted
from nni.tuners import algorithm, registry

SPHERE = {name: {"_type": "uniform", "_value": [-5, 5]} for name in "abc"}
BEFORE, AFTER, RUNNING = 60, 20, 4
LEARNING: Mapping[str, Mapping[str, Any]] = {
    "Auto": {},
    "GP": {"optimize_mode": "minimize"},
    "TPE": {},
    "Anneal": {},
    "Evolution": {"optimize_mode": "minimize", "population_size": 8},
    "CMA-ES": {},
    "NSGA-II": {"population_size": 8},
    "PBT": {"optimize_mode": "minimize", "all_checkpoint_dir": "/p", "population_size": 5},
}


def make(name: str, seed: int, search_space: Mapping[str, Any] = SPHERE) -> algorithm.Algorithm:
    chosen = spec.AlgorithmSpec(name=name, class_args={**LEARNING.get(name, {}), "seed": seed})
    tuner, arguments = registry.arguments_of(chosen)
    made: algorithm.Algorithm = tuner.make(space.parse(search_space), arguments)
    return made


def sphere(parameters: model.Parameters) -> float:
    return float(sum((parameters[name] - 2) ** 2 for name in SPHERE))


class Story:
    """A tuner at work with several trials at once."""

    def __init__(self, name: str, seed: int) -> None:
        self._name, self._seed = name, seed
        self.tuner = make(name, seed)
        self.told: list[model.Outcome] = []
        self.running: dict[int, model.Parameters] = {}
        self._asked = 0

    def go_on(self, count: int) -> float:
        """Let so many more trials end, and return their median loss."""
        losses: list[float] = []
        while len(losses) < count:
            while len(self.running) < RUNNING:
                self.running[self._asked] = self.tuner.suggest(self._asked)
                self._asked += 1
            number = min(self.running)
            parameters = self.running.pop(number)
            losses.append(sphere(parameters))
            self.told.append(scripted.outcome(number, parameters, losses[-1]))
            self.tuner.learn(self.told[-1])
        return statistics.median(losses)

    def restarted(self) -> "Story":
        """Return the same story with a tuner made anew, as the tuner process makes it."""
        again = Story(self._name, self._seed)
        again.told, again.running, again._asked = [*self.told], {**self.running}, self._asked
        if isinstance(again.tuner, algorithm.Reminded):
            for number, parameters in again.running.items():
                again.tuner.remind(number, parameters)
        for outcome in again.told:
            again.tuner.learn(outcome)
        return again


@pytest.mark.parametrize("name", LEARNING)
def test_a_tuner_that_was_restored_is_as_good_as_one_that_went_on(name: str) -> None:
    went_on, restored, at_random = [], [], []
    for seed in range(3):
        story = Story(name, seed)
        story.go_on(BEFORE)
        restored.append(story.restarted().go_on(AFTER))
        went_on.append(story.go_on(AFTER))
        at_random.append(Story("Random", seed).go_on(AFTER))
    by_chance = statistics.median(at_random)
    # Where hardly anything is left to gain, it is chance how much less.
    assert statistics.median(restored) < 2 * statistics.median(went_on) + by_chance / 50
    assert statistics.median(restored) < by_chance / 2


@pytest.mark.parametrize("name", [name for name in LEARNING if name != "PBT"])
def test_what_is_imported_while_a_tuner_works_is_learnt_from(name: str) -> None:
    with_it, without = [], []
    for seed in range(3):
        story, other = Story(name, seed), Story(name, seed)
        story.go_on(20)
        other.go_on(20)
        chance = random.Random(seed)
        for number in range(30):
            known = {name: chance.gauss(2, 0.3) for name in SPHERE}
            story.tuner.learn(scripted.outcome(-1 - number, known, sphere(known)))
        with_it.append(story.go_on(AFTER))
        without.append(other.go_on(AFTER))
    assert statistics.median(with_it) < statistics.median(without)


@pytest.mark.parametrize("is_running", [True, False])
@pytest.mark.parametrize("name", [name for name in LEARNING if name != "PBT"] + ["Random", "QMC"])
def test_with_a_seed_another_space_begins_with_other_suggestions(name: str, is_running: bool) -> None:
    tuner = make(name, 1)
    first = [tuner.suggest(number) for number in range(5)]
    # The points of before are not quite in it, so that they are new.
    wider = {**SPHERE, "a": {"_type": "uniform", "_value": [-5, 5.000001]}}

    def suggestions() -> list[model.Parameters]:
        again = make(name, 1, wider)
        for number, parameters in enumerate(first):
            if is_running and isinstance(again, algorithm.Reminded):
                again.remind(number, parameters)
            else:
                again.learn(scripted.outcome(number, parameters, None))
        return [again.suggest(5 + number) for number in range(5)]

    second = suggestions()
    assert not [one for one in second if any(one == pytest.approx(other, abs=1e-4) for other in first)]
    assert suggestions() == second
