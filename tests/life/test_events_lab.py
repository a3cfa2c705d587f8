"""What `vtictl events` tells of a tunnel's life, over a restart of vtid as well."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import eventually
from tests.life.gateways import PATIENCE
from tests.life.texts import INTERFACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab


@contextmanager
def following(gateway: Gateway, *words: str) -> Iterator[Path]:
    """Follow the events of a gateway; yield the file that has them."""
    path = gateway.path("events.jsonl")
    command = observe.vtictl(gateway, "events", "--json", *words)
    with path.open("wb") as out, subprocess.Popen(command, stdout=out) as follower:
        try:
            eventually(partial(expect_follower, gateway), PATIENCE)
            yield path
        finally:
            follower.terminate()


def expect_follower(gateway: Gateway) -> None:
    """Expect that somebody follows: a connection besides the one that asks."""
    connections = observe.metric(gateway, "vtid_http_connections", listener="control")
    expect("connections", connections, 2)


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def names(path: Path) -> list[str]:
    return [one["event"] for one in events(path)]


def expect_last(path: Path, name: str) -> None:
    expect("last event", names(path)[-1:], [name])


def test_the_life_of_a_tunnel_is_told_as_it_happens(pair: Pair) -> None:
    a = pair.a
    with following(a, INTERFACE) as path:
        pair.establish()
        eventually(partial(expect_last, path, "tunnel up"), PATIENCE)
        peer = a.link()["linkinfo"]["info_data"]["remote"]
        expect("first event", names(path)[0], "CHILD_SA installed")
        expect("peers", {one["peer"] for one in events(path)}, {peer})
        a.charon.swanctl("--rekey", "--child", "net")
        eventually(partial(expect_last, path, "CHILD_SA rekeyed"), PATIENCE)
        a.terminate(*a.ike_ids())
        eventually(partial(expect_last, path, "tunnel down"), PATIENCE)
        told = [name for name in names(path) if name != "tunnel pending"]
        expect("end", told[-3:], ["CHILD_SA gone", "tunnel holding", "tunnel down"])


def test_a_follower_outlasts_a_restart_of_vtid(pair: Pair) -> None:
    a = pair.a
    pair.establish()
    with following(a) as path:
        a.stop_vtid()
        a.start_vtid()
        eventually(partial(expect_in, path, "ready"), PATIENCE)
    told = events(path)
    gap = next(number for number, one in enumerate(told) if one["event"] == "gap")
    expect("gap", told[gap]["reason"], "restarted")
    expect("before", [one["event"] for one in told[:gap]][-1], "stopping")


def expect_in(path: Path, name: str) -> None:
    expect(name, names(path).count(name), 1)
