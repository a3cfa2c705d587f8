"""Unit log: the last lines of vtid's unit in systemd's journal, for others. Part of the edge.

Rules of this file:

* A line of vtid's is a record (`log`); of those that may quote a secret, the head is shown, as in
  the journal of events (`http/journal.py`).
* Of a traceback, places and the class of the error are shown. What else the process wrote is not.
* Lines of systemd about the unit are shown.
"""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vtid.daemon.looks import UnseenError
from vtid.http.journal import NOT_PUBLIC
from vtid.scrub import QUOTES_VARS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNIT = "vtid.service"

LINES = 1000

_COMMAND = ("journalctl", "--quiet", "--no-pager", "--output=json", f"--lines={LINES}", "--unit")

_TIMEOUT = 20.0
"""Seconds."""

_WORD = re.compile(r'([\w.-]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)')

_PLACE = re.compile(
    r'\s+File "[^"]*", line \d+, in [\w<>.]+$|Traceback \(most recent call last\):$'
)

_ERROR = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit))(?::|$)")

_HEAD = ("ts", "level", "msg", "tunnel")

NOT_SHOWN = "(not shown)"


def unit_log(unit: str = UNIT) -> str:
    """Return the last lines. Raises UnseenError where there are none."""
    try:
        done = subprocess.run([*_COMMAND, unit], capture_output=True, timeout=_TIMEOUT, check=False)
    except FileNotFoundError as error:
        raise UnseenError("this machine has no journalctl") from error
    except subprocess.TimeoutExpired as error:
        raise UnseenError(f"journalctl did not answer in {_TIMEOUT:.0f} s") from error
    text = "".join(
        f"{line}\n" for line in shown(done.stdout.decode("utf-8", "replace").splitlines())
    )
    if not text:
        raise UnseenError(f"systemd's journal has nothing of {unit}, or not for this user")
    return text


def shown(entries: Iterable[str]) -> Iterator[str]:
    """Yield what may be shown of the journal's entries, which are JSON."""
    for entry in entries:
        try:
            found = json.loads(entry)
            at = int(found["__REALTIME_TIMESTAMP"]) / 1e6
            text = found["MESSAGE"]
        except (ValueError, KeyError, TypeError):
            continue
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        is_systemd = found.get("SYSLOG_IDENTIFIER") == "systemd" and found.get("_PID") == "1"
        if isinstance(text, str):  # an array of bytes is no text
            yield f"{moment} {f'systemd: {text}' if is_systemd else line(text)}"


def line(text: str) -> str:
    """Return what may be shown of a line that vtid wrote."""
    if (record := _record(text)) is not None:
        return json.dumps(_public(record))
    if _PLACE.match(text):
        return text
    error = _ERROR.match(text)
    return f"{error[1]}: {NOT_SHOWN}" if error else NOT_SHOWN


def _record(text: str) -> dict[str, Any] | None:
    """Return the fields of a record, in either format; None for anything else."""
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            return None
        return found if isinstance(found, dict) and "msg" in found else None
    words = dict(_words(text))
    return {key: _value(value) for key, value in words.items()} if "msg" in words else None


def _words(text: str) -> list[tuple[str, str]]:
    """Return keys and values of `key=value` words with a space between; none for anything else.

    Word by word from the start: a search would begin at each character of a long word that is none.
    """
    words, at = [], 0
    while found := _WORD.match(text, at):
        words.append((found[1], found[2]))
        if found.end() == len(text):
            return words
        if text[found.end()] != " ":
            break
        at = found.end() + 1
    return []


def _value(text: str) -> str:
    try:
        return str(json.loads(text)) if text.startswith('"') else text
    except ValueError:  # escaped otherwise than JSON does
        return text


def _public(record: dict[str, Any]) -> dict[str, Any]:
    hides = record["msg"] in NOT_PUBLIC or QUOTES_VARS in json.dumps(record, ensure_ascii=False)
    facts = {key: fact for key, fact in record.items() if not hides or key in _HEAD}
    if "exception" in facts:
        facts["exception"] = [line(one) for one in str(facts["exception"]).splitlines()]
    return facts
