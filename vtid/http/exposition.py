"""Exposition: families of series, written from rows as Prometheus reads them. Pure.

Two formats: the text format 0.0.4, and OpenMetrics 1.0, which also has units, and an end.

Label values are escaped, and no series is written twice: one bad line would lose the whole scrape.

The text is written directly, family by family, with the labels of each row rendered once per
scrape: collectors of prometheus_client take about twenty times as long for the same bytes, and
10,000 tunnels have a quarter of a million series.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

END = "# EOF\n"
"""Last line of OpenMetrics: a text without it was cut."""

UNITS = ("seconds", "bytes")
"""Units that end the name of a family; what has none counts things."""

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
    return ",".join(f'{name}="{escape(value)}"' for name, value in values.items())


@dataclass(frozen=True, slots=True)
class Family(Generic[RowT]):
    """A metric family: what it means, and how each of its series follows from a row.

    `series` pairs further labels with a value; None where a row has no such sample.
    """

    name: str
    kind: str
    help: str
    series: tuple[tuple[str, Callable[[RowT], float | None]], ...]


def family(kind: str, name: str, text: str, value: Callable[[RowT], float | None]) -> Family[RowT]:
    """Make a family with one series per row."""
    return Family(name, kind, text, (("", value),))


def one_hot(
    name: str, text: str, words: Iterable[str], word_of: Callable[[RowT], str]
) -> Family[RowT]:
    """Make a family with one series per word, 1 for the word that holds."""

    def holds(word: str) -> Callable[[RowT], float]:
        return lambda row: int(word_of(row) == word)

    return Family(name, "gauge", text, tuple((labels(state=word), holds(word)) for word in words))


Broken: TypeAlias = "Callable[[str, str, Exception], None]"
"""Is told the collector and the family whose samples cannot be written, and why.

The family is empty where a collector fails before it comes to one.
"""


def ignore(_collector: str, _family: str, _error: Exception) -> None:
    """Tell nobody."""


class Exposition:
    """A text that grows collector by collector, each of which writes families.

    A family that is broken costs its own samples only, a collector what it had yet to write.
    """

    def __init__(self, *, openmetrics: bool = False, broken: Broken = ignore) -> None:
        self._openmetrics = openmetrics
        self._broken = broken
        self._collector = ""
        self._lines: list[str] = []

    def collect(self, name: str, work: Callable[[], None]) -> None:
        """Let a collector write; `name` is what it is called where it fails."""
        self._collector = name
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go out
            self._broken(name, "", error)

    def write(self, families: Iterable[Family[RowT]], rows: Mapping[str, RowT]) -> None:
        """Append each family with its samples for all rows; `rows` are keyed by their labels."""
        for family in families:
            self._describe(family)
            try:
                for extra, value_of in family.series:
                    self._lines.extend(_samples(family.name, extra, value_of, rows))
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go out
                self._broken(self._collector, family.name, error)

    def text(self) -> str:
        """Return what was written, without the end that OpenMetrics has."""
        return "\n".join((*self._lines, ""))

    def _describe(self, family: Family[RowT]) -> None:
        """Write what a family is; that of a counter is called without `_total` in OpenMetrics."""
        bare = family.name.removesuffix("_total") if family.kind == "counter" else family.name
        name = bare if self._openmetrics else family.name
        self._lines.append(f"# HELP {name} {family.help}")
        self._lines.append(f"# TYPE {name} {family.kind}")
        unit = bare.rpartition("_")[2]
        if self._openmetrics and unit in UNITS:
            self._lines.append(f"# UNIT {name} {unit}")


def _samples(
    name: str, extra: str, value_of: Callable[[RowT], float | None], rows: Mapping[str, RowT]
) -> list[str]:
    if "" in rows:
        return [f"{name} {value}" for row in rows.values() if (value := value_of(row)) is not None]
    head, tail = f"{name}{{", f",{extra}}}" if extra else "}"
    return [
        f"{head}{known}{tail} {value}"
        for known, row in rows.items()
        if (value := value_of(row)) is not None
    ]
