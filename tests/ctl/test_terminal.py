"""What reaches the terminal: no command of a peer, and colours where they are wanted."""

from __future__ import annotations

import io
import sys

import pytest

from vtid.ctl import terminal

EVIL = "evil\x1b[2J\u202e\x9b31m"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, out: io.StringIO, **environment: str) -> str:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", out)
    terminal.print_lines(["plain", ((EVIL, "red"), (" end", ""))])
    return out.getvalue()


ESCAPED = r"evil\x1b[2J\u202e\x9b31m"


def test_colours_on_a_terminal_and_nothing_of_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    out = printed(monkeypatch, Tty(), TERM="xterm")
    assert out == f"plain\n\x1b[31m{ESCAPED}\x1b[0m end\n"


@pytest.mark.parametrize(
    ("out", "environment"),
    [
        (io.StringIO(), {"TERM": "xterm"}),
        (Tty(), {"TERM": "xterm", "NO_COLOR": "1"}),
        (Tty(), {"TERM": "dumb"}),
        (Tty(), {}),
    ],
    ids=["no terminal", "NO_COLOR", "dumb", "no TERM"],
)
def test_no_colours(
    monkeypatch: pytest.MonkeyPatch, out: io.StringIO, environment: dict[str, str]
) -> None:
    assert printed(monkeypatch, out, **environment) == f"plain\n{ESCAPED} end\n"


@pytest.mark.parametrize(
    ("given", "columns"), [("100", 100), ("0", 80), ("-5", 80), ("x", 80), ("", 80), ("²", 80)]
)
def test_width(monkeypatch: pytest.MonkeyPatch, given: str, columns: int) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setenv("COLUMNS", given)
    assert terminal.width() == columns
