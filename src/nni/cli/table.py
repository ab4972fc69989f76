"""Tables for people, JSON for machines."""

import argparse
import shutil
import sys
from collections.abc import Sequence


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the switch that prints for machines."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def show(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as they need to be; on a terminal, lines longer than it is wide are cut."""
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(head, rows, limit):
        print(line)


def lines(head: Sequence[str], rows: Sequence[Sequence[str]], limit: int | None) -> list[str]:
    """Return the lines of a table.

    Args:
        head: The names of the columns.
        rows: The cells below them. What is not printable in them, such as colours of a terminal, becomes a space.
        limit: How long a line may be; None for any length.
    """
    table = [["".join(one if one.isprintable() else " " for one in cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    made = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    return [line if limit is None or len(line) <= limit else line[: limit - 3] + "..." for line in made]


def count(text: str) -> int:
    """Return how many are asked for.

    Raises:
        ArgumentTypeError: It is not a whole number above 0.
    """
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
