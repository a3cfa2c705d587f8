"""The log of the unit, as others may read it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from vtid.daemon import unit_log
from vtid.daemon.log import logfmt
from vtid.daemon.looks import UnseenError
from vtid.daemon.unit_log import line, shown
from vtid.http.journal import NOT_PUBLIC
from vtid.scrub import QUOTES_VARS

if TYPE_CHECKING:
    from pathlib import Path


def record(**facts: Any) -> str:
    return logfmt({"level": "info", **facts})


def test_a_record_is_shown() -> None:
    text = record(msg="tunnel up", tunnel="V2-1", detail='a "b" = c')
    assert json.loads(line(text)) == {
        "level": "info",
        "msg": "tunnel up",
        "tunnel": "V2-1",
        "detail": 'a "b" = c',
    }
    assert json.loads(line('{"level": "info", "msg": "ready", "tunnels": 3}'))["tunnels"] == 3


@pytest.mark.parametrize("event", sorted(NOT_PUBLIC))
@pytest.mark.parametrize("write", [record, lambda **facts: json.dumps({"level": "info", **facts})])
def test_of_what_may_quote_a_secret_the_head_is_shown(write: Any, event: str) -> None:
    text = write(msg=event, tunnel="V2-1", detail="hunter2", hook="hunter2")
    assert json.loads(line(text)) == {"level": "info", "msg": event, "tunnel": "V2-1"}


def test_what_quotes_the_configuration_is_not_shown() -> None:
    assert "hunter2" not in line(record(msg="operation failed", error=f"{QUOTES_VARS} hunter2"))


def test_of_a_traceback_places_and_the_kind_are_shown() -> None:
    try:
        int("hunter2")
    except ValueError as error:
        event = {"exc_info": error, "event": "x"}
        trace = structlog.processors.format_exc_info(None, "error", event)["exception"]
    shown_lines = json.loads(line(record(msg="control request failed", exception=trace)))
    assert shown_lines["exception"][-1] == "ValueError: (not shown)"
    assert any("test_unit_log.py" in one for one in shown_lines["exception"])
    assert "hunter2" not in json.dumps(shown_lines)
    assert line('  File "/usr/lib/vtid/a.py", line 3, in run').startswith("  File")


@pytest.mark.parametrize(
    "text",
    ["", "hunter2", 'msg=a hunter2 b="', "{hunter2", '["hunter2"]', "msg=a ", 'a="hunter2"msg=b'],
)
def test_what_is_no_record_is_not_shown(text: str) -> None:
    assert line(text) == "(not shown)"


@pytest.mark.parametrize("text", ["a" * 50_000, "msg=a " + "a" * 50_000, "a" * 50_000 + " msg=a"])
def test_a_long_word_takes_no_longer_than_its_length(text: str) -> None:
    began = time.process_time()
    assert line(text) == "(not shown)"
    assert time.process_time() - began < 2


def entry(**facts: object) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": "1764444444123456", **facts})


def test_entries_have_a_time_and_systemds_own_are_shown() -> None:
    told = "vtid.service: Main process exited, code=exited, status=1/FAILURE"
    systemd = {"SYSLOG_IDENTIFIER": "systemd", "_PID": "1"}
    lines = list(
        shown(
            (
                entry(MESSAGE=told, **systemd),
                entry(MESSAGE=told, SYSLOG_IDENTIFIER="systemd", _PID="77"),
                entry(MESSAGE=[1, 2]),
                "no JSON",
                json.dumps({"MESSAGE": "hunter2"}),
            )
        )
    )
    assert lines == [
        f"2025-11-29T19:27:24.123456Z systemd: {told}",
        "2025-11-29T19:27:24.123456Z (not shown)",
    ]


def test_a_machine_without_journal_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnseenError, match="no journalctl"):
        unit_log.unit_log()
    program = tmp_path / "journalctl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    with pytest.raises(UnseenError, match="has nothing of vtid"):
        unit_log.unit_log()
