"""Screen: what `vtictl status` shows: 24 lines of 80 columns, unless there are many BIRDs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.ctl.terminal import WIDTH, Line, wrapped
from vtid.units import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.ctl.client import Json

TROUBLE_LINES = 10
"""Lines for what is wrong."""

STATES = ("up", "pending", "holding", "down", "error")
"""In the order in which they are told."""


def screen(summary: Json, now: float) -> Iterator[Line]:
    """Write the summary, and what is wrong since when."""
    for name, text, well in _rows(summary, now):
        yield from _coloured(wrapped(f"{name:<9}", text, WIDTH), "" if well else "red")
    if summary["troubles"]:
        yield ""
        yield from _troubles(summary, now)


def _coloured(lines: Iterator[str], colour: str) -> Iterator[Line]:
    return (((line, colour),) for line in lines)


def _rows(summary: Json, now: float) -> Iterator[tuple[str, str, bool]]:
    """Yield each row: its name, its text, and whether all is well."""
    ready = "ready" if summary["ready"] else f"waiting for {', '.join(summary['waiting_for'])}"
    up = span(now - summary["started_at"])
    yield "vtid", f"{summary['version']}, up {up}, {ready}", summary["ready"]
    charon = summary["vici_connected"]
    yield "charon", "connected" if charon else "NOT CONNECTED", charon
    watched, all_ = summary["namespaces_watched"], summary["namespaces"]
    yield "kernel", f"{watched} of {all_} namespaces watched", watched == all_
    for bird in summary["birds"]:
        yield "bird", _bird(bird), bird["connected"]
    yield "tunnels", "; ".join(filter(None, (_tunnels(summary["tunnels"]), _modes(summary)))), True
    if missing := summary["initiating"]:
        yield "initiate", f"{missing} CHILD_SAs that charon is to initiate are missing", True
    if levels := summary["log_levels"]:
        yield "log", _levels(levels, now), True


def _bird(bird: Json) -> str:
    state = f"connected, BIRD {bird['version']}" if bird["connected"] else "NOT CONNECTED"
    waits = ", file not confirmed yet" if bird["unconfirmed"] else ""
    sessions = f"{bird['established']} of {bird['sessions']} BGP sessions up"
    return f"{bird['instance']}: {state}, {sessions}{waits}"


def _levels(levels: list[Json], now: float) -> str:
    """Write the log levels that an operator changed; those that are alike together."""
    alike: dict[tuple[str, float], list[str]] = {}
    for one in levels:
        alike.setdefault((one["level"], one["until"]), []).append(one["subsystem"])
    told = (
        f"{level} for {', '.join(names)}" + (f" ({span(until - now)} left)" if until else "")
        for (level, until), names in alike.items()
    )
    return "; ".join(told)


def _tunnels(counts: Json) -> str:
    told = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    return f"{sum(counts.values())}: {told}" if told else "none"


def _modes(summary: Json) -> str:
    return ", ".join(f"{summary[mode]} {mode}" for mode in ("paused", "drained") if summary[mode])


def _troubles(summary: Json, now: float) -> Iterator[Line]:
    """Yield up to `TROUBLE_LINES` lines, and how many troubles did not fit."""
    left, told = TROUBLE_LINES, 0
    for trouble in summary["troubles"]:
        lines = list(_trouble(trouble, now))
        if told and len(lines) > left:
            break
        yield from _coloured(iter(lines[:left]), "red")
        left, told = left - len(lines), told + 1
    if more := len(summary["troubles"]) - told + summary["more_troubles"]:
        yield f"… and {more} more: `vtictl tunnels --state error` lists those of tunnels"


def _trouble(trouble: Json, now: float) -> Iterator[str]:
    since = span(now - trouble["since"]) if trouble["since"] else "-"
    subject = f"{trouble['subject']}: " if trouble["subject"] else ""
    return wrapped(f"! {since:<7} ", f"{subject}{trouble['error']}", WIDTH)
