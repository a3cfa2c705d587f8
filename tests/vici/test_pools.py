"""Pools of virtual IPs, as charon tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.charon import Pool
from vtid.vici.pools import MOST, read_pools

if TYPE_CHECKING:
    from vtid.vici.codec import Message


def _pool(**changes: bytes) -> Message:
    return {"base": b"10.3.0.1", "size": b"254", "online": b"3", "offline": b"1", **changes}


def test_size_and_use() -> None:
    answer: Message = {"six": _pool(size=b"65534", online=b"0"), "four": _pool()}
    assert read_pools(answer) == (Pool("four", 254, 3, 1), Pool("six", 65534, 0, 1))


def test_what_is_no_pool_is_left_out() -> None:
    answer: Message = {
        "good": _pool(),
        "odd": _pool(size=b"many"),
        "short": {"size": b"1"},
        "success": b"yes",
    }
    assert [pool.name for pool in read_pools(answer)] == ["good"]
    assert read_pools({}) == ()


def test_there_is_a_limit() -> None:
    assert len(read_pools({f"pool{number}": _pool() for number in range(2 * MOST)})) == MOST
