"""Lines with markers in a stream that comes in any pieces."""

import pytest

from nni.runtime import stream

LINE = b"NNISDK_MEb'{}'"


def feed(*chunks: bytes) -> tuple[list[bytes], list[str]]:
    found: list[bytes] = []
    said: list[str] = []
    lines = stream.MarkerLines(found.append, said.append)
    for chunk in chunks:
        lines.feed(chunk)
    return found, said


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_lines_are_found_whatever_the_pieces_are(size: int) -> None:
    content = b"loss 1\n" + LINE + b"\nepoch 2 " + LINE + LINE + b" NNISDK\n\n" + LINE + b"\n"
    chunks = [content[start : start + size] for start in range(0, len(content), size)]

    found, said = feed(*chunks)

    assert [line[line.index(LINE) :] for line in found] == [LINE, LINE + LINE + b" NNISDK", LINE]
    assert said == []


def test_other_text_is_not_kept() -> None:
    lines = stream.MarkerLines(lambda line: None, lambda sentence: None)

    for _ in range(100):
        lines.feed(b"x" * 100_000)

    assert len(lines._line) < 20


def test_a_metric_without_end_is_passed_over_to_the_next_line() -> None:
    found, said = feed(LINE[:-3], *[b"x" * 1_000_000] * 5, b"\n" + LINE + b"\n")

    assert found == [LINE]
    assert said == ["a line with a metric is longer than 4000000 bytes and is passed over"]
