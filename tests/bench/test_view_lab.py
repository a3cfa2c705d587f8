"""The kernel's events are counted as what they are, and what is waited for is known at once."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.bench import view
from tests.bench.view import View

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

MAP = "add map inet vtid {} {{ typeof oifname : tcp option maxseg size; }}"


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def nft(text: str) -> None:
    subprocess.run(["nft", text], check=True)


def counts(seen: View) -> tuple[int, int, int]:
    return seen.links, seen.up, seen.clamps


async def test_interfaces_and_clamps_are_counted_as_they_come_and_go() -> None:
    nft("; ".join(("add table inet vtid", MAP.format("mss6_out"), MAP.format("mss6_in"))))
    with View() as seen:
        for name in ("one", "two"):
            ip(f"link add {name} type veth peer name to_{name}")
            ip(f"link set {name} up")
            ip(f"link set {name} mtu 1400")
        nft('add element inet vtid mss6_out { "one" : 1340, "two" : 1340 }')
        nft('add element inet vtid mss6_in { "one" : 1340, "three" : 1340 }')
        await seen.complete(2)
        assert counts(seen) == (4, 2, 2)
        ip("link set one down")
        nft('delete element inet vtid mss6_out { "two" }')
        await seen.until(lambda: seen.up == seen.clamps == 1)
        ip("link del one")
        ip("link del two")
        await seen.until(lambda: seen.links == 0)
        assert counts(seen) == (0, 0, 1)
    nft("delete table inet vtid")


async def test_the_moment_is_that_of_the_last_event() -> None:
    with View() as seen:
        ip("link add three type veth peer name to_three")
        before = time.perf_counter()
        ip("link set three up")
        assert before < await seen.until(lambda: seen.up == 1) < time.perf_counter()
        ip("link del three")


async def test_what_does_not_come_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "PATIENCE", 0.01)
    with View() as seen, pytest.raises(TimeoutError, match="0 interfaces, 0 up, 0 clamped"):
        await seen.complete(1)
