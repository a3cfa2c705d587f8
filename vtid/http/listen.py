"""Listen: the sockets that the HTTP server answers on, and who is at their other end. An edge.

A control socket gets its final name and mode before anyone can connect: between bind(2) and
listen(2) the kernel refuses connections. An existing socket file is removed only if no process
answers on it. A lock on a file beside it prevents two daemons that start at the same moment from
taking the same path; the kernel drops the lock with the process, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import ipaddress
import os
import socket
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vtid.http.admission import Client, client_at

if TYPE_CHECKING:
    import asyncio

CONTROL_MODE = 0o660
"""Who may write to the control socket may rule vtid: its owner and group."""

_UCRED = struct.Struct("3i")
"""struct ucred: process, user, group (unix(7))."""


_ACL = "system.posix_acl_access"
_ACL_VERSION = struct.Struct("<I")
_ACL_ENTRY = struct.Struct("<HHI")
"""Tag, permissions and ID (linux/posix_acl_xattr.h)."""
_USER_OBJ, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x04, 0x08, 0x10, 0x20
_NO_ID, _READ_WRITE = 0xFFFFFFFF, 0o6


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who is at the other end of a Unix socket, as it was when it connected (SO_PEERCRED)."""

    process: int
    user: int
    group: int


class ServerError(Exception):
    """The server cannot listen; the text names the setting, the cause and the way out."""


def client_of(transport: asyncio.Transport) -> Client | None:
    """Return who connected; None where the client has gone already."""
    if who := credentials_of(transport):
        return Client(f"process {who.process}", f"user {who.user}")
    name = transport.get_extra_info("peername")
    return client_at(name[0]) if name else None


def credentials_of(transport: asyncio.BaseTransport) -> Credentials | None:
    """Return who connected to a Unix socket; None for other sockets."""
    connected = transport.get_extra_info("socket")
    if connected.family != socket.AF_UNIX:
        return None
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Credentials(*_UCRED.unpack(found))


def parse_address(text: str) -> tuple[str, int]:
    """Split `127.0.0.1:9814`, `[::1]:9814` or `localhost:9814` into host and port.

    Port 0 lets the kernel choose. Raises ServerError for anything else.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        well_formed = _is_ipv6(host)
    else:
        well_formed = bool(host) and ":" not in host
    if not (colon and well_formed and port.isascii() and port.isdecimal() and int(port) < 1 << 16):
        raise ServerError(
            f"[daemon] metrics: {text!r} is no address to listen on; "
            'write "127.0.0.1:9814" or "[::1]:9814"'
        )
    return host, int(port)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def metrics_refusal(address: str, error: OSError) -> ServerError:
    """Return why a metrics address cannot be listened on, and the way out."""
    ways_out = {
        errno.EADDRINUSE: "something else listens there: stop it or choose another port",
        errno.EADDRNOTAVAIL: "this machine does not have that address: choose one that it has",
        errno.EACCES: "ports below 1024 take CAP_NET_BIND_SERVICE: choose a higher one",
    }
    cause = error.strerror or str(error)
    # asyncio of Python 3.13 passes over an address that is not there, and has no errno in the end.
    number = error.errno or errno.EADDRNOTAVAIL
    way_out = ways_out.get(number, f"{cause}; check the address")
    return ServerError(f"[daemon] metrics: cannot listen on {address}: {way_out}")


class ControlSocket:
    """The control socket, bound with mode 0660 and ready for listen(2).

    `key` is that of the configuration. With a group, its members may connect as well. Raises
    ServerError when another vtid answers there, or when the place or the group is not to be had.
    """

    def __init__(self, path: str, key: str = "control_socket", group: str = "") -> None:
        self._path = Path(path)
        self._key = key
        self._lock = _locked(path, key)
        try:
            _clear(path, key)
            self._bind(path, group)
        except ServerError:
            os.close(self._lock)
            raise

    def _bind(self, path: str, group: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.bind(path)
            self._path.chmod(CONTROL_MODE)
            self._inode = self._path.stat().st_ino
        except OSError as error:
            self.socket.close()
            raise _socket_refusal(path, error, self._key) from error
        if group:
            self._let_in(group)
        self.socket.settimeout(0)

    def _let_in(self, group: str) -> None:
        try:
            _let_in(self._path, group)
        except (KeyError, OSError) as error:
            self.socket.close()
            with suppress(OSError):
                self._path.unlink()
            raise _group_refusal(self._path, group, error) from error

    def close(self) -> None:
        """Close the socket, and remove its file unless another process has taken the name."""
        self.socket.close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        os.close(self._lock)


def _let_in(path: Path, group: str) -> None:
    """Let the members of a group connect, by an ACL (acl(5)).

    chgrp would take that vtid is a member, and a system call that its unit does without.
    """
    number = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    entries = (
        (_USER_OBJ, _READ_WRITE, _NO_ID),
        (_GROUP_OBJ, _READ_WRITE, _NO_ID),
        (_GROUP, _READ_WRITE, number),
        (_MASK, _READ_WRITE, _NO_ID),
        (_OTHER, 0, _NO_ID),
    )
    packed = b"".join(_ACL_ENTRY.pack(*entry) for entry in entries)
    os.setxattr(path, _ACL, _ACL_VERSION.pack(2) + packed)


def _group_refusal(path: Path, group: str, error: KeyError | OSError) -> ServerError:
    if isinstance(error, KeyError):
        why = f"there is no group {group}: `groupadd --system {group}` makes it"
    elif error.errno == errno.EOPNOTSUPP:
        why = f"the file system of {path} has no ACLs: choose a read_only_socket below /run"
    else:
        why = f"cannot let the group {group} use {path}: {error.strerror}"
    return ServerError(f"[daemon] read_only_group: {why}")


def _locked(path: str, key: str) -> int:
    """Take the place's lock; the file stays, since who removes it could remove a newer one."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _socket_refusal(path, error, key) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise _taken(path, key) from None
    return descriptor


def _taken(path: str, key: str) -> ServerError:
    return ServerError(
        f"[daemon] {key}: another vtid is running and has {path}: "
        "stop it, or give this one a socket of its own"
    )


def _clear(path: str, key: str) -> None:
    """Remove a socket file on which no process answers."""
    try:
        mode = Path(path).lstat().st_mode
    except OSError:
        return  # absent, or the bind will say what is wrong
    if not stat.S_ISSOCK(mode):
        raise ServerError(f"[daemon] {key}: {path} is in the way and no socket: move it away")
    if _answers(path):
        raise _taken(path, key)
    with suppress(OSError):  # the bind will say what is wrong
        Path(path).unlink()


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(path)
        except OSError as error:
            return error.errno != errno.ECONNREFUSED  # a full backlog also means a running process
    return True


def _socket_refusal(path: str, error: OSError, key: str) -> ServerError:
    directory = os.path.dirname(path) or "."  # noqa: PTH120 - the text as configured
    ways_out = {
        errno.ENOENT: f"the directory {directory} is missing: create it "
        "(RuntimeDirectory=vtid does for /run/vtid)",
        errno.EACCES: f"no permission to write to {directory}: run vtid as root, "
        "or choose another place",
        errno.EROFS: f"{directory} is read-only: choose another place",
        errno.EADDRINUSE: "another vtid took it just now: stop one of the two",
    }
    # A path over 107 bytes is refused by Python itself, without an errno.
    cause = error.strerror or str(error)
    way_out = ways_out.get(error.errno or 0, f"{cause}: choose another place")
    return ServerError(f"[daemon] {key}: cannot listen on {path}: {way_out}")
