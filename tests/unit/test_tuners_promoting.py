"""ASHA and Hyperband: trials that go on with larger budgets."""

import functools
import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from nni.core import model, space, spec
from nni.tuners import desk, registry

UNIT = {"x": {"_type": "uniform", "_value": [0, 1]}}
FEW = {"x": {"_type": "choice", "_value": [0, 1, 2, 3, 4]}}
HYPERBAND: dict[str, Any] = {"R": 9, "eta": 3, "seed": 1}
ASHA: dict[str, Any] = {"min_budget": 1, "max_budget": 9, "eta": 3, "seed": 1}

Loss = Callable[[Mapping[str, Any]], float | None]


def by_x(parameters: Mapping[str, Any]) -> float:
    return float(parameters["x"])


class Play:
    """An experiment by hand: asks, runs, ends, and gives the tuner a new process."""

    def __init__(self, name: str, search_space: Mapping[str, Any] = UNIT, **arguments: Any) -> None:
        chosen = spec.AlgorithmSpec(name=name, class_args={"optimize_mode": "minimize", **arguments})
        entry, complete = registry.arguments_of(chosen)
        self._make: Callable[[], desk.Desk] = lambda: desk.Desk(
            lambda text: entry.make(space.parse(text), complete), search_space
        )
        self.desk = self._make()
        self.said: list[model.Suggestion] = []
        self.trials: dict[int, model.TrialId] = {}
        """Whose each suggestion is."""
        self.ended: dict[int, model.Outcome] = {}

    def asks(self, count: int = 1, new: int | None = None) -> list[model.Suggestion]:
        first = len(self.said)
        answers = self.desk.ask(range(first, first + count), new)
        for number, answer in enumerate(answers, first):
            self.said.append(answer)
            self.trials[number] = answer.promotes or model.TrialId(f"t{number}")
        return answers

    def ends(self, number: int, loss: Loss = by_x) -> None:
        parameters = self.said[number].parameters
        value = loss(parameters)
        outcome = model.Outcome(
            parameter_id=number,
            parameters=parameters,
            value=value,
            metric=None if value is None else str(value),
            succeeded=value is not None,
            trial=self.trials[number],
        )
        self.ended[number] = outcome
        self.desk.tell([outcome])

    def goes_on(self, count: int, loss: Loss = by_x, pending: int = 1) -> list[tuple[int, float]]:
        """Run so many suggestions and return the budget and x of each."""
        begun = len(self.said)
        for _ in range(count):
            assert len(self.asks()) == 1
            if len(self.said) >= pending:
                self.ends(len(self.said) - pending, loss)
        return self.places(begun)

    def places(self, begin: int = 0) -> list[tuple[int, float]]:
        return [(one.parameters["TRIAL_BUDGET"], one.parameters["x"]) for one in self.said[begin:]]

    def starts_again(self) -> None:
        """Give the tuner a new process, which learns what an experiment knows, as it says it."""
        self.desk = self._make()
        running = set(range(len(self.said))) - set(self.ended)
        self.desk.remind((number, self.said[number].parameters) for number in sorted(running))
        latest = {self.trials[number]: number for number in range(len(self.said))}
        told = sorted(self.ended, key=lambda number: number in latest.values())
        self.desk.tell(self.ended[number] for number in told)


@pytest.fixture(params=["ASHA", "Hyperband"])
def play(request: pytest.FixtureRequest) -> functools.partial[Play]:
    return functools.partial(Play, request.param, **(ASHA if request.param == "ASHA" else HYPERBAND))


def test_a_promotion_names_the_trial_that_had_these_parameters(play: Callable[[], Play]) -> None:
    story = play()
    story.goes_on(60, pending=4)
    promotions = [(number, one) for number, one in enumerate(story.said) if one.promotes is not None]
    assert len(promotions) > 8
    for number, one in promotions:
        before = [story.said[earlier].parameters for earlier in range(number) if story.trials[earlier] == one.promotes]
        assert {its["x"] for its in before} == {one.parameters["x"]}
        assert max(its["TRIAL_BUDGET"] for its in before) < one.parameters["TRIAL_BUDGET"]


