"""Stream: the daemon's events as they come (server-sent events, WHATWG HTML, section 9.2).

Rules of this file:

* Those of `client`: HTTP/1.0, where the end of the connection is the end of the answer.
* The daemon says something every 15 seconds. One that says nothing for longer is away.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from vtid.ctl.client import TROUBLE, UNREACHABLE, RemoteError, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TIMEOUT = 45.0
"""Seconds without a word."""

_LINE_MAX = 1024 * 1024
"""Bytes; vtid's own lines are far shorter."""

_OK = 200


class Message(NamedTuple):
    """A message, or only the position in the stream where it has no data."""

    id: str
    type: str = ""
    """Empty for an ordinary event."""
    data: str = ""


def messages(path: str, target: str, last_id: str) -> Iterator[Message]:
    """Yield what comes behind `last_id`, until the daemon ends the connection.

    Raises RemoteError where it cannot be reached, or refuses.
    """
    import socket  # noqa: PLC0415 - `vtictl mtu` need not wait for it

    resume = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(TIMEOUT)
            link.connect(path)
            link.sendall(f"GET {target} HTTP/1.0\r\n{resume}\r\n".encode("ascii"))
            with link.makefile("rb") as answer:
                _check(path, answer)
                yield from parsed(_lines(answer))
    except OSError as error:
        raise RemoteError(unreachable(path, error, TIMEOUT), UNREACHABLE) from error


def _check(path: str, answer: BinaryIO) -> None:
    """Read the head of the answer. Raises RemoteError if it is not a stream."""
    protocol, _, rest = answer.readline(_LINE_MAX).partition(b" ")
    while answer.readline(_LINE_MAX) not in {b"\r\n", b""}:
        pass
    if rest[:3] == str(_OK).encode():
        return
    try:
        error = str(json.loads(answer.read(_LINE_MAX))["error"])
    except (ValueError, LookupError, TypeError):
        ended = not protocol
        what = "the connection ended" if ended else "no vtid answers, or one without events"
        raise RemoteError(f"{what} on {path}; check --socket", UNREACHABLE) from None
    raise RemoteError(error, TROUBLE)


def _lines(answer: BinaryIO) -> Iterator[str]:
    while line := answer.readline(_LINE_MAX):
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def parsed(lines: Iterable[str]) -> Iterator[Message]:
    """Take a stream apart; what is not whole at its end is left out."""
    found: dict[str, str] = {}
    data: list[str] = []
    for line in lines:
        if not line:
            if found or data:
                yield Message(found.get("id", ""), found.get("event", ""), "\n".join(data))
            found, data = {}, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name in {"id", "event"}:
            found[name] = value
