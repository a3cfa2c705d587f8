"""Log levels: of each subsystem, for a while, and as configured after a reload."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.daemon.test_log import _leave_no_trace
from vtid.config.load import load
from vtid.daemon import log
from vtid.daemon.daemon import Daemon
from vtid.daemon.levels import LEVELS, of_op
from vtid.model.levels import Level, LogLevel, Subsystem
from vtid.model.operation import DeleteBird, DeleteClamp, Op, SetUp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["_leave_no_trace"]


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    log.configure("info", stream)
    yield stream
    LEVELS.configure(Level.INFO)


def said(out: io.StringIO) -> list[str]:
    found = [line.split("msg=")[1].split()[0] for line in out.getvalue().splitlines()]
    out.truncate(0)
    out.seek(0)
    return found


def speak() -> None:
    """Every subsystem says something at every level."""
    for subsystem in Subsystem:
        logger = structlog.get_logger(subsystem)
        for level in Level:
            getattr(logger, level)(f"{subsystem}-{level}")


def test_one_subsystem_says_more_and_the_others_as_before(out: io.StringIO) -> None:
    speak()
    before = said(out)
    assert "vici-info" in before
    assert "vici-debug" not in before
    LEVELS.set((Subsystem.VICI,), Level.DEBUG)
    speak()
    assert set(said(out)) - set(before) == {"vici-debug"}
    LEVELS.set(Subsystem, Level.ERROR)
    speak()
    assert said(out) == [f"{one}-error" for one in Subsystem]
    LEVELS.restore(Subsystem)
    speak()
    assert said(out) == before


def test_a_subsystem_is_no_word_of_the_line(out: io.StringIO) -> None:
    structlog.get_logger(Subsystem.NFT).warning("x", detail="y")
    assert out.getvalue().endswith("level=warning msg=x detail=y\n")


def test_an_exception_is_an_error(out: io.StringIO) -> None:
    LEVELS.set(Subsystem, Level.ERROR)
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("internal")
    assert said(out)[0] == "internal"


def test_libraries_have_the_level_of_who_uses_them(out: io.StringIO) -> None:
    LEVELS.set((Subsystem.HTTP,), Level.ERROR)
    logging.getLogger("aiohttp.server").warning("unheard")
    logging.getLogger("asyncio").warning("heard")
    assert said(out) == ["heard"]


async def test_a_level_returns_by_itself(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    returned = asyncio.Event()
    really = LEVELS._return

    def noted(subsystem: Subsystem) -> None:
        really(subsystem)
        returned.set()

    monkeypatch.setattr(LEVELS, "_return", noted)
    LEVELS.set((Subsystem.VICI, Subsystem.NFT), Level.DEBUG, 0.01)
    LEVELS.set((Subsystem.NFT,), Level.DEBUG)
    (vici, nft) = LEVELS.changed()
    assert (vici.until > 0, nft.until) == (True, 0.0)
    await asyncio.wait_for(returned.wait(), 10)
    assert LEVELS.changed() == (LogLevel(Subsystem.NFT, Level.DEBUG, Level.INFO),)
    assert 'msg="log level returned" subsystem=vici to=info' in out.getvalue()


def test_a_change_of_the_same_level_ends_the_first() -> None:
    LEVELS.set((Subsystem.VICI,), Level.DEBUG)
    LEVELS.set((Subsystem.VICI,), Level.INFO)
    assert LEVELS.changed() == ()


@pytest.mark.parametrize(("is_fixed", "level"), [(False, Level.WARNING), (True, Level.INFO)])
def test_a_reload_restores_what_is_configured(
    out: io.StringIO,
    is_fixed: bool,  # noqa: FBT001 - a column of the table
    level: Level,
) -> None:
    log.configure("info", out, is_fixed=is_fixed)
    LEVELS.set(Subsystem, Level.DEBUG)
    LEVELS.reloaded(Level.WARNING)
    assert LEVELS.changed() == ()
    assert {one.level for one in LEVELS.status()} == {level}


async def test_the_daemon_takes_a_new_level_at_reload(
    out: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(load(""), tmp_path / "vtid.toml")
    monkeypatch.setattr(daemon, "_use", lambda _: None)
    (tmp_path / "vtid.toml").write_text('[daemon]\nlog_level = "error"\n')
    looping = asyncio.create_task(daemon._loop())
    daemon.operator.set_log_level(None, Level.DEBUG, 0.0)
    assert "subsystem=all to=debug" in out.getvalue()
    assert len(daemon.operator.summary().log_levels) == len(Subsystem)
    assert (await daemon.reload()).warnings == ()
    looping.cancel()
    assert {one.level for one in LEVELS.status()} == {Level.ERROR}
    assert daemon.operator.summary().log_levels == ()


@pytest.mark.parametrize(
    ("op", "subsystem"),
    [
        (DeleteClamp(tunnel="a", reason="", netns="", interface="a"), Subsystem.NFT),
        (DeleteBird(tunnel="a", reason="", instance="b"), Subsystem.BIRD),
        (SetUp(tunnel="a", reason="", netns="", name="a"), Subsystem.KERNEL),
    ],
)
def test_who_carries_out_an_operation(op: Op, subsystem: Subsystem) -> None:
    assert of_op(op) is subsystem
