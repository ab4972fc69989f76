"""Journal lines, exits and the intake's bodies: what both sides write and read."""

import json
import math
from typing import Any

import pytest

from nni import errors
from nni.wire import intake, layout, parameter, report

METRIC = report.Metric(1, 1795441642.03, 0, "k2f9z", "PERIODICAL", 0, '{"default": NaN, "it\'s": "a\\nb"}')
LINE = (
    b'{"n": 1, "time": 1795441642.03, "parameter_id": 0, "trial_job_id": "k2f9z", "type": "PERIODICAL", '
    b'"sequence": 0, "value": "{\\"default\\": NaN, \\"it\'s\\": \\"a\\\\nb\\"}"}'
)
EXIT = report.ReplicaExit(1, 12, ("it's", "done"), False, 5.0)


def test_a_metric_is_a_line_of_the_journal_and_comes_back() -> None:
    assert METRIC.encode() == LINE
    assert report.decode_metric(json.loads(LINE)) == METRIC


def test_an_exit_comes_back() -> None:
    assert EXIT.encode() == b'{"code": 1, "metrics": 12, "lines": ["it\'s", "done"], "stopped": false, "time": 5.0}'
    assert report.parse_exit(EXIT.encode()) == EXIT


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("n", 0),
        ("n", True),
        ("n", "1"),
        ("n", 2**63),
        ("time", None),
        ("time", math.inf),
        ("parameter_id", 1.5),
        ("parameter_id", False),
        ("trial_job_id", None),
        ("type", "REQUEST_PARAMETER"),
        ("sequence", -1),
        ("value", 0.5),
        ("value", "{"),
    ],
)
def test_a_wrong_field_of_a_metric_is_refused(field: str, wrong: Any) -> None:
    with pytest.raises(errors.WireError, match=field):
        report.decode_metric({**json.loads(LINE), field: wrong})


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("code", -1), ("code", None), ("metrics", "1"), ("lines", "text"), ("lines", [1]), ("stopped", 0), ("time", "")],
)
def test_a_wrong_field_of_an_exit_is_refused(field: str, wrong: Any) -> None:
    with pytest.raises(errors.WireError, match=field):
        report.decode_exit({**json.loads(EXIT.encode()), field: wrong})


def lines(*numbers: int) -> bytes:
    return b"".join(METRIC._replace(number=number).encode() + b"\n" for number in numbers)


@pytest.mark.parametrize(
    ("content", "numbers", "consumed", "broken"),
    [
        (b"", [], 0, 0),
        (lines(1, 2), [1, 2], 2 * len(LINE) + 2, 0),
        (lines(1) + LINE, [1], len(LINE) + 1, 0),
        (LINE[:-1], [], 0, 0),
        (lines(1) + b"\0\xff\n" + lines(3), [1, 3], 2 * len(LINE) + 5, 1),
    ],
)
def test_a_growing_journal_is_read_to_its_last_complete_line(
    content: bytes, numbers: list[int], consumed: int, broken: int
) -> None:
    found = report.parse_journal(content)

    assert [metric.number for metric in found.metrics] == numbers
    assert (found.consumed, found.broken) == (consumed, broken)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("", ()),
        ("\n\n", ()),
        ("one\ntwo\n", ("one", "two")),
        ("5%\r50%\r100%\nsaved\r\n", ("100%", "saved")),
        ("\n".join(map(str, range(30))), tuple(map(str, range(10, 30)))),
        ("x" * 10000, ("x" * 4096,)),
        # What only a terminal understands: colours, a title, a link, a bell.
        ("\x1b[1;31mred\x1b[0m and\ttab\x07\n", ("red and\ttab",)),
        ("\x1b]0;title\x07one\n\x1b]8;;http://x\x1b\\two\x1b]8;;\x1b\\\n", ("one", "two")),
        ("naïve ✓\x9b\n", ("naïve ✓",)),
    ],
)
def test_the_last_lines_of_an_output(text: str, last: tuple[str, ...]) -> None:
    assert report.last_lines(text) == last


def test_a_batch_comes_back() -> None:
    second = METRIC._replace(number=2)

    assert intake.decode(intake.encode([])) == ((), None)
    assert intake.decode(intake.encode([METRIC.encode(), second.encode()])) == ((METRIC, second), None)
    assert intake.decode(intake.encode([METRIC.encode()], EXIT.encode())) == ((METRIC,), EXIT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"metrics": {}}',
        b'{"metrics": [1]}',
        b'{"metrics": [], "exit": 1}',
        b"[" * 100_000,
        intake.encode([METRIC.encode(), METRIC.encode()]),
        intake.encode([METRIC.encode(), METRIC._replace(number=3).encode()]),
    ],
)
def test_a_body_that_breaks_the_contract_is_refused(body: bytes) -> None:
    with pytest.raises(errors.WireError):
        intake.decode(body)


def test_answers_come_back() -> None:
    assert intake.encode_answer(7) == b'{"acknowledged": 7}'
    assert intake.decode_answer(b'{"acknowledged": 7}') == 7


@pytest.mark.parametrize("body", [b"", b"<html>", b"7", b"{}", b'{"acknowledged": true}', b'{"acknowledged": -1}'])
def test_answers_of_others_are_refused(body: bytes) -> None:
    with pytest.raises(errors.WireError):
        intake.decode_answer(body)


def test_the_path_of_a_replica() -> None:
    assert intake.path("exp1", "k2f9z", 2, "worker", 1) == "/api/v1/intake/exp1/k2f9z/2/worker/1"
    assert layout.replica("exp1", "k2f9z", 2, "worker", 1) == "nni/exp1/k2f9z/2/worker-1"


def test_the_parameter_file_is_nnis() -> None:
    content = parameter.encode(0, {"x": 0.25, "net": {"_name": "b", "k": 2}})

    assert content == (
        b'{"parameter_id": 0, "parameter_source": "algorithm", '
        b'"parameters": {"x": 0.25, "net": {"_name": "b", "k": 2}}, "parameter_index": 0}'
    )
    assert parameter.decode(content) == (0, {"x": 0.25, "net": {"_name": "b", "k": 2}})


@pytest.mark.parametrize("content", [b"", b"[]", b'{"parameter_id": 0}'])
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(errors.WireError):
        parameter.decode(content)
