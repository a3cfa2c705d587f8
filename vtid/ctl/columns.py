"""Columns: rows of a table that is as wide as the terminal. Pure.

Rules of this file:

* Columns that do not fit are left out, those with the highest rank first; those of rank 0 stay.
* Cells are escaped here; a cell has one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from vtid.printable import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vtid.ctl.terminal import Span

ANY = 1 << 20
"""Columns where all are welcome."""


class Column(NamedTuple):
    """One column of a table."""

    title: str
    rank: int
    text: Callable[[Any, float], str]
    """From what a row is about, and the time, to the cell."""
    colour: Callable[[Any], str] = lambda _: ""
    """From the same to the colour of the cell."""


def grid(
    columns: Sequence[Column], items: Sequence[Any], now: float, width: int
) -> Iterator[tuple[Span, ...]]:
    """Yield the titles, and then the row of each item; `width` is in columns, 0 for any."""
    cells = [[escape(column.text(one, now)) for column in columns] for one in items]
    widths = [
        max([len(column.title), *(len(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    shown = _fitting(columns, widths, width)
    plain = [""] * len(columns)
    yield _row([column.title for column in columns], plain, widths, shown)
    for one, row in zip(items, cells, strict=True):
        yield _row(row, [column.colour(one) for column in columns], widths, shown)


def _fitting(columns: Sequence[Column], widths: list[int], width: int) -> list[int]:
    """Return the numbers of the columns that fit, in their order."""
    shown: list[int] = []
    room = width or ANY
    for index in sorted(range(len(columns)), key=lambda index: columns[index].rank):
        needs = widths[index] + (2 if shown else 0)
        if columns[index].rank == 0 or needs <= room:
            shown.append(index)
            room -= needs
    return sorted(shown)


def _row(
    row: Sequence[str], colours: Sequence[str], widths: list[int], shown: list[int]
) -> tuple[Span, ...]:
    spans = []
    for index in shown:
        gap = "  " if index != shown[-1] else ""
        width = widths[index] if gap else 0
        spans.append((f"{row[index]:<{width}}{gap}", colours[index]))
    while len(spans) > 1 and not spans[-1][0]:
        del spans[-1]
        spans[-1] = (spans[-1][0].rstrip(), spans[-1][1])
    return tuple(spans)
