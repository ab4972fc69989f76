"""What a stock nni 3.0 sends in a trial, captured on the wire, is understood by our marker lines."""

import json
from pathlib import Path

import pytest

from nni.wire import channel, marker

CAPTURE = Path(__file__).parent / "data" / "trial_keeper_http_capture.txt"


def messages() -> list[str]:
    """The lines of trial output that the stock client posted."""
    bodies = (json.loads(line.split(" ", 3)[3]) for line in CAPTURE.read_text().splitlines())
    return [body["msg"] for body in bodies if body.get("tag") == "trial"]


EXPECTED = [
    marker.Found(channel.Report("PERIODICAL", "0.5"), "tRiaL"),
    marker.Found(channel.Report("PERIODICAL", '{"default": 0.7, "loss": NaN}'), "tRiaL"),
    marker.Found(channel.Report("FINAL", "Infinity"), "tRiaL"),
]


def test_the_lines_of_a_stock_client_are_metrics() -> None:
    found = [metric for message in messages() for metric in marker.find(message.encode())]

    # The capture holds two runs.
    assert found == EXPECTED * 2


def test_all_of_them_in_one_line_are_metrics_too() -> None:
    line = "".join(messages()[:3]).encode()

    assert list(marker.find(b"loss: 1.0 " + line + b" and more")) == EXPECTED


def test_ours_are_byte_for_byte_those_of_a_stock_client() -> None:
    numbers = [0, 1, 0]
    lines = [
        marker.encode(found.report, trial="tRiaL", parameter_id=0, sequence=number)
        for found, number in zip(EXPECTED, numbers, strict=True)
    ]

    assert lines == messages()[:3]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('NNISDK_MEb\'{"type": "FINAL", "value": "{\\"it\'s\\": 1}"}\'', '{"it\'s": 1}'),
        ('NNISDK_MEb\'{"type": "FINAL", "value": "\\"NNISDK_MEb\'\\""}\'', '"NNISDK_MEb\'"'),
        ('NNISDK_MEb\'{"type": "FINAL", "value": 0.5}\'', "0.5"),
        ('NNISDK_MEb\'{"type": "FINAL", "value": NaN}', "NaN"),
    ],
)
def test_metrics_that_the_stock_manager_stumbled_over(line: str, value: str) -> None:
    assert list(marker.find(line.encode())) == [marker.Found(channel.Report("FINAL", value), None)]


@pytest.mark.parametrize(
    "line",
    [
        b"NNISDK_MEb'",
        b"NNISDK_MEb'nonsense'",
        b"NNISDK_MEb'[]'",
        b'NNISDK_MEb\'{"type": "OTHER", "value": "1"}\'',
        b'NNISDK_MEb\'{"type": "FINAL"}\'',
        b"NNISDK_MEb'\xff\xfe",
        b"NNISDK_MEb'" + b"[" * 100_000,
    ],
)
def test_what_is_broken_is_named_and_hides_nothing(line: bytes) -> None:
    first, second = marker.find(line + b' NNISDK_MEb\'{"type": "FINAL", "value": "1"}\'')

    assert isinstance(first, marker.Broken)
    assert second == marker.Found(channel.Report("FINAL", "1"), None)


def test_requests_and_other_lines_are_nothing() -> None:
    request = b'NNISDK_MEb\'{"type": "REQUEST_PARAMETER", "parameter_index": 0}\''

    assert list(marker.find(request)) == []
    assert list(marker.find(b"epoch 1, loss 0.5")) == []
