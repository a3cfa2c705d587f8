"""Log lines: one per event, safe to read, and the journal's where they go to the journal."""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from vtid.daemon import log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


ANYTHING = st.lists(st.characters() | st.characters(categories=("Cs", "Cc"))).map("".join)
"""Text with many controls and lone surrogates, of which st.text() has next to none."""


@pytest.fixture(autouse=True)
def _leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("VTID_LOG", raising=False)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line() -> None:
    out = io.StringIO()
    log.configure("info", out)
    structlog.get_logger().info("tunnel up", tunnel="private/vti42", mtu=1446, why="an SA came")
    line = out.getvalue()
    time, _, rest = line.partition(" ")
    assert re.fullmatch(r"ts=\d{4}-\d\d-\d\dT[\d:.]+Z", time)
    assert rest == ('level=info msg="tunnel up" tunnel=private/vti42 mtu=1446 why="an SA came"\n')


def test_what_a_destructor_raises_is_one_line() -> None:
    """As of an event loop that was half made when the descriptors ran out."""

    class Half:
        def __del__(self) -> None:
            raise AttributeError("no socket")

    out = io.StringIO()
    log.configure("info", out)
    Half()
    gc.collect()
    (line,) = out.getvalue().splitlines()
    assert 'level=warning msg="exception ignored" detail="AttributeError(\'no socket\') in' in line


def test_levels() -> None:
    out = io.StringIO()
    log.configure("warning", out)
    logger = structlog.get_logger()
    logger.debug("a")
    logger.info("b")
    logger.warning("c")
    assert [line.split()[-1] for line in out.getvalue().splitlines()] == ["msg=c"]


def test_who_follows_gets_every_record_and_the_log_its_own() -> None:
    out, told = io.StringIO(), list[tuple[str, str]]()
    log.configure("warning", out, tell=lambda level, record: told.append((level, record["event"])))
    logger = structlog.get_logger()
    logger.debug("a", tunnel="V2-1")
    logger.error("b")
    try:
        int("x")
    except ValueError:
        logger.exception("c")
    logging.getLogger("aiohttp").warning("d")
    assert told == [("debug", "a"), ("error", "b"), ("error", "c"), ("warning", "d")]
    levels = [line.split()[1] for line in out.getvalue().splitlines() if line.startswith("ts=")]
    assert levels == ["level=error", "level=error", "level=warning"]


def test_a_log_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    log.configure("info", out)
    with monkeypatch.context() as patched:
        patched.setattr(out, "write", lambda _: os.write(-1, b""))
        patched.setattr(out, "flush", lambda: os.write(-1, b""))
        structlog.get_logger().info("lost")
        logging.getLogger("aiohttp").warning("lost, too")
    structlog.get_logger().info("there")
    assert [line.split()[-1] for line in out.getvalue().splitlines()] == ["msg=there"]


def test_an_exception_is_one_line() -> None:
    out = io.StringIO()
    log.configure("info", out)
    try:
        int("x\ny")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = out.getvalue().splitlines()
    assert "level=error msg=failed" in line
    assert "Traceback (most recent call last):\\n" in line


@given(ANYTHING)
def test_a_peer_gets_no_control_characters_in(words: str) -> None:
    line = log.logfmt({"level": "info", "peer": words})
    assert line.isprintable()
    assert line.startswith("level=info peer=")


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Co", "Cn", "Zs", "Zl", "Zp"))))
def test_a_peer_cannot_forge_a_field(words: str) -> None:
    value = log.logfmt({"peer": words}).removeprefix("peer=")
    if value.startswith('"'):
        assert json.loads(value) == words
    else:
        assert value == words
        assert "=" not in value


def test_the_journal_gets_priorities_and_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+") as out:
        stat = os.fstat(out.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        log.configure("debug", out)
        logger = structlog.get_logger()
        for level in ("debug", "info", "warning", "error", "critical", "exception"):
            getattr(logger, level)("x")
        out.seek(0)
        lines = out.read().splitlines()
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<2>", "<3>"]
    assert lines[1] == "<6>level=info msg=x"


def test_another_journal_stream_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    with (tmp_path / "file").open("w+") as out:
        log.configure("info", out)
        structlog.get_logger().info("x")
        out.seek(0)
        assert out.read().startswith("ts=")


def test_json_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTID_LOG", "json")
    out = io.StringIO()
    log.configure("info", out)
    structlog.get_logger().info("up", peer="\x1b\udcff", path=os)
    read = json.loads(out.getvalue())
    assert (read["level"], read["msg"], read["peer"]) == ("info", "up", "\x1b\udcff")
    assert out.getvalue().isascii()


def test_libraries_come_out_the_same_way() -> None:
    out = io.StringIO()
    log.configure("info", out)
    logging.getLogger("aiohttp.server").error("broken %s", "by\x1b a peer")
    logging.getLogger("aiohttp.server").debug("chatter")
    (line,) = out.getvalue().splitlines()
    assert line.endswith('level=error msg="broken by\\u001b a peer" logger=aiohttp.server')
