"""Tables of the command line."""

import argparse

import pytest

from nni.cli import table

HEAD = ("no", "trial", "why")


@pytest.mark.parametrize(
    ("rows", "limit", "lines"),
    [
        ([], None, ["no  trial  why"]),
        (
            [("0", "abcde", ""), ("10", "x", "it's done")],
            None,
            ["no  trial  why", "0   abcde", "10  x      it's done"],
        ),
        # Columns are as wide as their widest cell, the head's too.
        ([("100000", "a", "b")], None, ["no      trial  why", "100000  a      b"]),
        # A line ends at the terminal's edge.
        ([("0", "abcde", "a long story")], 16, ["no  trial  why", "0   abcde  a ..."]),
        ([("0", "abcde", "12345")], 16, ["no  trial  why", "0   abcde  12345"]),
        # Whatever a trial wrote, it stays in its line and does nothing to the terminal.
        (
            [("0", "a\nb", "\x1b[31mred\x1b[0m\ttab")],
            None,
            ["no  trial  why", "0   a b     [31mred [0m tab"],
        ),
        ([("0", "é", "größer → 1")], None, ["no  trial  why", "0   é      größer → 1"]),
    ],
)
def test_lines(rows: list[tuple[str, ...]], limit: int | None, lines: list[str]) -> None:
    assert table.lines(HEAD, rows, limit) == lines


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("20", 20)])
def test_counts(text: str, number: int) -> None:
    assert table.count(text) == number


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1.5", "²"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number above 0"):
        table.count(text)
