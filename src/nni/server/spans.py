"""Which part of a file a request asks for: by our ``offset``, ``limit`` and ``follow``, or by HTTP's ``Range``."""

import dataclasses
import re
from collections.abc import Mapping

_MOST = 1 << 63
"""Bytes: no file is as long."""
_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.ASCII)


class UnsatisfiableError(ValueError):
    """The range that was asked for begins behind the file's end."""


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """A part of a file that is there."""

    offset: int
    """Bytes from the start; it may lie behind the end."""
    length: int | None
    """Bytes, at most; None for all, and whatever comes while the file is followed."""
    is_range: bool = False
    """Whether HTTP's ``Range`` asked for it, so that the answer has to say what it is a part of."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for, of a file that may have any size."""

    offset: int = 0
    """Bytes from the start, or when it is below 0 from the end."""
    limit: int | None = None
    follow: bool = False
    """Whether what is added later is sent, too."""
    range: tuple[int | None, int | None] | None = None
    """First and last byte of HTTP's ``Range``; without a first, the last is how many from the end."""

    @classmethod
    def of(cls, query: Mapping[str, str], headers: Mapping[str, str]) -> "Wish":
        """Return what a request asks for. A ``Range`` that HTTP lets a server pass over is passed over.

        Raises:
            ValueError: A number in the query is none.
        """
        follow = "follow" in query
        # If-Range asks for the whole unless the file is still the same, which nothing here could tell it by.
        given = None if follow or "If-Range" in headers else _RANGE.fullmatch(headers.get("Range", "").strip())
        return cls(
            offset=_number(query, "offset", is_signed=True) or 0,
            limit=_number(query, "limit", is_signed=False),
            follow=follow,
            range=None if given is None else _range(*given.groups()),
        )

    def of_size(self, size: int) -> Span:
        """Return the part of a file that has this many bytes.

        Raises:
            UnsatisfiableError: A range begins behind its end.
        """
        if self.range is not None:
            return _ranged(*self.range, size)
        offset = max(0, size + self.offset) if self.offset < 0 else self.offset
        if self.follow:
            return Span(offset, self.limit)
        left = max(0, size - offset)
        return Span(offset, left if self.limit is None else min(left, self.limit))


def _range(first: str, last: str) -> tuple[int | None, int | None] | None:
    if not first and not last:
        return None
    wanted = (int(first) if first else None, int(last) if last else None)
    is_backwards = wanted[0] is not None and wanted[1] is not None and wanted[1] < wanted[0]
    return None if is_backwards else wanted


def _ranged(first: int | None, last: int | None, size: int) -> Span:
    if first is None:
        first, last = max(0, size - (last or 0)), None
    if first >= size:
        raise UnsatisfiableError(f"The file has {size} bytes.")
    end = size if last is None else min(last + 1, size)
    return Span(first, end - first, is_range=True)


def _number(query: Mapping[str, str], name: str, *, is_signed: bool) -> int | None:
    given = query.get(name)
    if given is None:
        return None
    found = _NUMBER.fullmatch(given)
    number = int(given) if found else _MOST
    if not -_MOST < number < _MOST or (number < 0 and not is_signed):
        raise ValueError(f"{name}={given} is not a number of bytes.")
    return number