def test_asha_promotes_the_best_third_and_never_waits() -> None:
    said = Play("ASHA", **ASHA).goes_on(120, pending=4)
    by_budget = {budget: [x for its, x in said if its == budget] for budget in (1, 3, 9)}
    assert 60 < len(by_budget[1]) < 100
    assert 20 < len(by_budget[3]) < 40
    assert 5 < len(by_budget[9]) < 15
    for smaller, larger in ((1, 3), (3, 9)):
        assert set(by_budget[larger]) <= set(by_budget[smaller])
        assert len(set(by_budget[larger])) == len(by_budget[larger])
        assert statistics.median(by_budget[larger]) < statistics.median(by_budget[smaller])


def test_what_failed_is_never_promoted(play: Callable[[], Play]) -> None:
    story = play()
    story.goes_on(40, lambda at: None if at["x"] < 0.5 else at["x"], pending=3)
    promoted = [one.parameters["x"] for one in story.said if one.promotes is not None]
    assert promoted
    assert min(promoted) >= 0.5


def test_results_of_another_experiment_count_and_begin_again_as_new_trials() -> None:
    story = Play("ASHA", **ASHA)
    for number in range(3):
        parameters = {"x": number / 10, "TRIAL_BUDGET": 1}
        imported = model.Outcome(
            parameter_id=-1 - number,
            parameters=parameters,
            value=number / 10,
            metric="",
            succeeded=True,
            trial=model.TrialId(f"import-{number}"),
        )
        story.desk.tell([imported])
    assert story.asks() == [model.Suggestion(parameters={"x": 0.0, "TRIAL_BUDGET": 3})]


def test_hyperband_has_the_brackets_of_the_paper() -> None:
    said = Play("Hyperband", **HYPERBAND).goes_on(22)
    # s = 2: 9 trials with 1, 3 with 3, 1 with 9; s = 1: 5 with 3, 1 with 9; s = 0: 3 with 9.
    assert [budget for budget, _ in said] == [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] + [9] * 3
    first = sorted(x for _, x in said[:9])
    assert sorted(x for _, x in said[9:12]) == first[:3]
    assert said[12][1] == first[0]


def test_hyperband_begins_the_next_bracket_rather_than_wait() -> None:
    story = Play("Hyperband", **HYPERBAND)
    story.asks(17)
    assert Counter(budget for budget, _ in story.places()) == {1: 9, 3: 5, 9: 3}


def test_hyperband_goes_on_when_all_of_a_rung_failed() -> None:
    said = Play("Hyperband", **HYPERBAND).goes_on(12, lambda at: None if at["TRIAL_BUDGET"] == 1 else at["x"])
    assert [budget for budget, _ in said] == [1] * 9 + [3] * 3


@pytest.mark.parametrize(
    ("name", "arguments", "count", "budgets"),
    [
        # Two of six had three times as much; with three of those one would have had nine times.
        ("ASHA", ASHA, 6, [3, 3]),
        ("ASHA", ASHA, 9, [3, 3, 3, 9]),
        ("Hyperband", HYPERBAND, 6, [3, 3, 9]),
        ("Hyperband", HYPERBAND, 2, [3, 9]),
    ],
)
def test_when_no_trial_may_be_new_the_good_ones_still_go_on(
    name: str, arguments: Mapping[str, Any], count: int, budgets: list[int]
) -> None:
    story = Play(name, **arguments)
    while sum(one.promotes is None for one in story.said) < count:
        story.goes_on(1)
    promoted = [budget for budget, _ in story.places() if budget > 1]
    while answers := story.asks(2, new=0):
        promoted += [answer.parameters["TRIAL_BUDGET"] for answer in answers]
        assert all(answer.promotes is not None for answer in answers)
        for number in range(len(story.said) - len(answers), len(story.said)):
            story.ends(number)
    assert sorted(promoted) == budgets
    assert story.asks(1, new=1)[0].promotes is None


def test_hyperband_halves_a_bracket_that_was_closed_early_as_sharply_as_a_full_one() -> None:
    story = Play("Hyperband", R=60, eta=3, seed=1)
    story.asks(9)
    for number in range(9):
        story.ends(number)
    assert [answer.parameters["TRIAL_BUDGET"] for answer in story.asks(9, new=0)] == [6, 6, 6]


