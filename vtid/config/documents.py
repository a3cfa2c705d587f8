"""Several TOML texts as one document, and where in them each of its keys stands. Pure.

Rules of this file:

* `[[tunnel]]` and `[[bird]]` of all texts are one array each, in the order of the texts. Any other
  table stands in one of them: two say which counts only by an order that nobody sees.
* Paths are those of the one document; a `Place` has the path within its own text.
* Lines are looked for only where there is something to tell.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vtid.config.toml_lines import line_of, locate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.config.toml_lines import Path

_ARRAYS = ("tunnel", "bird")


@dataclass(frozen=True, slots=True)
class Source:
    """One text of a configuration."""

    text: str
    file: str = ""
    """The file it is from, for messages; empty for a text that is the only one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, or should stand."""

    source: int
    """Number of the text, counted from 0."""
    path: Path
    """Within that text."""
    file: str
    line: int | None
    """Counted from 1; None where nothing of the path is in the text."""

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line) if part)


class Joined:
    """The one document of several texts, which `values` has."""

    def __init__(self, parts: Iterable[tuple[Source, dict[str, Any]]]) -> None:
        """Join texts, each with what it was parsed to."""
        self._sources: list[Source] = []
        self._lines: dict[int, dict[Path, int]] = {}
        """Of the texts that there was something to tell of."""
        self._owner: dict[str, int] = {}
        self._starts: dict[str, list[int]] = {key: [] for key in _ARRAYS}
        """For each text, how many elements of an array stand in texts before it."""
        self.values: dict[str, Any] = {}
        self.clashes: list[tuple[Place, str]] = []
        """What cannot be joined, where, and the way out."""
        for source, document in parts:
            self._sources.append(source)
            self._add(len(self._sources) - 1, document)

    def _add(self, number: int, document: dict[str, Any]) -> None:
        for key in _ARRAYS:
            there = self.values.setdefault(key, [])
            self._starts[key].append(len(there))
            found = document.get(key, [])
            if isinstance(found, list):
                there += found
            else:
                wrong = f"has to be an array of tables: write [[{key}]]"
                self.clashes.append((self._at(number, (key,)), wrong))
        for key in (key for key in document if key not in _ARRAYS):
            first = self._owner.setdefault(key, number)
            if first == number:
                self.values[key] = document[key]
            else:
                there = self._at(first, (key,))
                wrong = f"is already in {there}: write all of it in one of the two files"
                self.clashes.append((self._at(number, (key,)), wrong))

    def place(self, path: Path) -> Place:
        """Return where a path of the document stands."""
        key, *rest = path
        if key in _ARRAYS and rest and isinstance(rest[0], int):
            starts = self._starts[str(key)]
            number = bisect_right(starts, rest[0]) - 1
            return self._at(number, (key, rest[0] - starts[number], *rest[1:]))
        return self._at(self._owner.get(str(key), 0), path)

    def name(self, key: str, index: int) -> str:
        """Return how a message calls an element of an array: as its own text counts."""
        place = self.place((key, index))
        name = f"{key}[{place.path[1]}]"
        return f"{name} of {place}" if len(self._sources) > 1 else name

    def _at(self, number: int, path: Path) -> Place:
        source = self._sources[number]
        if number not in self._lines:
            self._lines[number] = locate(source.text)
        return Place(number, path, source.file, line_of(self._lines[number], path))
