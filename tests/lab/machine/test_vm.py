"""A guest whose kernel panics is run again once, and nothing hides it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.lab.machine import vm
from tests.lab.machine.native import Rooms
from tests.lab.machine.tree import LabError

if TYPE_CHECKING:
    from pathlib import Path

PANIC = "[  275.1] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"
GUEST = """
import pathlib, sys
runs = pathlib.Path({runs!r})
number = len(runs.read_text()) if runs.exists() else 0
runs.write_text("x" * (number + 1))
print("vtid-lab: booted", "vtid-lab: ready", sep="\\n", flush=True)
if number < {panics}:
    print({panic!r}, "Kernel panic - not syncing", sep="\\n")
    sys.exit()
print("the result")
pathlib.Path({status!r}).write_text("0")
print("vtid-lab: done")
"""


def guest(rooms: Rooms, panics: int) -> vm._Machine:
    """A machine that panics so many times and then succeeds."""
    runs, status = str(rooms.control / "runs"), str(rooms.control / "status")
    program = GUEST.format(runs=runs, status=status, panics=panics, panic=PANIC)
    console = rooms.out / "console.log"
    return vm._Machine([sys.executable, "-c", program], console, rooms.out, kvm=False)


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    for name in ("out", "control"):
        (tmp_path / name).mkdir()
    return Rooms(tmp_path, tmp_path, tmp_path / "out", tmp_path / "control")


def test_a_machine_that_lives_runs_once(rooms: Rooms, capfd: pytest.CaptureFixture[str]) -> None:
    assert vm._run_again(guest(rooms, 0), rooms, 60)
    assert "panicked" not in capfd.readouterr().out
    assert (rooms.control / "runs").read_text() == "x"


def test_a_panic_is_said_at_once_and_in_the_end(
    rooms: Rooms, capfd: pytest.CaptureFixture[str]
) -> None:
    assert vm._run_again(guest(rooms, 1), rooms, 60)
    said = capfd.readouterr().out
    first, result, last = (
        said.index(text) for text in ("begins again", "the result", "this was the second run")
    )
    assert first < result < last
    assert said.count("Oops: int3") == 3  # the guest's own line, and both of ours
    assert PANIC in (rooms.out / "console.panic.log").read_text()


def test_two_panics_are_a_failure(rooms: Rooms) -> None:
    with pytest.raises(LabError, match="panicked twice"):
        vm._run_again(guest(rooms, 2), rooms, 60)