def test_a_result_of_another_experiment_is_in_nobodys_way() -> None:
    story = Play("ASHA", **ASHA)
    best = model.Outcome(
        parameter_id=-1,
        parameters={"x": -1.0, "TRIAL_BUDGET": 1},
        value=-1.0,
        metric="",
        succeeded=True,
        trial=model.TrialId("import-1"),
    )
    story.asks(5)
    for number in range(5):
        story.ends(number)
    story.desk.tell([best])
    # Two of six may go on: the import, which would be a new trial, and one that is here.
    assert [answer.promotes is None for answer in story.asks(2, new=0)] == [False]
    assert story.asks(1)[0] == model.Suggestion(parameters={"x": -1.0, "TRIAL_BUDGET": 3})


def test_a_trial_that_was_stopped_early_does_not_go_on(play: Callable[[], Play]) -> None:
    story = play()
    answers = story.asks(9)
    for number, answer in enumerate(answers):
        is_best = answer.parameters["x"] == min(one.parameters["x"] for one in answers)
        ended = model.Outcome(
            parameter_id=number,
            parameters=answer.parameters,
            value=answer.parameters["x"],
            metric="1",
            succeeded=True,
            trial=story.trials[number],
            is_whole=not is_best,
        )
        story.desk.tell([ended])
    promoted = [answer.parameters["x"] for answer in story.asks(3, new=0)]
    assert len(promoted) == 3
    assert promoted == sorted(answer.parameters["x"] for answer in answers)[1:4]


def test_another_search_space_gives_no_budget_twice(play: Callable[[], Play]) -> None:
    story = play()
    story.goes_on(30, pending=6)
    story.desk.update({"x": {"_type": "uniform", "_value": [0, 2]}})
    story.goes_on(30, pending=6)
    given = [(story.trials[number], its.parameters["TRIAL_BUDGET"]) for number, its in enumerate(story.said)]
    assert len(set(given)) == len(given)


@pytest.mark.parametrize(("name", "arguments"), [("ASHA", ASHA), ("Hyperband", HYPERBAND)])
def test_a_small_space_is_used_up_and_its_good_trials_go_on(name: str, arguments: Mapping[str, Any]) -> None:
    story = Play(name, FEW, **arguments)
    while answers := story.asks(2):
        for number in range(len(story.said) - len(answers), len(story.said)):
            story.ends(number)
    assert sorted(x for budget, x in story.places() if budget == 1) == [0, 1, 2, 3, 4]
    assert (3, 0) in story.places()


@pytest.mark.parametrize("count", range(1, 45))
@pytest.mark.parametrize(("name", "arguments"), [("ASHA", ASHA), ("Hyperband", HYPERBAND)])
def test_after_a_restart_it_goes_on_as_if_there_had_been_none(
    name: str, arguments: Mapping[str, Any], count: int
) -> None:
    """New parameters are other ones; which trial is promoted, and to what, is not."""
    through, again = Play(name, **arguments), Play(name, **arguments)
    through.goes_on(count, pending=3)
    again.goes_on(count, pending=3)
    again.starts_again()
    # Worse than all before, so that what is new changes no ranking of what was.
    seen = {x for _, x in through.places()}

    def later(at: Mapping[str, Any]) -> float:
        return by_x(at) if at["x"] in seen else 2.0

    for story in (through, again):
        story.goes_on(30, later, pending=3)
    assert [budget for budget, _ in again.places()] == [budget for budget, _ in through.places()]
    promoted = [
        [(one.promotes, one.parameters) for one in story.said[count:] if one.parameters["x"] in seen]
        for story in (through, again)
    ]
    assert promoted[0] == promoted[1]


def test_nothing_new_is_what_was_there_before_a_restart(play: Callable[[], Play]) -> None:
    story = play()
    for _ in range(3):
        story.goes_on(30, pending=2)
        story.starts_again()
    new = [one.parameters["x"] for one in story.said if one.promotes is None]
    assert len(set(new)) == len(new)
