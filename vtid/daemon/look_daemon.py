"""Look at the vtid that runs: the process that listens on the control socket."""

from __future__ import annotations

import re
import socket
import struct
from typing import TYPE_CHECKING

from vtid.daemon.looks import UnseenError, read

if TYPE_CHECKING:
    from pathlib import Path

    from vtid.config.keys import Config

_TIMEOUT = 2.0
"""Seconds to wait for the control socket."""


def capabilities(config: Config, root: Path) -> int:
    """Return the effective capabilities of the vtid that listens."""
    pid = process(config.daemon.control_socket)
    status = read(root / f"proc/{pid}/status") or ""
    line = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    if line is None:
        raise UnseenError(f"there is no /proc/{pid}/status: it runs elsewhere, as in a container")
    return int(line[1], 16)


def process(control: str) -> int:
    """Return the number of the process that listens on a socket."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(_TIMEOUT)
            link.connect(control)
            found = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except PermissionError:
        raise UnseenError(f"{control} is not for this user: run it as root") from None
    except OSError as error:
        raise UnseenError(f"none listens on {control}: {error.strerror or error}") from error
    pid, _, _ = struct.unpack("3i", found)
    return int(pid)
