"""What vtid counts of a tunnel, beside what the kernel and charon did to it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually, run
from tests.life.gateways import PATIENCE
from tests.life.texts import CONNECTION, INTERFACE

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

PACKETS, BYTES = 20, 1000
WAYS = ("transmit", "receive")


def test_counters_go_on_when_the_interface_is_made_anew(pair: Pair) -> None:
    pair.establish()
    eventually(partial(_count, pair.a, "receive_packets"), PATIENCE)  # it has been read
    before = _counts(pair.a)
    for total in (1, 2):
        _send(pair.a)
        index = pair.a.link()["ifindex"]
        pair.a.ip("link", "del", INTERFACE)
        # its last counters came with the event, sooner than the next reading
        eventually(partial(_expect_new, pair.a, index), PATIENCE)
        _expect_more(pair.a, before, total)
        eventually(partial(_expect_ups, pair.a, before["ups"] + total), PATIENCE)
    expect("downs", _count(pair.a, "downs") - before["downs"], 2)


def test_a_rekey_is_counted_and_makes_no_series(pair: Pair) -> None:
    pair.establish()
    eventually(partial(_count, pair.a, "receive_packets"), PATIENCE)
    before, series = _counts(pair.a), _series(pair.a)
    for number in (1, 2):
        old = pair.a.child_ids()
        pair.a.charon.swanctl("--rekey", "--child", CONNECTION)
        eventually(partial(pair.a.expect_new_children, old), PATIENCE)
        expect("rekeys", _count(pair.a, "rekeys") - before["rekeys"], number)
    expect("downs", _count(pair.a, "downs"), before["downs"])
    expect("new series", _series(pair.a) - series, set())


def test_a_restart_counts_from_nothing(pair: Pair) -> None:
    pair.establish()
    eventually(partial(_count, pair.a, "receive_packets"), PATIENCE)
    before, series = _counts(pair.a), _series(pair.a)
    _send(pair.a)
    eventually(partial(_expect_more, pair.a, before, 1), PATIENCE)
    pair.a.stop_vtid()
    pair.a.start_vtid()
    eventually(pair.a.expect_up, PATIENCE)
    eventually(partial(_count, pair.a, "receive_packets"), PATIENCE)
    assert _count(pair.a, "transmit_packets") < PACKETS
    expect("ups", _count(pair.a, "ups"), 0)
    expect("new series", _series(pair.a) - series, set())


def _send(gateway: Gateway) -> None:
    ping = ("ping", "-q", "-i", "0.05", "-c", str(PACKETS), "-s", str(BYTES))
    run(gateway.netns, *ping, "10.255.0.2")


def _count(gateway: Gateway, name: str) -> float:
    return observe.metric(gateway, f"vtid_tunnel_{name}_total", tunnel=INTERFACE)


def _counts(gateway: Gateway) -> dict[str, float]:
    """What was counted so far: the vtid of the tests goes on from one to the next."""
    names = (f"{way}_{unit}" for way in WAYS for unit in ("packets", "bytes"))
    return {name: _count(gateway, name) for name in ("ups", "downs", "rekeys", *names)}


def _expect_ups(gateway: Gateway, wanted: float) -> None:
    if (seen := _count(gateway, "ups")) != wanted:
        raise CheckError(f"{gateway.name}: {seen} ups, not {wanted}")


def _expect_more(gateway: Gateway, before: dict[str, float], times: int) -> None:
    """Raise unless both ways have more than before: what `_send` sends so many times."""
    now = _counts(gateway)
    for direction in WAYS:
        packets, size = (
            now[f"{direction}_{unit}"] - before[f"{direction}_{unit}"]
            for unit in ("packets", "bytes")
        )
        if packets < times * PACKETS or size < times * PACKETS * BYTES:
            raise CheckError(f"{gateway.name}: {packets} packets, {size} bytes, {direction}")


def _expect_new(gateway: Gateway, index: int) -> None:
    """Raise until vtid has made the interface anew and shows it."""
    if gateway.tunnel()["ifindex"] in {0, index}:
        raise CheckError(f"{gateway.name}: the interface is not new yet")
    gateway.expect_up()


def _series(gateway: Gateway) -> set[str]:
    """Names and labels of all that the tunnels have."""
    lines = observe.control(gateway, "/metrics").splitlines()
    return {line.rpartition(" ")[0] for line in lines if line.startswith("vtid_tunnel_")}
