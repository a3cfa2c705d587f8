"""Exposition: families of series, written from rows as Prometheus reads them. Pure.

Two formats: the text format 0.0.4, and OpenMetrics 1.0, which also has units, and an end.

Label values are escaped, and no series is written twice: one bad line would lose the whole scrape.

The text is written directly, family by family, with the labels of each row rendered once per
scrape: collectors of prometheus_client take about twenty times as long for the same bytes, and
10,000 tunnels have nearly a million series. It leaves in pieces: to join all of it would hold the
interpreter, and so the event loop, for as long as that takes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

END = "# EOF\n"
"""Last line of OpenMetrics: a text without it was cut."""

UNITS = ("seconds", "bytes")
"""Units that end the name of a family; what has none counts things."""

_PIECE = 10_000
"""Lines that are joined at once, about a megabyte."""

RowT = TypeVar("RowT")

# The format gives an escape to three characters; the other controls, and the lone surrogates that
# undecodable bytes leave behind, can only be replaced.
_UNSAFE = re.compile('[\\\\"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


def escape(value: str) -> str:
    r"""Write a label value so that it cannot end its quotes or its line; controls become U+FFFD."""
    return _UNSAFE.sub(lambda match: _ESCAPES.get(match[0], "\ufffd"), value)


def labels(**values: str) -> str:
    """Write a label set without its braces."""
    return ",".join([f'{name}="{escape(value)}"' for name, value in values.items()])


@dataclass(frozen=True, slots=True)
class Family(Generic[RowT]):
    """A metric family with one series per row: what it means, and how a value follows from a row.

    The value is None where a row has no such sample.
    """

    name: str
    kind: str
    help: str
    value: Callable[[RowT], float | None]

    def samples(self, rows: Mapping[str, RowT]) -> list[str]:
        """Write the samples of all rows, which are keyed by their labels."""
        value_of = self.value
        if "" in rows:
            return [
                f"{self.name} {value}"
                for row in rows.values()
                if (value := value_of(row)) is not None
            ]
        head = f"{self.name}{{"
        return [
            f"{head}{known}}} {value}"
            for known, row in rows.items()
            if (value := value_of(row)) is not None
        ]


@dataclass(frozen=True, slots=True)
class SplitFamily(Generic[RowT]):
    """A metric family with several series per row, all values of which are read at once."""

    name: str
    kind: str
    help: str
    splits: tuple[str, ...]
    """Further labels of each series."""
    values: Callable[[RowT], Sequence[float | None]]
    """In the order of `splits`."""

    def samples(self, rows: Mapping[str, RowT]) -> list[str]:
        """Write the samples of all rows, which are keyed by their labels."""
        values_of, head = self.values, f"{self.name}{{"
        tails = tuple(f",{split}}} " for split in self.splits)
        return [
            f"{head}{known}{tail}{value}"
            for known, row in rows.items()
            for tail, value in zip(tails, values_of(row), strict=True)
            if value is not None
        ]


def family(kind: str, name: str, text: str, value: Callable[[RowT], float | None]) -> Family[RowT]:
    """Make a family with one series per row."""
    return Family(name, kind, text, value)


def one_hot(
    name: str,
    text: str,
    words: Iterable[str],
    word_of: Callable[[RowT], str | None],
    *,
    label: str = "state",
) -> SplitFamily[RowT]:
    """Make a family with one series per word, 1 for the word that holds; None: none is known."""
    known = tuple(words)
    values: dict[str | None, tuple[int | None, ...]] = {None: (None,) * len(known)}
    values |= {word: tuple(int(word == one) for one in known) for word in known}
    return SplitFamily(
        name,
        "gauge",
        text,
        tuple(labels(**{label: word}) for word in known),
        lambda row: values[word_of(row)],
    )


AnyFamily: TypeAlias = Family[RowT] | SplitFamily[RowT]

Broken: TypeAlias = "Callable[[str, str, Exception], None]"
"""Is told the collector and the family whose samples cannot be written, and why.

The family is empty where a collector fails before it comes to one.
"""


def ignore(_collector: str, _family: str, _error: Exception) -> None:
    """Tell nobody."""


class Exposition:
    """A text that grows collector by collector, each of which writes families.

    `put` takes it piece by piece. A family that is broken costs its own samples only, a collector
    what it had yet to write.
    """

    def __init__(
        self, put: Callable[[str], None], *, openmetrics: bool = False, broken: Broken = ignore
    ) -> None:
        self._put = put
        self._openmetrics = openmetrics
        self._broken = broken
        self._collector = ""

    def collect(self, name: str, work: Callable[[], None]) -> None:
        """Let a collector write; `name` is what it is called where it fails."""
        self._collector = name
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go out
            self._broken(name, "", error)

    def write(self, families: Iterable[AnyFamily[RowT]], rows: Mapping[str, RowT]) -> None:
        """Append each family with its samples for all rows; `rows` are keyed by their labels."""
        for family in families:
            lines = self._description(family)
            try:
                lines += family.samples(rows)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go out
                self._broken(self._collector, family.name, error)
            for start in range(0, len(lines), _PIECE):
                self._put("\n".join((*lines[start : start + _PIECE], "")))

    def _description(self, family: AnyFamily[RowT]) -> list[str]:
        """Write what a family is; that of a counter is called without `_total` in OpenMetrics."""
        bare = family.name.removesuffix("_total") if family.kind == "counter" else family.name
        name = bare if self._openmetrics else family.name
        lines = [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
        unit = bare.rpartition("_")[2]
        if self._openmetrics and unit in UNITS:
            lines.append(f"# UNIT {name} {unit}")
        return lines
