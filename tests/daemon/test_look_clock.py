"""The clock of this kernel, and of a daemon that started before it was set."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.http.samples import FULL, SUMMARY, FakeDaemon
from vtid.daemon.look_clock import is_synchronised, jumped
from vtid.daemon.looks import UnseenError
from vtid.http.server import Server
from vtid.http.telemetry import Telemetry

STATUS, STA_UNSYNC = struct.Struct("@i4xqqqqi"), 0x40
"""Beginning of struct timex up to its status, and a bit of that (linux/timex.h)."""


def process_age() -> float:
    """Seconds since this process started."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


@pytest.mark.parametrize("by", [0.0, 3600.0, -600.0])
async def test_a_clock_that_was_set_after_the_start_is_found(tmp_path: Path, by: float) -> None:
    """A daemon that says it started at another time than the kernel does."""
    daemon = FakeDaemon(FULL)
    daemon.screen = replace(SUMMARY, started_at=time.time() - process_age() - by)
    server = Server(str(tmp_path / "s"), [], daemon, Telemetry())
    await server.start()
    try:
        found = await asyncio.to_thread(jumped, str(tmp_path / "s"), Path("/"))
        assert found == pytest.approx(by, abs=1.0)
        with pytest.raises(UnseenError, match="runs elsewhere"):
            await asyncio.to_thread(jumped, str(tmp_path / "s"), tmp_path)
    finally:
        await server.stop()


def test_the_kernel_says_whether_it_is_synchronised() -> None:
    """By its state, as by the bit of its status that adjtimex(8) shows."""
    timex = ctypes.create_string_buffer(256)
    ctypes.CDLL(None).adjtimex(timex)
    *_, status = STATUS.unpack_from(timex.raw)
    assert is_synchronised() is not bool(status & STA_UNSYNC)
