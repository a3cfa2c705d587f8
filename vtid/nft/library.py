"""Edge: libnftables and the generation of the ruleset, from within one thread and namespace.

Rules of this file:

* A context and a socket belong to the namespace of the thread that opened them.
* libnftables promises nothing about threads, so one lock holds them apart; a command takes a
  fraction of a millisecond.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

LIBRARY = "libnftables.so.1"

OUTPUT_JSON = 1 << 4
"""NFT_CTX_OUTPUT_JSON (nftables/libnftables.h)."""

NETLINK_NETFILTER = 12
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NFNLGRP_NFTABLES = 7
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
NFT_MSG_GETGEN = (10 << 8) | 16
NFT_MSG_NEWGEN = (10 << 8) | 15
NFTA_GEN_ID = 1
"""linux/netlink.h, linux/netfilter/nfnetlink.h and nf_tables.h."""

DATAGRAM = 1 << 16
"""Longest datagram of a list (NLMSG_GOODSIZE is less)."""

MAX_ERRNO = 4095
"""linux/err.h; other numbers have no words."""

NLMSGHDR = struct.Struct("=IHHII")
NFGENMSG = struct.Struct("!BBH")
NLATTR = struct.Struct("=HH")

PRIVILEGE = "run vtid as root or with CAP_NET_ADMIN"

_lock = threading.Lock()


class NftError(Exception):
    """nftables cannot be used or refused a transaction; the text says what to do."""


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NftError(
            f"{LIBRARY} is missing, so MSS cannot be clamped: install libnftables1 (Debian) or "
            "nftables, or set mss_clamp = false"
        ) from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    return library


class Nftables:
    """A libnftables context, and the generation of the ruleset it talks to."""

    def __init__(self) -> None:
        self._library = _library()
        with _lock:
            self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
            self._library.nft_ctx_buffer_output(self._context)
            self._library.nft_ctx_buffer_error(self._context)
        self._socket = _netlink_socket()
        self._socket.settimeout(5)

    def close(self) -> None:
        """Free the context and close its sockets."""
        self._socket.close()
        with _lock:
            self._library.nft_ctx_free(self._context)

    def run(self, commands: str) -> None:
        """Run commands as one transaction; raises NftError."""
        self._run(commands, 0)

    def list(self, what: str) -> str:
        """Return the JSON of `list` + `what`; raises NftError."""
        return self._run(f"list {what}", OUTPUT_JSON)

    def _run(self, commands: str, flags: int) -> str:
        with _lock:
            self._library.nft_ctx_output_set_flags(self._context, flags)
            failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode("ascii"))
            output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
            error: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise _refusal(error.decode("utf-8", "replace"))
        return output.decode("utf-8", "replace")

    def dump(self, request: bytes) -> Generator[bytes]:
        """Send a request that is answered with a list; yield its datagrams until closed.

        Raises NftError.
        """
        try:
            with _netlink_socket() as link:
                link.settimeout(5)
                link.send(request)
                while True:
                    yield link.recv(DATAGRAM)
        except OSError as error:
            raise NftError(f"nftables does not answer: {error}") from error

    def generation(self) -> int:
        """Return the number of the ruleset's last transaction (nf_tables_getgen)."""
        request = NLMSGHDR.pack(20, NFT_MSG_GETGEN, NLM_F_REQUEST, 0, 0) + NFGENMSG.pack(0, 0, 0)
        try:
            self._socket.send(request)
            return parse_generation(self._socket.recv(4096))
        except OSError as error:
            raise NftError(f"nftables does not answer: {error}") from error


def parse_generation(message: bytes) -> int:
    """Return NFTA_GEN_ID of an NFT_MSG_NEWGEN; raises NftError for anything else."""
    try:
        return _generation(message)
    except struct.error as error:
        raise NftError("nftables answers with a message that is cut short") from error


def check_error(kind: int, body: bytes) -> None:
    """Raise NftError if a message is one of the kernel's errors."""
    if kind == NLMSG_ERROR:
        (number,) = struct.unpack_from("=i", body)
        reason = os.strerror(-number) if -MAX_ERRNO <= number <= 0 else f"error {number}"
        raise NftError(f"nftables is not usable: {reason}: {PRIVILEGE}")


def _generation(message: bytes) -> int:
    length, kind, *_ = NLMSGHDR.unpack_from(message)
    check_error(kind, message[NLMSGHDR.size :])
    if kind != NFT_MSG_NEWGEN:
        raise NftError(f"nftables answers with message type {kind}")
    position = NLMSGHDR.size + NFGENMSG.size
    while position < min(length, len(message)):
        size, attribute = NLATTR.unpack_from(message, position)
        if attribute == NFTA_GEN_ID:
            return int(struct.unpack_from("!I", message, position + NLATTR.size)[0])
        position += max(NLATTR.size, (size + 3) & ~3)
    raise NftError("nftables does not tell the generation of its ruleset")


def _refusal(text: str) -> NftError:
    """Take the sentence out of nft's error, which is followed by the text and a marker."""
    first = (text.strip() or "no reason given").splitlines()[0].removeprefix("Error: ")
    way_out = f": {PRIVILEGE}" if "Operation not permitted" in first else ""
    return NftError(f"nftables refused: {first}{way_out}")


def _netlink_socket() -> socket.socket:
    try:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    except OSError as error:
        raise NftError(f"this kernel has no nftables: {error.strerror}; load nf_tables") from error


def open_events() -> socket.socket:
    """Open a socket that becomes readable with each transaction of the thread's namespace."""
    events = _netlink_socket()
    try:
        events.setblocking(False)  # noqa: FBT003 - the standard library's signature
        events.bind((0, 0))
        events.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
    except OSError as error:
        events.close()
        raise NftError(f"nftables cannot be watched: {error.strerror}: {PRIVILEGE}") from error
    return events
