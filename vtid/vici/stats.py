"""Stats: charon's answer to VICI `stats`, about its workers, its jobs and its IKE_SAs. Pure.

What is missing or no number is left out (src/libcharon/plugins/vici/README.md, "stats").
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from vtid.model.charon import CharonStats
from vtid.vici.sas import text

if TYPE_CHECKING:
    from vtid.vici.codec import Message

PRIORITIES = ("critical", "high", "medium", "low")

SINCE = "%b %d %H:%M:%S %Y"
"""How charon writes a local time (src/libstrongswan/utils/utils.c, time_printf_hook)."""


def read_stats(answer: Message) -> CharonStats:
    """Read the answer."""
    workers, ike_sas = _section(answer, "workers"), _section(answer, "ikesas")
    return CharonStats(
        started_at=_since(text(_section(answer, "uptime"), "since")),
        workers=_number(workers, "total"),
        workers_idle=_number(workers, "idle"),
        active=_by_priority(_section(workers, "active")),
        queued=_by_priority(_section(answer, "queues")),
        scheduled=_number(answer, "scheduled"),
        ike_sas=_number(ike_sas, "total"),
        half_open=_number(ike_sas, "half-open"),
    )


def _by_priority(section: Message) -> tuple[tuple[str, int], ...]:
    found = ((name, _number(section, name)) for name in PRIORITIES)
    return tuple((name, number) for name, number in found if number is not None)


def _section(message: Message, key: str) -> Message:
    found = message.get(key)
    return found if isinstance(found, dict) else {}


def _number(section: Message, key: str) -> int | None:
    words = text(section, key)
    return int(words) if words.isascii() and words.isdecimal() else None


def _since(words: str) -> float | None:
    try:
        return datetime.strptime(words, SINCE).timestamp()  # noqa: DTZ007 - charon's local time
    except ValueError:
        return None
