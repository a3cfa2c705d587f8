"""Look at the vtid that runs: the process that listens on the control socket."""

from __future__ import annotations

import json
import re
import socket
import struct
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from vtid.daemon.hook_files import User
from vtid.daemon.looks import UnseenError, read
from vtid.model.bounds import Bound

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = 2.0
"""Seconds to wait for the control socket."""

_ANSWER_TIMEOUT = 10.0
"""Seconds to wait for an answer: there may be thousands of tunnels."""


def capabilities(control: str, root: Path) -> int:
    """Return the effective capabilities of the vtid that listens."""
    return int(_status(control, root)["CapEff"], 16)


def user(control: str, root: Path) -> User:
    """Return who the vtid that listens runs as."""
    status = _status(control, root)
    uid, gid = (int(status[key].split()[1]) for key in ("Uid", "Gid"))  # the effective ones
    return User(uid, frozenset({gid, *map(int, status["Groups"].split())}))


def _status(control: str, root: Path) -> dict[str, str]:
    """Return what proc_pid_status(5) has of the vtid that listens, by name."""
    pid = process(control)
    status = read(root / f"proc/{pid}/status")
    if status is None:
        raise UnseenError(f"there is no /proc/{pid}/status: it runs elsewhere, as in a container")
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", status, re.MULTILINE))


def process(control: str) -> int:
    """Return the number of the process that listens on a socket."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(_TIMEOUT)
            link.connect(control)
            found = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError as error:
        raise _absent(control, error) from error
    pid, _, _ = struct.unpack("3i", found)
    return int(pid)


def proven(control: str) -> dict[tuple[str, str], int]:
    """Return the MTU of the tunnels whose probes found that no more passes.

    By namespace and interface.
    """
    found: dict[tuple[str, str], int] = {}
    for tunnel in answer(control, "/v1/status")["tunnels"]:
        for bound in tunnel["mtu_bounds"]:
            if bound["bound"] == Bound.PROVEN:
                found[tunnel["netns"], tunnel["interface"]] = bound["inside"]
    return found


def answer(control: str, target: str) -> Any:  # noqa: ANN401 - JSON
    """Ask the vtid that listens on a socket."""
    link = _Unix(control)
    try:
        link.request("GET", target)
        answered = link.getresponse()
        found = json.load(answered)
    except OSError as error:
        raise _absent(control, error) from error
    except (HTTPException, ValueError) as error:
        raise UnseenError(f"what answers on {control} is not vtid") from error
    finally:
        link.close()
    if answered.status != HTTPStatus.OK:
        why = found.get("error") if isinstance(found, dict) else None
        raise UnseenError(f"vtid answers {answered.status} to {target}: {why or answered.reason}")
    return found


def _absent(control: str, error: OSError) -> UnseenError:
    if isinstance(error, PermissionError):
        return UnseenError(f"{control} is not for this user: run it as root")
    return UnseenError(f"none listens on {control}: {error.strerror or error}")


class _Unix(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("vtid", timeout=_ANSWER_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of an address."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
