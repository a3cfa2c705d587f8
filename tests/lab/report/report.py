"""The report of a run: Markdown for people, JSON for programs, and a picture of the topology.

Rules of this file: pure but for `write`; the same results give the same text. What daemons and
peers said stands in tables escaped and in fences that it cannot close.
"""

from __future__ import annotations

import html
import json
import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from tests.lab.report import drawing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.lab.report.results import Check, Command, Failure, Outage, Results, TunnelState

LINES, LETTERS, COMMANDS = 120, 400, 40
"""How much Markdown shows: lines of an output, letters of a line, commands of a check.

JSON has all of it.
"""
PICTURE = "topology.svg"


def write(out: Path, results: Results) -> None:
    """Leave `report.md`, `report.json` and `topology.svg` in the output folder."""
    taken = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    title = f"vtid's lab: {results.lab}"
    (out / PICTURE).write_text(drawing.svg(title, results.gateways, taken))
    (out / "report.json").write_text(as_json(results, taken))
    (out / "report.md").write_text(markdown(results, taken))
    print(f"report: report.md, report.json and {PICTURE} in lab-out", flush=True)


# --- JSON ----------------------------------------------------------------------------------------


def as_json(results: Results, taken: str) -> str:
    """Write all results as JSON (RFC 8259), with the sums that a reader would make of them."""
    tree = asdict(results)
    for failure, row in zip(results.failures, tree["failures"], strict=True):
        for outage, one in zip(failure.outages, row["outages"], strict=True):
            one |= {"seconds": outage.seconds, "lost": outage.lost}
    sums = {"taken": taken, "passed": results.passed, "failed": results.failed}
    return json.dumps(sums | tree, indent=1) + "\n"


# --- Markdown ------------------------------------------------------------------------------------


def markdown(results: Results, taken: str) -> str:
    """Write the report as Markdown (GitHub's, for its tables)."""
    sections = (
        _head(results, taken),
        _section("What ran", ("", ""), results.versions),
        _section(
            "Checks",
            ("", "what must hold", "what was seen", "s"),
            [_check(row) for row in results.checks],
        ),
        _failures(results.failures),
        _section(
            "Tunnels in the end, as each end reports them",
            ("gateway", "interface", "peer", "state", "MTU", "MSS", "BGP", "why"),
            [_tunnel(one) for gateway in results.gateways for one in gateway.tunnels],
        ),
        _section(
            "Time",
            ("phase", "s", "over after s"),
            [(row.name, f"{row.seconds:.1f}", f"{row.ended:.1f}") for row in results.phases],
        ),
        _commands(results),
    )
    return "\n".join(line for section in sections for line in section)


def _head(results: Results, taken: str) -> Iterator[str]:
    yield f"# vtid's lab: {_escaped(results.lab)}: {results.passed} passed, {results.failed} failed"
    yield f"\n{_escaped(taken)}, {results.seconds:.0f} s\n"
    yield f"![Topology with the state of tunnels and BGP sessions]({PICTURE})\n"


def _section(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], level: int = 2
) -> Iterator[str]:
    """A heading and a table; nothing where there is nothing."""
    lines = [_line(row) for row in rows]
    if lines:
        yield f"{'#' * level} {title}\n"
        yield _line(columns)
        yield "|" + "---|" * len(columns)
        yield from lines
        yield ""


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _check(row: Check) -> tuple[str, ...]:
    return _verdict(passed=row.passed), row.name, row.detail, f"{row.seconds:.1f}"


def _failures(failures: Sequence[Failure]) -> Iterator[str]:
    yield from _section(
        "Failures",
        ("", "what was done", "connectivity lost, s", "allowed, s", "bounded by", "what was seen"),
        [_failure(row) for row in failures],
    )
    yield from _section(
        "Alerts that fired",
        ("failure", "alerts"),
        [(row.name, row.alerts) for row in failures if row.alerts],
        level=3,
    )
    yield from _section(
        "Connectivity lost",
        ("failure", "from", "to", "address", "s", "requests lost", "when, s after it"),
        [_outage(row.name, outage) for row in failures for outage in row.outages],
        level=3,
    )


def _failure(row: Failure) -> tuple[str, ...]:
    longest = max((outage.seconds for outage in row.outages), default=None)
    lost = "not measured" if longest is None else f"{longest:.1f}"
    verdict = _verdict(passed=row.passed)
    return verdict, row.name, lost, f"{row.allowed:.1f}", row.bound, row.detail


def _outage(name: str, outage: Outage) -> tuple[str, ...]:
    windows = ", ".join(
        f"{window.start:.1f} to {window.start + window.seconds:.1f}" for window in outage.windows
    )
    asked = f"{outage.lost} of {outage.lost + outage.replies}"
    names = (name, outage.source, outage.target, outage.address)
    return *names, f"{outage.seconds:.1f}", asked, windows


def _tunnel(tunnel: TunnelState) -> tuple[str, ...]:
    mss = f"{tunnel.mss4}/{tunnel.mss6}" if tunnel.mss4 or tunnel.mss6 else "-"
    names = (tunnel.gateway, tunnel.interface, tunnel.peer, tunnel.state)
    return *names, str(tunnel.mtu or "-"), mss, tunnel.bgp_state or "-", tunnel.reason


def _verdict(*, passed: bool) -> str:
    return "PASS" if passed else "FAIL"


# --- what the commands said ----------------------------------------------------------------------


def _commands(results: Results) -> Iterator[str]:
    rows: list[Check | Failure] = [*results.checks, *results.failures]
    rows = [row for row in rows if row.commands]
    if rows:
        yield "## What the commands said\n"
    for row in rows:
        title = html.escape(_plain(row.name))
        yield f"<details><summary>{_verdict(passed=row.passed)} {title}</summary>\n"
        for command in row.commands[:COMMANDS]:
            yield from _fenced(command)
        if len(row.commands) > COMMANDS:
            yield f"{len(row.commands) - COMMANDS} more commands are in report.json.\n"
        yield "</details>\n"


def _fenced(command: Command) -> Iterator[str]:
    """A command and its output in a fence longer than any in the text."""
    lines = [_cut(line) for line in _printable(command.output).splitlines()]
    more = [f"… {len(lines) - LINES} more lines"] if len(lines) > LINES else []
    text = "\n".join([f"[{command.netns}] {_cut(_plain(command.line))}", *lines[:LINES], *more])
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`+", text))])
    yield f"{fence}text\n{text}\n{fence}\n"


def _cut(line: str) -> str:
    return line if len(line) <= LETTERS else f"{line[:LETTERS]}…"


def _printable(text: str) -> str:
    """Text without what a terminal or a browser would act upon; lines and tabs stay."""
    kept = (letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)
    return "".join(kept).expandtabs()


def _plain(text: str) -> str:
    """Text as one printable line."""
    return " ".join(_printable(text).split())


def _escaped(text: str) -> str:
    """Text as one line that means nothing to Markdown: it may stand in a cell (CommonMark, 2.4).

    Nor is a link made of what looks like an address (GitHub's autolinks).
    """
    return re.sub(r"([\\`*_\[\]<>|~&$@]|:(?=//)|(?<=www)\.)", r"\\\1", _plain(text))
