"""docs/sessions.md: each command on it answers what stands there.

`a` has a tunnel to `b` with a BGP session, and another one whose peer does not exist. The page as
it would be today is left in the folder for files; `tests.sessions` says how to take it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sessions
from tests.bench.gateway import installed
from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually, inside, run
from tests.life.gateways import PATIENCE
from tests.life.kinds import KEY
from tests.life.speakers import bird, expect_established
from tests.life.texts import connection, policy

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.birds import RealBird
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

OUT = Path("/out")

MEASURED = 30.0
"""Seconds in which vtid has read the counters again."""
ENOUGH = 100_000
"""Bytes, of which the table of tunnels shows as many digits in each run."""

TUNNEL, SILENT = "V2-1", "V3-1"
NAME, INTERFACE = "vti{mark}", f"vti{KEY}"
NOBODY = "192.0.2.3"

BGP = """
[tunnel.bgp]
neighbor = "{neighbor}"
local_as = {local_as}
remote_as = {remote_as}
export = "all"

[[bird]]
name = "main"
socket = "{bird.socket}"
include = "{bird.include}"
"""

SECOND = """
[[tunnel]]
connection = "V3-1"
interface = "vti{mark}"
addresses = ["10.255.1.1/30"]
"""

NETWORK = "protocol static {{ ipv4; route 10.{number}.0.0/16 blackhole; }}"

VTICTL = """#!/bin/sh
exec "{python}" -m vtid.ctl.main "$@"
"""


def test_each_command_answers_what_the_page_says(pair: Pair) -> None:
    with ExitStack() as stack:
        birds = [stack.enter_context(_bird(gateway)) for gateway in pair.both]
        _bring_up(pair, birds)
        page = sessions.PAGE.read_text()
        now = sessions.answered(page, Shell(pair.a).type)
    if OUT.is_dir():
        (OUT / sessions.PAGE.name).write_text(now)
    for here, there in zip(sessions.words(now), sessions.words(page), strict=True):
        assert here == there


def _bird(gateway: Gateway) -> AbstractContextManager[RealBird]:
    return bird(gateway, NETWORK.format(number=gateway.end.number))


def _bring_up(pair: Pair, birds: list[RealBird]) -> None:
    a, b = pair.both
    a.stop_vtid()  # so that it knows nothing of tests before
    for gateway, other, one in zip(pair.both, reversed(pair.both), birds, strict=True):
        ours, theirs = (f"6500{end.number}" for end in (gateway.end, other.end))
        bgp = BGP.format(neighbor=other.end.inner4, local_as=ours, remote_as=theirs, bird=one)
        text = policy(gateway.end, connection=TUNNEL, interface=NAME, more=bgp)
        gateway.configure(text + (SECOND if gateway is a else ""))
    a.start_vtid()
    side, here, there = pair.side(), a.end.outer4, b.end.outer4
    b.load(connection(there, here, side, TUNNEL))
    a.load(connection(here, there, side, TUNNEL) + connection(here, NOBODY, side, SILENT))
    pair.initiate()
    pair.wait_up(INTERFACE)
    for one in birds:
        eventually(partial(expect_established, one), PATIENCE)
    run(a.netns, "ping", "-qc", "100", "-i", "0.01", "-s", "1272", b.end.inner4)
    eventually(partial(_expect_measured, a), MEASURED)


def _expect_measured(gateway: Gateway) -> None:
    """Raise until vtid has proven the MTU and read the counters."""
    (tunnel, _) = json.loads(observe.control(gateway, "/v1/tunnels"))["tunnels"]
    expect("probing", tunnel["probe"]["search"], "search complete")
    if not tunnel["counters"] or tunnel["counters"]["rx_bytes"] < ENOUGH:
        raise CheckError(f"counters are {tunnel['counters']}")


def _expect_at_rest(gateway: Gateway) -> None:
    """Raise until nothing is under way, so that a resync has nothing to do."""
    if not (summary := json.loads(observe.control(gateway, "/v1/summary")))["synced"]:
        raise CheckError(f"{summary['under_way']} are under way, {summary['troubles']}")


class Shell:
    """Types lines in the namespace of a gateway, whose files it shows where they usually are."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._netns, folder = gateway.netns, gateway.charon.directory
        self._places = {
            str(gateway.path("vtid.sock")): "/run/vtid/control.sock",
            gateway.charon.vici: "/run/charon.vici",
            f"{folder}/vtid.life.conf": "/var/lib/vtid/bird/main.conf",
            f"{folder}": "/etc/vtid",
        }
        self._env = {
            **installed(),
            "PATH": f"{folder}:{os.environ['PATH']}",
            "VTID_SOCKET": str(gateway.path("vtid.sock")),
            "VTID_CONFIG": str(gateway.path("vtid.toml")),
            "TZ": "UTC",
        }
        self._status = 0
        vtictl = gateway.path("vtictl")
        vtictl.write_text(VTICTL.format(python=sys.executable))
        vtictl.chmod(0o755)

    def type(self, line: str) -> str:
        """Run a line as the next one of a shell; return what it printed, with fixed values."""
        if line == "vtictl resync":
            eventually(partial(_expect_at_rest, self._gateway), PATIENCE)
        for here, usual in self._places.items():
            line = line.replace(usual, here)
        command = inside(self._netns, "sh", "-c", f"(exit {self._status}); {line}")
        done = subprocess.run(
            command,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        self._status, answer = done.returncode, done.stdout
        for here, usual in self._places.items():
            answer = answer.replace(here, usual)
        return sessions.fixed(answer)
