"""What charon says of its threads and jobs; the answer is that of strongSwan 5.9.8."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from vtid.model.charon import CharonStats
from vtid.vici.stats import read_stats

if TYPE_CHECKING:
    from vtid.vici.codec import Message

ANSWER: Message = {
    "uptime": {"running": b"5 minutes", "since": b"Nov 29 10:44:09 2026"},
    "workers": {
        "total": b"16",
        "idle": b"11",
        "active": {"critical": b"4", "high": b"0", "medium": b"1", "low": b"0"},
    },
    "queues": {"critical": b"0", "high": b"0", "medium": b"3", "low": b"0"},
    "scheduled": b"2",
    "ikesas": {"total": b"7", "half-open": b"1"},
    "plugins": [b"vici", b"kernel-netlink"],
}


def test_everything_is_read() -> None:
    assert read_stats(ANSWER) == CharonStats(
        started_at=datetime(2026, 11, 29, 10, 44, 9).timestamp(),  # noqa: DTZ001 - local time
        workers=16,
        workers_idle=11,
        active=(("critical", 4), ("high", 0), ("medium", 1), ("low", 0)),
        queued=(("critical", 0), ("high", 0), ("medium", 3), ("low", 0)),
        scheduled=2,
        ike_sas=7,
        half_open=1,
    )


def test_what_is_missing_or_no_number_is_unknown() -> None:
    odd: Message = {"workers": b"16", "ikesas": {"total": b"many"}, "uptime": {"since": b"today"}}
    assert read_stats(odd) == read_stats({}) == CharonStats()
