"""The shell in a lab, without a machine: a pseudo-terminal on either side stands for it."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import tty
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab import host
from tests.lab.machine import keep, native, running, terminal, tree
from tests.lab.machine.console import Console, Frames, frame, set_size
from tests.lab.machine.running import Running

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20.0
HELLO = "export PS1='here> '; exec bash --norc --noprofile -i"


@pytest.fixture(autouse=True)
def nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "FOLDER", tmp_path / "running")


@given(st.lists(st.tuples(st.sampled_from("OSDCRE"), st.binary())), st.integers(1, 50))
def test_frames_arrive_whole_however_they_are_cut(
    frames: list[tuple[str, bytes]], cut: int
) -> None:
    data = b"".join(frame(kind, payload) for kind, payload in frames)
    reader = Frames()
    arrived = [one for at in range(0, len(data), cut) for one in reader.feed(data[at : at + cut])]
    assert arrived == frames


@given(st.binary().filter(lambda junk: b"\n" not in junk))
def test_junk_costs_one_line(junk: bytes) -> None:
    arrived = Frames().feed(junk + b"\n" + frame("D", b"good"))
    assert arrived[-1] == ("D", b"good")
    assert len(arrived) <= 2


# --- which lab -----------------------------------------------------------------------------------


def test_no_lab_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert host.main(["shell"]) == 2
    assert capsys.readouterr().err == (
        "lab: error: no lab is running: start one with `make lab KEEP=1`\n"
    )
    assert host.main(["stop"]) == 2


def test_a_lab_is_found_while_it_runs() -> None:
    with running.announced(Running(kept=True, inside=1234)):
        (lab,) = running.found()
        assert (lab.kept, lab.inside, lab.pid) == (True, 1234, os.getpid())
    assert running.found() == []


def test_what_a_killed_run_left_is_no_lab() -> None:
    running.FOLDER.mkdir()
    left = running.FOLDER / f"{os.getppid()}.json"
    left.write_text(f'{{"kept": true, "pid": {os.getppid()}}}')
    assert running.found() == []
    assert not left.exists()


def test_only_a_kept_lab_is_ended() -> None:
    with (
        running.announced(Running(kept=False)),
        pytest.raises(tree.LabError, match="no lab is kept running"),
    ):
        terminal.stop()


def test_words_name_each_host() -> None:
    lines = keep.words(["r1", "switch", "v1-1", "v1-1-private"])
    for name in ("on r1", "on v1-1 ", "on v1-1-private", "make lab-shell", "make lab-stop"):
        assert any(name in line for line in lines)


# --- the machine's console -----------------------------------------------------------------------


@contextmanager
def console(folder: Path) -> Iterator[str]:
    """A machine's second serial line: a socket with a `Console` behind it, one client at a time."""
    path = folder / "console.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    Console(connection.fileno(), ["bash", "-c", HELLO]).serve()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        # as a job in the background has it
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            yield str(path)
        finally:
            signal.signal(signal.SIGINT, before)
            server.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)


class Person:
    """Somebody at a terminal who runs a command, types and reads."""

    def __init__(self, *command: str, env: dict[str, str]) -> None:
        self.seen = ""
        self.terminal, other = pty.openpty()
        set_size(self.terminal, 31, 97)
        self.before = tty.tcgetattr(other)  # type: ignore[attr-defined]
        self.other = other
        self.process = subprocess.Popen(
            command, stdin=other, stdout=other, stderr=other, env=os.environ | env
        )

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def read(self, word: str) -> str:
        """Read until a word has come; forget what was up to it."""
        deadline = time.monotonic() + PATIENCE
        while word not in self.seen:
            assert time.monotonic() < deadline, f"no {word!r} in {self.seen!r}"
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += os.read(self.terminal, 4096).decode(errors="replace")
        before, _, self.seen = self.seen.partition(word)
        return before

    def leave(self) -> int:
        status = self.process.wait(PATIENCE)
        assert tty.tcgetattr(self.other) == self.before, "the terminal is not as it was"  # type: ignore[attr-defined]
        os.close(self.other)
        os.close(self.terminal)
        return status


@contextmanager
def lab_shell(folder: Path) -> Iterator[Person]:
    """A person in `make lab-shell`."""
    code = (
        "import sys; from pathlib import Path; from tests.lab import host; "
        "from tests.lab.machine import running;"
        f"running.FOLDER = Path({str(folder / 'running')!r}); sys.exit(host.main(['shell']))"
    )
    env = {"PYTHONPATH": str(tree.REPO), "TERM": "dumb"}
    person = Person(sys.executable, "-c", code, env=env)
    try:
        yield person
    finally:
        person.process.kill()
        person.process.wait()


