"""`vtictl`: its command line, and that it starts light."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vtid.ctl import main as ctl
from vtid.ctl import remote

HEAVY = (
    "aiohttp",
    "rich",
    "jinja2",
    "pyroute2",
    "asyncio",
    "vtid.model",
    "vtid.config",
)


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["mtu"], ["mtu", "--esp", "aes128-sha256"]])
def test_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        ctl.main(argv)
    assert stopped.value.code == 64
    assert "usage: vtictl" in capsys.readouterr().err


def test_help_names_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        ctl.main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"    {name} " in shown for name in ("mtu", "status", "reload"))


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from vtid.ctl.main import main; "
        "main(['mtu', '--esp', 'aes128-sha256', '--outer', '6']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.splitlines()[-1] == "[]"


MTU = [sys.executable, "-m", "vtid.ctl.main", "mtu", "--esp", "aes128-sha256", "--outer", "6"]


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """Unbuffered, so that the first line meets the closed pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    done = subprocess.run(MTU, stdout=writer, stderr=subprocess.PIPE, env=env, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(MTU, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr == b"vtictl: cannot write the answer: No space left on device\n"


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(remote, "_confirmed", interrupted)
    assert ctl.main(["flush"]) == 130


@pytest.mark.parametrize(
    "words", [["--socket", "/nowhere", "status"], ["status", "--socket", "/nowhere"]]
)
def test_the_socket_may_stand_on_either_side(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl.main(words) == 3
    assert "/nowhere" in capsys.readouterr().err
