"""ICMP and ICMPv6 echo: requests of a size, and what an answer says (RFC 792, RFC 4443). Pure.

Rules of this file:

* A size is that of the whole IP packet: the headers count.
* The data of a request begins with a secret that only this process knows and the request's number:
  who has not seen the request cannot forge its answer.
* What is no answer to us is None, never an error.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

IPV4_HEADER: Final = 20
IPV6_HEADER: Final = 40
ECHO_REPLY4: Final = 0
ECHO_REPLY6: Final = 129

_REQUEST4, _REQUEST6 = 8, 128
_HEADER = struct.Struct("!BBHHH")
"""Type, code, checksum, identifier, sequence number."""

_DATA = struct.Struct("!8sQ")
"""Secret and number."""

_CHECKSUM_AT = 2
_LENGTH_UNIT = 4
"""Bytes that IPv4's header length counts in."""


class Answer(NamedTuple):
    """An echo reply to a request of ours."""

    number: int
    size: int
    """Bytes of the IP packet."""


def request(family: int, identifier: int, secret: bytes, number: int, size: int) -> bytes:
    """Return the ICMP message of an IP packet of `size` bytes; `family` is 4 or 6.

    The kernel completes the checksum of ICMPv6, which covers addresses. Raises ValueError for a
    size that has no room for the data.
    """
    ipv6 = family == 6  # noqa: PLR2004 - the protocol's number
    padding = size - (IPV6_HEADER if ipv6 else IPV4_HEADER) - _HEADER.size - _DATA.size
    if padding < 0:
        raise ValueError(f"an echo request of {size} bytes has no room for its data")
    kind = _REQUEST6 if ipv6 else _REQUEST4
    start = _HEADER.pack(kind, 0, 0, identifier, number & 0xFFFF) + _DATA.pack(secret, number)
    if not ipv6:
        sum_at = slice(_CHECKSUM_AT, _CHECKSUM_AT + 2)
        whole = bytearray(start)
        whole[sum_at] = _checksum(start).to_bytes(2, "big")
        start = bytes(whole)
    return start + bytes(padding)


def answer(
    family: int, identifier: int, secret: bytes, packet: bytes | memoryview
) -> Answer | None:
    """Read what a raw socket received: of IPv4 the whole packet, of IPv6 the ICMPv6 message."""
    if family == 6:  # noqa: PLR2004 - the protocol's number
        start, size, kind = 0, IPV6_HEADER + len(packet), ECHO_REPLY6
    else:
        start = (packet[0] & 0xF) * _LENGTH_UNIT if packet else 0
        size, kind = len(packet), ECHO_REPLY4
    if len(packet) < start + _HEADER.size + _DATA.size:
        return None
    found, _, _, theirs, _ = _HEADER.unpack_from(packet, start)
    token, number = _DATA.unpack_from(packet, start + _HEADER.size)
    if (found, theirs, token) != (kind, identifier, secret):
        return None
    return Answer(number, size)


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes; zeros add nothing."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
