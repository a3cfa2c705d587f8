"""`vtictl` for tests: run against a real server of a made-up daemon, at a fixed time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.http.samples import FULL, FakeDaemon
from vtid.ctl import main as ctl
from vtid.http.server import Server
from vtid.http.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GOLDEN = Path(__file__).parent / "golden"
"""What the commands print of `samples.FULL`, read and found good."""

HOSTILE = "evil\x1b[2J\x9b31m\u202e\n! all is well"
"""What a peer may call itself."""


def vtictl(*argv: str) -> int:
    return ctl.main(argv)


@dataclass
class Shell:
    """Runs `vtictl` in a thread, as the server has the loop."""

    socket: str
    daemon: FakeDaemon
    capture: pytest.CaptureFixture[str]

    async def __call__(self, *argv: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(vtictl, *argv, "--socket", self.socket)
        out, err = self.capture.readouterr()
        return code, out, err


@pytest.fixture
async def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Shell]:
    daemon = FakeDaemon(FULL)
    server = Server(str(tmp_path / "s"), [], daemon, Telemetry())
    await server.start()
    with capture_logs():  # the daemon's log is not vtictl's answer
        yield Shell(str(tmp_path / "s"), daemon, capsys)
    await server.stop()


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print in 80 columns, at the time of the samples."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(time, "time", lambda: 1630.0)
