"""Where keys and tables stand in a TOML text: key path to line number.

Rules of this file:

* Pure, and only for text that `tomllib` has accepted: it looks for positions and checks nothing.
* A path is what one walks in the parsed document: keys as str, array elements as int. The
  elements of an array of tables and those of an inline array are counted alike.

`tomllib` drops positions and the position-preserving libraries keep white space, but no line
numbers. To answer where something stands, a scanner needs to know only how values are delimited.
"""

from __future__ import annotations

import re
import tomllib
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r'''"""(?:[^"\\]|\\[\s\S]|"(?!""))*"{3,5}'''
    r"""|'''(?:[^']|'(?!''))*'{3,5}"""
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Return the line of `path`, or of the nearest table or array around it that stands somewhere.

    None where nothing of the path is in the text.
    """
    for length in range(len(path), 0, -1):
        if line := lines.get(path[:length]):
            return line
    return None


def locate(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of every table, key and array element of a TOML text.

    A table or array that several lines add to stands where it was first mentioned.
    """
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.line = 1
        self.lines: dict[Path, int] = {}
        self.arrays: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self.pos < len(self.text):
            if self.text[self.pos] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self.lines

    def _header(self) -> Path:
        is_array = self.text.startswith("[[", self.pos)
        self.pos += 1 + is_array
        *parents, last = self._keys()
        self._skip(_BLANK)
        self.pos += 1 + is_array
        table = self._within((), *parents)
        if not is_array:
            return self._within(table, last)
        table = self._mark((*table, last))
        self.arrays[table] = self.arrays.get(table, -1) + 1
        return self._mark((*table, self.arrays[table]))

    def _pair(self, table: Path) -> None:
        path = self._within(table, *self._keys())
        self.pos += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        match self.text[self.pos]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        index = 0
        while self._more("]"):
            self._value(self._mark((*path, index)))
            index += 1

    def _inline_table(self, path: Path) -> None:
        while self._more("}"):
            self._pair(path)

    def _more(self, end: str) -> bool:
        """Step over the opening bracket or a comma; false once the closing bracket is passed."""
        self._skip(_BLANK)
        if self.text[self.pos] in "[{,":
            self.pos += 1
            self._skip(_BLANK)
        if self.text[self.pos] != end:
            return True
        self.pos += 1
        return False

    def _keys(self) -> list[str]:
        """Read a dotted key up to what ends it."""
        keys: list[str] = []
        while True:
            self._skip(_BLANK)
            keys.append(_unquoted(self._skip(_KEY)))
            self._skip(_BLANK)
            if self.text[self.pos] != ".":
                return keys
            self.pos += 1

    def _within(self, table: Path, *keys: str) -> Path:
        """Walk `keys` from `table`, stepping into the last element of each array of tables."""
        for key in keys:
            table = self._mark((*table, key))
            if table in self.arrays:
                table = (*table, self.arrays[table])
        return table

    def _mark(self, path: Path) -> Path:
        self.lines.setdefault(path, self.line)
        return path

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.pos)
        found = match.group() if match else ""
        self.pos += len(found)
        self.line += found.count("\n")
        return found


def _unquoted(key: str) -> str:
    if key[:1] not in {'"', "'"}:
        return key
    value: str = tomllib.loads(f"key = {key}")["key"]
    return value
