"""The push, with an intake that is a function: what is sent, when, and what is made of the answers."""

import threading
import time
from collections.abc import Callable

import pytest

from nni.runtime import push
from nni.wire import intake, report


def line(number: int, value: str = "1") -> bytes:
    return report.Metric(number, 1.0, 0, "k2f9z", "PERIODICAL", 0, value).encode()


EXIT = report.ReplicaExit(0, 0, (), False, 1.0)


class Desk:
    """An intake that is asked directly; ``answers`` go first, then it keeps to the contract."""

    def __init__(self, *answers: tuple[int, bytes] | OSError) -> None:
        self.batches: list[list[int]] = []
        self.exits: list[report.ReplicaExit] = []
        self.known = 0
        self.said: list[str] = []
        self.journal: list[tuple[int, bytes]] = []
        self.ended = threading.Event()
        self._answers = list(answers)
        self._changed = threading.Condition()

    def send(self, body: bytes, seconds: float) -> tuple[int, bytes]:
        assert seconds > 0
        batch = intake.decode(body)
        with self._changed:
            self.batches.append([metric.number for metric in batch.metrics])
            self._changed.notify_all()
            if self._answers:
                answer = self._answers.pop(0)
                if isinstance(answer, OSError):
                    raise answer
                return answer
            if batch.exit is not None:
                self.exits.append(batch.exit)
            if batch.metrics and batch.metrics[0].number <= self.known + 1:
                self.known = max(self.known, batch.metrics[-1].number)
            return 200, intake.encode_answer(self.known)

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, 10), self.batches

    def push(self, heartbeat: float = 60) -> push.Push:
        return push.Push(
            self.send,
            lines_after=lambda number: [one for one in self.journal if one[0] > number],
            tell=self.said.append,
            ended=self.ended.set,
            heartbeat=heartbeat,
        )


def finish(pushing: push.Push, seconds: float = 10) -> None:
    pushing.finish(EXIT.encode(), seconds)
    pushing.join(20)
    assert not pushing.is_alive()


def test_a_sign_of_life_comes_first_and_again_in_silence() -> None:
    desk = Desk()
    pushing = desk.push(heartbeat=0.01)

    pushing.start()
    desk.wait_for(lambda: len(desk.batches) >= 4)
    finish(pushing)

    assert set(map(tuple, desk.batches)) == {()}
    assert (desk.exits, pushing.is_complete, desk.ended.is_set()) == ([EXIT], True, True)


def test_a_metric_goes_at_once_and_what_comes_meanwhile_goes_together() -> None:
    desk = Desk()
    gate = threading.Event()
    send = desk.send

    def slow(body: bytes, seconds: float) -> tuple[int, bytes]:
        answer = send(body, seconds)
        assert gate.wait(10)
        return answer

    desk.send = slow  # type: ignore[method-assign]
    pushing = desk.push()
    pushing.offer(1, line(1))
    pushing.start()
    desk.wait_for(lambda: desk.batches == [[1]])
    for number in (2, 3, 4):
        pushing.offer(number, line(number))
    gate.set()
    desk.wait_for(lambda: desk.batches == [[1], [2, 3, 4]])
    finish(pushing)


@pytest.mark.parametrize(
    "answer", [(500, b""), (502, b"<html>"), (429, b"slowly"), (200, b"<html>"), OSError("reset"), TimeoutError()]
)
def test_what_failed_is_sent_again(answer: tuple[int, bytes] | OSError) -> None:
    desk = Desk((200, b'{"acknowledged": 0}'), answer)
    pushing = desk.push()

    pushing.start()
    desk.wait_for(lambda: len(desk.batches) == 1)
    pushing.offer(1, line(1))
    desk.wait_for(lambda: desk.batches == [[], [1], [1]])
    finish(pushing)

    assert desk.known == 1
    assert pushing.is_complete
    assert "metrics stand in the journal" in desk.said[1]
    assert desk.said[2].startswith("the intake answers again, after 0 s")


@pytest.mark.parametrize("status", [401, 404])
def test_what_the_intake_refuses_is_not_insisted_on(status: int) -> None:
    desk = Desk((status, b"no"), (status, b"no"))
    pushing = desk.push()

    pushing.start()
    desk.wait_for(lambda: len(desk.batches) == 1)
    pushing.offer(1, line(1))
    finish(pushing)

    assert desk.batches == [[], [1]]
    assert not pushing.is_complete
    assert desk.said[0].startswith(f"the intake answers {status} no: ")


def test_batches_stay_below_the_limit() -> None:
    desk = Desk()
    pushing = desk.push()
    for number in range(1, 9):
        pushing.offer(number, line(number, '"' + "x" * 999_000 + '"'))

    pushing.finish(EXIT.encode(), 10)
    pushing.start()
    pushing.join(20)

    assert desk.batches == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert pushing.is_complete


def test_a_proxy_that_allows_less_gets_smaller_batches() -> None:
    desk = Desk((413, b""), (413, b""), (413, b""))
    pushing = desk.push()
    for number in range(1, 4):
        pushing.offer(number, line(number, '"' + "x" * 300_000 + '"'))

    pushing.finish(EXIT.encode(), 10)
    pushing.start()
    pushing.join(20)

    assert desk.batches == [[1, 2, 3], [1, 2, 3], [1, 2], [1], [2], [3]]
    assert pushing.is_complete


def test_an_intake_that_knows_less_than_before_is_told_again() -> None:
    desk = Desk()
    pushing = desk.push()
    desk.journal = [(number, line(number)) for number in range(1, 5)]
    for number, content in desk.journal[:3]:
        pushing.offer(number, content)

    pushing.start()
    desk.wait_for(lambda: desk.known == 3)
    desk.known = 1
    pushing.offer(*desk.journal[3])
    finish(pushing)

    assert desk.batches[:3] == [[1, 2, 3], [4], [2, 3, 4]]
    assert desk.known == 4
    assert "the intake asks for metrics from 2 on once more" in desk.said


def test_metrics_that_nobody_has_any_more_do_not_make_it_spin() -> None:
    desk = Desk()
    pushing = desk.push()
    for number in range(1, 4):
        pushing.offer(number, line(number))

    pushing.start()
    desk.wait_for(lambda: desk.known == 3)
    desk.known = 0
    pushing.offer(4, line(4))
    finish(pushing, seconds=1)

    assert 2 < len(desk.batches) < 12
    assert not pushing.is_complete


def test_the_end_does_not_wait_for_ever() -> None:
    desk = Desk(*[OSError("away")] * 1000)
    pushing = desk.push()
    began = time.monotonic()

    pushing.start()
    finish(pushing, seconds=0.3)

    assert time.monotonic() - began < 2
    assert not pushing.is_complete
