"""The line that moves on a terminal, and that a log does not have it."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from tests.lab.machine import moving


class Screen(io.StringIO):
    """A terminal that tells when it was written to twice."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal, self.moved = is_terminal, threading.Event()

    def isatty(self) -> bool:
        return self._is_terminal

    def flush(self) -> None:
        if self.getvalue().count("\r") > 1:
            self.moved.set()


def screen_of(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> Screen:
    screen = Screen(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stdout", screen)
    return screen


def test_it_moves_and_what_is_said_next_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "TICK", 0.001)
    screen = screen_of(monkeypatch, is_terminal=True)
    with moving.waiting("set-up"):
        assert screen.moved.wait(30)
        screen.write("lab: built: all of it\n")
    assert screen.getvalue().startswith("\x1b[Klab: set-up, 0 s\r\x1b[K")
    assert "\rlab: built: all of it\n" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[K")


def test_it_goes_where_the_wait_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, threads = screen_of(monkeypatch, is_terminal=True), threading.active_count()

    def fail() -> None:
        with moving.waiting("set-up"):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert screen.getvalue() == "\x1b[K"
    assert threading.active_count() == threads


def test_a_log_has_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch, is_terminal=False)
    with moving.waiting("set-up"):
        moving.show("boot", 12)
    assert screen.getvalue() == ""


def test_what_is_quick_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch, is_terminal=True)
    moving.show("boot", 0.9)
    assert screen.getvalue() == ""
    moving.show("boot", 12.4)
    assert screen.getvalue() == "\x1b[Klab: boot, 12 s\r"
