"""What `vtictl suggest` prints brings the tunnels up, once a person has filled in the addresses."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import eventually, run
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS
from tests.life.texts import CONNECTION
from vtid.model.link import PROTOCOL

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

ADDRESSES = '#addresses = ["169.254.0.1/30"]'
NAMED = "script0"
ROUTE = "10.77.0.0/16"


@BOTH_KINDS
def test_its_output_alone_brings_the_tunnel_up(pair: Pair) -> None:
    a = pair.a
    text = _suggested(pair)
    assert f'interface = "{CONNECTION}"' in text
    assert text.count(ADDRESSES) == 1
    _start(a, text.replace(ADDRESSES, f'addresses = ["{a.end.inner4}/24"]'))
    eventually(partial(a.expect_up, CONNECTION), PATIENCE)
    with pair.pinging() as ping:
        pass
    expect("packets lost", ping.lost()[0], 0)


@BOTH_KINDS
def test_an_interface_of_a_script_is_in_its_output_and_is_adopted(pair: Pair) -> None:
    """Nothing has to be filled in: the interface has the addresses and routes."""
    a = pair.a
    keys = a.kind.link(a.end.outer4, pair.b.end.outer4)
    a.ip("link", "add", NAMED, "type", *keys)
    a.ip("address", "add", f"{a.end.inner4}/24", "dev", NAMED)
    a.ip("link", "set", NAMED, "up")
    a.ip("route", "add", ROUTE, "dev", NAMED, "metric", "5")
    text = _suggested(pair)
    assert f"`vtictl adopt {NAMED}`" in text
    with pair.pinging() as ping:
        _start(a, text)
        answer = json.loads(observe.control(a, "/v1/adopt", "POST"))
        expect("answer", answer, answer | {"adopted": [NAMED], "refused": [], "finished": True})
        eventually(partial(a.expect_up, NAMED), PATIENCE)
    expect("packets lost", ping.lost()[0], 0)
    (route,) = json.loads(run(a.netns, "ip", "-j", "route", "show", ROUTE))
    expect("whose route it is", route["protocol"], str(PROTOCOL))


def _suggested(pair: Pair) -> str:
    """Let charon bring its SA up without vtid, and return what is suggested for it."""
    a = pair.a
    a.stop_vtid()
    pair.load()
    pair.initiate()
    eventually(pair.b.expect_up, PATIENCE)
    command = (sys.executable, "-m", "vtid", "--suggest", "--vici", a.charon.vici)
    return run(a.netns, *command)


def _start(gateway: Gateway, text: str) -> None:
    """Start vtid with this configuration; where it listens is the lab's."""
    control = f'[daemon]\ncontrol_socket = "{gateway.path("vtid.sock")}"\nmetrics = []\n'
    gateway.path("vtid.toml").write_text(text + control)
    gateway.start_vtid()
