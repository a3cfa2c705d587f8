"""Echo requests of a size, and answers: what is not ours is no answer, and nothing is an error."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from

from vtid.kernel.icmp import IPV4_HEADER, IPV6_HEADER, Answer, answer, request

SECRET = b"8 bytes!"
HEADERS = {4: IPV4_HEADER, 6: IPV6_HEADER}

sizes = integers(68, 9000)
families = sampled_from((4, 6))
numbers = integers(0, 2**64 - 1)


def replied(family: int, message: bytes) -> bytes:
    """What a raw socket gives of the answer to a request, with IPv4 options none."""
    kind = {4: 0, 6: 129}[family]
    header = bytes([0x45]) + bytes(IPV4_HEADER - 1) if family == 4 else b""
    return header + bytes([kind]) + message[1:]


def internet_checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@given(family=families, number=numbers, size=sizes, identifier=integers(0, 0xFFFF))
def test_an_answer_says_which_request_and_how_large(
    family: int, number: int, size: int, identifier: int
) -> None:
    message = request(family, identifier, SECRET, number, size)
    assert len(message) + HEADERS[family] == size
    packet = replied(family, message)
    assert answer(family, identifier, SECRET, packet) == Answer(number, size)
    assert answer(family, identifier ^ 1, SECRET, packet) is None
    assert answer(family, identifier, b"guessed!", packet) is None


@given(number=numbers, size=sizes)
def test_the_checksum_of_icmp_is_right(number: int, size: int) -> None:
    assert internet_checksum(request(4, 7, SECRET, number, size)) == 0


@given(family=families)
def test_a_request_of_ours_is_no_answer(family: int) -> None:
    message = request(family, 7, SECRET, 1, 100)
    header = bytes([0x45]) + bytes(19) if family == 4 else b""
    assert answer(family, 7, SECRET, header + message) is None


@given(family=families, packet=binary(max_size=200))
def test_whatever_arrives_is_no_error(family: int, packet: bytes) -> None:
    assert answer(family, 7, SECRET, packet) is None


def test_ipv4_options_are_skipped() -> None:
    packet = bytes([0x46]) + bytes(23) + replied(4, request(4, 7, SECRET, 3, 100))[20:]
    assert answer(4, 7, SECRET, packet) == Answer(3, 104)


@pytest.mark.parametrize(("family", "least"), [(4, 44), (6, 64)])
def test_the_smallest_request(family: int, least: int) -> None:
    assert len(request(family, 7, SECRET, 1, least)) + HEADERS[family] == least
    with pytest.raises(ValueError, match="no room"):
        request(family, 7, SECRET, 1, least - 1)