def test_a_person_works_in_the_machine(tmp_path: Path) -> None:
    with (
        console(tmp_path) as path,
        running.announced(Running(kept=True, console=path)),
        lab_shell(tmp_path) as person,
    ):
        person.read("here> ")
        person.type("stty size; echo $TERM\n")
        person.read("\n31 97\r\ndumb\r\n")
        set_size(person.terminal, 40, 120)
        person.type(
            "until [ \"$(stty size)\" = '40 120' ]; do sleep 0.1; done; echo grown$((1+1))\n"
        )
        person.read("grown2")
        person.type("bash -c 'echo run$((1+1)); exec sleep 1000'\n")
        person.read("run2")
        person.type("\x03")  # Ctrl-C is for the command in there, not for us
        person.type("echo still$((1+1)); exit 3\n")
        person.read("still2")
        assert person.leave() == 0


def test_a_terminal_that_goes_away_ends_the_shell(tmp_path: Path) -> None:
    with (
        console(tmp_path) as path,
        running.announced(Running(kept=True, console=path)),
    ):
        with lab_shell(tmp_path) as person:
            person.read("here> ")
            person.type(f"echo $$ >{tmp_path}/pid; sleep 1000; echo after\n")
            wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        pid = int((tmp_path / "pid").read_text())
        wait_for(lambda: not Path(f"/proc/{pid}").exists())
        with lab_shell(tmp_path) as person:
            person.read("here> ")
            person.type("exit\n")
            assert person.leave() == 0


def test_a_script_gets_output_and_exit_status(tmp_path: Path) -> None:
    with console(tmp_path) as path, running.announced(Running(kept=True, console=path)):
        script = "echo out$((1+1)); exit 7\n"
        code = (
            "import sys; from pathlib import Path; from tests.lab import host; "
            "from tests.lab.machine import running;"
            f"running.FOLDER = Path({str(tmp_path / 'running')!r});"
            "sys.exit(host.main(['shell']))"
        )
        result = subprocess.run(
            [sys.executable, "-c", code],
            input=script,
            capture_output=True,
            text=True,
            cwd=tree.REPO,
            timeout=PATIENCE,
            check=False,
        )
    assert "out2" in result.stdout
    assert result.returncode == 7


def test_the_lab_ends_under_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = socket.socketpair()
    with near, far, Path("/dev/null").open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        bridge = terminal._Bridge(near)
        far.sendall(frame("R"))
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(tree.LabError, match="the lab has ended"):
            bridge.run()


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- ending it -----------------------------------------------------------------------------------


def test_the_first_signal_ends_it_in_order_the_second_kills(tmp_path: Path) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    try:
        host._end_in_order(tmp_path)
        (tmp_path / keep.KEPT).touch()
        os.kill(os.getpid(), signal.SIGINT)
        assert (tmp_path / keep.STOP).exists()
        with pytest.raises(SystemExit, match="143"):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        for number, handler in zip(
            (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), before, strict=True
        ):
            signal.signal(number, handler)


@pytest.mark.lab
def test_a_person_works_in_the_namespaces(tmp_path: Path) -> None:
    control, out = tmp_path / "ctl", tmp_path / "out"
    control.mkdir()
    out.mkdir()
    (control / "run.sh").write_text(
        "ip link set lo up\nip netns add r1\ntouch /ctl/there\n"
        "while [ ! -e /ctl/stop ]; do sleep 0.1; done\nexit 5\n"
    )
    (control / "shell.sh").write_text(host._exports(host.ENVIRONMENT, "TERM") + host.SHELL)
    rooms = native.Rooms(Path("/"), tree.REPO, out, control)
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(native.run(rooms, 60, kept=True)))
    thread.start()
    try:
        wait_for((control / "there").exists)
        with lab_shell(tmp_path) as person:
            person.read("# ")
            person.type("stty size; on r1 ip -br link; on r2\n")
            person.read("31 97")
            person.read("no host r2; choose one of: r1")
            person.type("touch /etc/changed; exit 3\n")
            assert person.leave() == 0
    finally:
        (control / "stop").touch()
        thread.join(PATIENCE)
    assert statuses == [5]
    assert not Path("/etc/changed").exists()
    assert running.found() == []
