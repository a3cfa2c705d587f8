"""Counters of the clamp's rules, from the kernel's own list of them (NFT_MSG_GETRULE). Pure.

libnftables lists all elements of a table before it tells one counter, half a second with 10,000
interfaces; the list of the rules alone has a few kilobytes, with any number of them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from vtid.nft.library import NFGENMSG, NLATTR, NLMSGHDR, NftError, check_error
from vtid.nft.ruleset import MAPS, TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

NFPROTO_INET = 1
NFT_MSG_NEWRULE = (10 << 8) | 6
NFT_MSG_GETRULE = (10 << 8) | 7
NFTA_RULE_TABLE, NFTA_RULE_EXPRESSIONS = 1, 4
NFTA_EXPR_NAME, NFTA_EXPR_DATA = 1, 2
NFTA_LOOKUP_SET, NFTA_COUNTER_PACKETS = 1, 2
NLM_F_REQUEST_DUMP = 1 | 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
"""linux/netlink.h and linux/netfilter/nf_tables.h."""

_TYPE_MASK = 0x3FFF
"""What is left of an attribute's type without the flag of nesting."""

_PACKETS = struct.Struct("!Q")


def request() -> bytes:
    """Return the request for all rules of table `inet vtid`."""
    name = TABLE.encode() + b"\0"
    attribute = NLATTR.pack(NLATTR.size + len(name), NFTA_RULE_TABLE) + name
    body = NFGENMSG.pack(NFPROTO_INET, 0, 0) + attribute + b"\0" * (-len(attribute) % 4)
    size = NLMSGHDR.size + len(body)
    return NLMSGHDR.pack(size, NFT_MSG_GETRULE, NLM_F_REQUEST_DUMP, 0, 0) + body


def parse(datagram: bytes) -> tuple[dict[str, int], bool]:
    """Return the packets that the rules over each map have counted, and whether more follows.

    Raises NftError for an error of the kernel's, and for what is no answer.
    """
    packets: dict[str, int] = {}
    try:
        for kind, body in _messages(datagram):
            check_error(kind, body)
            if kind == NLMSG_DONE:
                return packets, False
            if kind == NFT_MSG_NEWRULE:
                name, count = _rule(body[NFGENMSG.size :])
                if name in MAPS:
                    packets[name] = packets.get(name, 0) + count
    except struct.error as error:
        raise NftError("nftables answers with a message that is cut short") from error
    return packets, True


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(datagram):
        size, kind, *_ = NLMSGHDR.unpack_from(datagram, position)
        yield kind, datagram[position + NLMSGHDR.size : position + size]
        position += max(NLMSGHDR.size, (size + 3) & ~3)


def _rule(body: bytes) -> tuple[str, int]:
    """Return the map that a rule looks at and the packets that it counted."""
    name, count = "", 0
    for kind, expressions in _attributes(body):
        if kind != NFTA_RULE_EXPRESSIONS:
            continue
        for _, expression in _attributes(expressions):
            parts = dict(_attributes(expression))
            what = parts.get(NFTA_EXPR_NAME, b"").rstrip(b"\0")
            data = dict(_attributes(parts.get(NFTA_EXPR_DATA, b"")))
            if what == b"lookup" and NFTA_LOOKUP_SET in data:
                name = data[NFTA_LOOKUP_SET].rstrip(b"\0").decode("ascii", "replace")
            if what == b"counter" and NFTA_COUNTER_PACKETS in data:
                (count,) = _PACKETS.unpack(data[NFTA_COUNTER_PACKETS])
    return name, count


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        size, kind = NLATTR.unpack_from(data, position)
        yield kind & _TYPE_MASK, data[position + NLATTR.size : position + size]
        position += max(NLATTR.size, (size + 3) & ~3)


class Growth:
    """Sums of counters that begin at 0 again whenever their table is made anew."""

    def __init__(self) -> None:
        self.total: dict[str, int] = {}
        """Since the first reading, by map."""
        self._last: dict[str, int] | None = None

    def read(self, now: dict[str, int]) -> None:
        """Add what was counted since the last reading."""
        last = now if self._last is None else self._last
        for name, count in now.items():
            before = last.get(name, 0)
            grown = count - (before if before <= count else 0)
            self.total[name] = self.total.get(name, 0) + grown
        self._last = now
