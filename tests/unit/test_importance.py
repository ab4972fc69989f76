"""How much each parameter matters: computed, asked for over a process, kept."""

import math
import random
from typing import Any

import pytest

from nni.core import event, model, space
from nni.manager import importance as asking
from nni.testing import story
from nni.tuners import importance

SPACE = {
    "lr": {"_type": "loguniform", "_value": [1e-5, 1e-1]},
    "layers": {"_type": "randint", "_value": [1, 5]},
    "noise": {"_type": "choice", "_value": ["a", "b"]},
    "net": {
        "_type": "choice",
        "_value": [{"_name": "cnn", "k": {"_type": "uniform", "_value": [0, 1]}}, {"_name": "mlp"}],
    },
}


def drawn(count: int) -> list[tuple[dict[str, Any], float]]:
    """Return results in which the learning rate is nearly all that counts, and the layers a little."""
    draw = random.Random(3)
    found = []
    for _ in range(count):
        nets: list[dict[str, Any]] = [{"_name": "cnn", "k": draw.random()}, {"_name": "mlp"}]
        parameters: dict[str, Any] = {
            "lr": 10 ** draw.uniform(-5, -1),
            "layers": draw.randrange(1, 5),
            "noise": draw.choice("ab"),
            "net": draw.choice(nets),
        }
        found.append((parameters, -abs(math.log10(parameters["lr"]) + 3) - 0.2 * parameters["layers"]))
    return found


@pytest.mark.parametrize("maximize", [True, False])
def test_the_parameter_that_decides_has_the_largest_share(maximize: bool) -> None:
    results = [(parameters, value if maximize else -value) for parameters, value in drawn(200)]
    found = importance.shares(space.parse(SPACE), results, maximize=maximize)
    assert list(found)[:2] == ["lr", "layers"]
    assert set(found) == {"lr", "layers", "noise", "net", "net[cnn].k"}
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "results",
    [
        [],
        drawn(importance.LEAST - 1),
        [(parameters, 1.0) for parameters, _ in drawn(20)],
        [({"own": 1}, value) for _, value in drawn(20)],
    ],
    ids=["none", "too few", "all alike", "of another space"],
)
def test_nothing_is_said_where_there_is_nothing_to_say(results: list[tuple[dict[str, Any], float]]) -> None:
    assert importance.shares(space.parse(SPACE), results, maximize=True) == {}


async def test_an_answer_is_kept_until_there_is_more_to_go_by(monkeypatch: pytest.MonkeyPatch) -> None:
    tale = story.Story(search_space=SPACE)
    tale.happens(event.Started())

    def add(count: int) -> None:
        for parameters, value in drawn(count):
            trial = f"t{len(tale.state.trials):04}"
            proposal = event.Proposal(trial=model.TrialId(trial), parameter_id=0, parameters=parameters)
            tale.happens(event.Proposed(asked=0, proposals=(proposal,)))
            tale.creates(trial)
            tale.observes(trial, model.JobPhase.RUNNING)
            tale.reports(trial, final=str(value))
            tale.ends(trial)

    asked = asking.Importance(tale.state)
    assert await asked.ask() == {"importance": {}, "trials": 0}
    add(60)
    first = await asked.ask()
    assert (first["trials"], next(iter(first["importance"]))) == (60, "lr")
    add(2)
    assert await asked.ask() == first
    add(20)
    assert (await asked.ask())["trials"] == 82
