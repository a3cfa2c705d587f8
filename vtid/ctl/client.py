"""Client: asks the daemon over its control socket.

Rules of this file:

* One request per connection, in HTTP/1.0: the standard library's client takes longer to import than
  everything else that `vtictl status` does.
* Whatever goes wrong is a `RemoteError`: one line with the way out, and an exit status.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

Json = dict[str, Any]

OK = 0
TROUBLE = 1
"""Something is wrong, was refused, or did not come in time."""
TO_DO = 2
"""`vtictl plan` has operations."""
UNREACHABLE = 3
USAGE = 64
"""EX_USAGE of sysexits.h: the command line is wrong."""

TIMEOUT = 60.0
"""Seconds to wait for an answer; a reload of thousands of tunnels takes its time."""


LOOK = 0.5
"""Seconds between two calls of `meanwhile`."""


class RemoteError(Exception):
    """The daemon cannot be reached or did not do it; `status` is the exit status."""

    def __init__(self, message: str, status: int = TROUBLE, *, is_absent: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.is_absent = is_absent
        """Whether vtid knows no such thing (HTTP 404)."""


class _NoHttpError(Exception):
    """What answers is no HTTP server, or was interrupted."""


def ask(
    path: str,
    method: str,
    target: str,
    timeout: float = TIMEOUT,
    body: bytes = b"",
    *,
    meanwhile: Callable[[], None] | None = None,
) -> Json:
    """Make a request and give its JSON; a reload that was refused is an answer, too.

    `meanwhile` is called again and again until the answer comes. Raises RemoteError where there
    is no answer, or one that says what went wrong.
    """
    status, text = request(path, method, target, timeout, body, meanwhile=meanwhile)
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise RemoteError(f"no vtid answers on {path}; check --socket", UNREACHABLE)
    if "error" in answer and status >= 400:  # noqa: PLR2004 - HTTP client and server errors
        raise RemoteError(str(answer["error"]), is_absent=status == 404)  # noqa: PLR2004
    return answer


def request(
    path: str,
    method: str,
    target: str,
    timeout: float = TIMEOUT,
    body: bytes = b"",
    *,
    meanwhile: Callable[[], None] | None = None,
) -> tuple[int, str]:
    """Make a request over the Unix socket `path`; return the HTTP status and the body.

    `target` is ASCII without spaces, `meanwhile` as in `ask`. Raises RemoteError where there is no
    answer.
    """
    try:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {target} HTTP/1.0\r\n{length}\r\n".encode("ascii")
        return _parsed(_exchange(path, head + body, timeout, meanwhile))
    except (OSError, _NoHttpError) as error:
        raise RemoteError(unreachable(path, error, timeout), UNREACHABLE) from error


def _exchange(
    path: str, question: bytes, timeout: float, meanwhile: Callable[[], None] | None
) -> bytes:
    import socket  # noqa: PLC0415 - `vtictl mtu` need not wait for it

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout)
        link.connect(path)
        link.sendall(question)
        if meanwhile:
            _wait(link, timeout, meanwhile)
        with link.makefile("rb") as answer:
            return answer.read()


def _wait(link: socket, timeout: float, meanwhile: Callable[[], None]) -> None:
    """Wait for the first of the answer, `timeout` seconds at most. Raises TimeoutError."""
    import select  # noqa: PLC0415 - as above
    import time  # noqa: PLC0415

    deadline = time.monotonic() + timeout
    while not select.select([link], [], [], LOOK)[0]:
        if time.monotonic() > deadline:
            raise TimeoutError
        meanwhile()


def _parsed(answer: bytes) -> tuple[int, str]:
    """Take an HTTP response apart (RFC 9112). Raises _NoHttpError."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    protocol, _, rest = first.partition(" ")
    code = rest[:3]
    if not protocol.startswith("HTTP/1.") or not (code.isascii() and code.isdecimal()):
        raise _NoHttpError("what answers there is not vtid")
    for field in fields:
        name, _, value = field.partition(":")
        if name.lower() == "content-length" and value.strip() != str(len(body)):
            raise _NoHttpError("the answer was cut off")
    return int(code), body.decode("utf-8", "replace")


def unreachable(path: str, error: Exception, timeout: float = TIMEOUT) -> str:
    """Return a line for an operator, with the way out."""
    if isinstance(error, FileNotFoundError):
        way_out = "there is no such socket: is vtid running? (systemctl status vtid; --socket)"
    elif isinstance(error, ConnectionRefusedError):
        way_out = "connection refused: vtid is not running (systemctl start vtid)"
    elif isinstance(error, PermissionError):
        way_out = (
            "permission denied: run vtictl as root or as a member of the socket's group, or see "
            "with --socket and the read-only socket"
        )
    elif isinstance(error, TimeoutError):
        way_out = f"no answer in {timeout:.0f} s: see vtid's log (journalctl -u vtid)"
    else:
        way_out = f"{error or type(error).__name__}; see vtid's log (journalctl -u vtid)"
    return f"cannot reach vtid on {path}: {way_out}"
