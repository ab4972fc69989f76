"""Which final metrics of another experiment count."""

import pytest

from nni.core import model, ports
from nni.manager import machine


def row(trial: str, value: str, *, attempt: int = 1, who: str = "master-0") -> ports.MetricRow:
    role, index = who.split("-")
    return ports.MetricRow(
        attempt=model.AttemptKey(model.TrialId(trial), attempt),
        replica=model.Replica(role, int(index)),
        metric=model.Metric(number=1, at=0.0, type=model.MetricType.FINAL, sequence=0, value=value),
        received_at=0.0,
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([row("a", "1"), row("b", '{"default": 2}'), row("c", "NaN")], [1.0, 2.0]),
        ([row("a", "1"), row("a", "9", who="worker-0"), row("a", "8", who="master-1")], [1.0]),
        ([row("a", "9", who="worker-0"), row("a", "1"), row("a", "0", who="chief-0")], [0.0]),
        ([row("a", "3", who="worker-0"), row("a", "4", who="worker-1")], [3.0]),
        ([row("a", "1", attempt=2), row("a", "5", attempt=1)], [1.0]),
    ],
)
def test_the_chief_s_word_in_the_last_attempt_counts(rows: list[ports.MetricRow], expected: list[float]) -> None:
    assert machine.final_values(rows) == expected
