"""Hooks: how one program runs and ends, and what it inherits."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vtid.daemon import hook_process
from vtid.daemon.hook_process import ENVIRONMENT, Outcome, give_up_privileges, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = 60.0


@pytest.fixture
def stop() -> Iterator[tuple[int, Callable[[], None]]]:
    """A descriptor that can be read once the function was called."""
    stopped, write = os.pipe()
    ends = [write]
    yield stopped, lambda: os.close(ends.pop())
    for one in (stopped, *ends):
        os.close(one)


def script(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "hook"
    file.write_text(f"#!/bin/sh\ncd {tmp_path}\n{text}\n")
    file.chmod(0o755)
    return file


def ran(tmp_path: Path, text: str, stop: tuple[int, object], limit: float = LONG) -> Outcome:
    return run(script(tmp_path, text), b'{"event": "up"}', limit, stop[0])


def test_the_event_is_the_standard_input_and_all_there_is(
    tmp_path: Path, stop: tuple[int, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/secret")
    assert ran(tmp_path, "cat > input; env > env; ls /proc/self/fd > fds", stop) == Outcome("done")
    assert (tmp_path / "input").read_text() == '{"event": "up"}'
    found = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    of_the_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {k: v for k, v in found.items() if k not in of_the_shell} == ENVIRONMENT
    assert set((tmp_path / "fds").read_text().split()) <= {"0", "1", "2", "3"}, "3 is of ls"


def test_what_it_says_is_kept_in_part(tmp_path: Path, stop: tuple[int, object]) -> None:
    assert ran(tmp_path, "echo ignored; echo no  such >&2; exit 3", stop) == Outcome(
        "failed", "exit status 3: no such"
    )
    assert ran(tmp_path, "kill -9 $$", stop) == Outcome("failed", "signal SIGKILL")
    assert ran(tmp_path, "kill -40 $$", stop) == Outcome("failed", "signal 40")
    much = ran(tmp_path, "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1", stop)
    assert much.words == "exit status 1: " + "x" * 400


def test_a_program_that_cannot_be_run(tmp_path: Path, stop: tuple[int, object]) -> None:
    file = script(tmp_path, "")
    file.write_text("#!/none/such\n")
    assert run(file, b"", LONG, stop[0]).words == "cannot be run: No such file or directory"


def ends(pid: str) -> bool:
    """Whether a process ends soon: SIGKILL is sent, and takes its time."""
    for _ in range(3000):
        if gone(pid):
            return True
        threading.Event().wait(0.01)
    return False


def gone(pid: str) -> bool:
    """Whether a process has ended; a zombie has, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_one_that_takes_too_long_is_ended_with_all_it_started(
    tmp_path: Path, stop: tuple[int, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_process, "GRACE", 0.05)
    text = "trap '' TERM; sleep 1000 & echo $! > child; echo $$ > self; wait; wait; sleep 1000"
    found = ran(tmp_path, text, stop, limit=1.0)
    assert found == Outcome("timeout", "took longer than 1 s")
    for name in ("child", "self"):
        assert ends((tmp_path / name).read_text().strip())


def test_what_it_left_behind_ends_with_it(tmp_path: Path, stop: tuple[int, object]) -> None:
    assert ran(tmp_path, "sleep 1000 & echo $! > child", stop) == Outcome("done")
    assert ends((tmp_path / "child").read_text().strip())


def test_it_ends_when_vtid_stops(tmp_path: Path, stop: tuple[int, Callable[[], None]]) -> None:
    timer = threading.Timer(0.3, stop[1])
    timer.start()
    assert ran(tmp_path, "exec sleep 1000", stop) == Outcome("stopped", "vtid stops")
    timer.join()


def capabilities(text: str) -> dict[str, int]:
    lines = (line.split(":") for line in text.splitlines() if line.startswith("Cap"))
    return {name: int(value, 16) for name, value in lines}


def test_it_has_no_capability_whoever_runs_it(tmp_path: Path, stop: tuple[int, object]) -> None:
    """Those of vtid stay: they belong to a thread."""
    before = Path("/proc/self/status").read_text()
    outcomes: list[Outcome] = []

    def told() -> None:
        give_up_privileges()
        outcomes.append(ran(tmp_path, "cat /proc/self/status > status", stop))

    thread = threading.Thread(target=told)
    thread.start()
    thread.join()
    assert outcomes == [Outcome("done")]
    found = (tmp_path / "status").read_text()
    its = capabilities(found)
    assert not its["CapEff"] | its["CapPrm"] | its["CapAmb"] | its["CapInh"]
    assert "NoNewPrivs:\t1" in found
    assert capabilities(Path("/proc/self/status").read_text()) == capabilities(before)
