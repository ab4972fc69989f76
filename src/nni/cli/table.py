"""Tables for people, JSON for machines."""

import argparse
from collections.abc import Sequence


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the switch that prints for machines."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def show(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as they need to be."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
