"""What an operator does by `vtictl` while tunnels are up: when it answers, it is so."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.birds import RealBird
from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import eventually
from tests.life.gateways import PATIENCE
from tests.life.texts import INTERFACE, policy, vtid_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

WITH_BGP = """
routes = [{{ to = "10.77.0.0/16" }}]
[tunnel.bgp]
neighbor = "10.255.0.2"
local_as = 65001
remote_as = 65002

[[bird]]
name = "operate"
socket = "{bird.socket}"
include = "{bird.include}"
"""


def vtictl(gateway: Gateway, *words: str, status: int = 0) -> dict[str, Any]:
    """Run vtictl; return its answer, as JSON. It must end with that exit status."""
    command = observe.vtictl(gateway, *words, "-o", "json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    expect(f"{words}: {done.stdout} {done.stderr}", done.returncode, status)
    return dict(json.loads(done.stdout))


@pytest.fixture
def managed(pair: Pair) -> Iterator[Pair]:
    """The pair, whose tunnels are managed again at the end."""
    yield pair
    vtictl(pair.a, "resume", "--all")


def test_a_paused_tunnel_is_left_to_who_works_on_it(managed: Pair) -> None:
    a = managed.a
    managed.establish()
    vtictl(a, "pause", INTERFACE)
    before, mtu = a.counters(), a.link()["mtu"]
    a.ip("link", "set", INTERFACE, "mtu", "1300")
    a.nft("delete table inet vtid")
    vtictl(a, "resync")
    expect("writes", a.counters(), before)
    expect("operations", vtictl(a, "plan")["ops"], [])
    expect("paused", vtictl(a, "status")["paused"], 1)
    expect("metric", observe.metric(a, "vtid_tunnel_paused", tunnel=INTERFACE), 1)
    vtictl(a, "resume", INTERFACE)
    expect("MTU", a.link()["mtu"], mtu)
    assert a.mss()
    last = vtictl(a, "show", INTERFACE)["history"][-2:]
    expect("last operations", {one["op"] for one in last}, {"SetLink", "SetClamp"})


def test_a_drained_tunnel_has_neither_sessions_nor_routes_and_carries_on(managed: Pair) -> None:
    a = managed.a
    bird = RealBird(a.charon.directory, "operate", a.netns)
    include = f'include "{bird.include}*";\n'
    bird.config.write_text(f"router id 10.0.0.1;\nprotocol device {{ }}\n{include}")
    bird.start()
    try:
        a.configure(policy(a.end, more=WITH_BGP.format(bird=bird)))
        managed.establish()
        vtictl(a, "wait", "--for", "synced", "--timeout", "30")
        assert "BGP" in bird.ask("show protocols")
        assert "10.77.0.0/16" in a.charon.ip("route")
        with managed.pinging() as ping:
            vtictl(a, "drain", INTERFACE)
            assert "BGP" not in bird.ask("show protocols")
            assert "10.77.0.0/16" not in a.charon.ip("route")
            ping.wait_for(20)
        expect("packets lost", ping.lost()[0], 0)
        vtictl(a, "resume", INTERFACE)
        assert "BGP" in bird.ask("show protocols")
        assert "10.77.0.0/16" in a.charon.ip("route")
    finally:
        bird.stop()
        bird.include.unlink(missing_ok=True)


def test_a_reload_answers_when_the_kernel_has_it(pair: Pair) -> None:
    a = pair.a
    pair.establish()

    def reload(more: str, status: int = 0) -> dict[str, Any]:
        text = policy(a.end, more=more)
        whole = vtid_toml(str(a.path("vtid.sock")), a.charon.vici, text)
        a.path("vtid.toml").write_text(whole)
        return vtictl(a, "reload", status=status)

    answer = reload("mtu = 1300")
    expect("MTU", a.link()["mtu"], 1300)
    expect("changes", len(answer["changes"]), 1)
    assert answer["changes"][0].endswith("changed: mtu")
    refused = reload("mtu = 13", status=1)
    expect("refused", (refused["ok"], len(refused["errors"])), (False, 1))
    expect("MTU", a.link()["mtu"], 1300)
    reload("")
    expect("MTU", a.link()["mtu"], 1446)


def test_a_resync_finds_what_no_event_tells(pair: Pair) -> None:
    pair.establish()
    assert vtictl(pair.a, "resync") == {"schema_version": 1, "operations": 0, "finished": True}
    pair.a.ip("link", "set", INTERFACE, "alias", "vtid:not so")
    vtictl(pair.a, "resync")
    expect("alias", pair.a.link()["ifalias"], f"vtid:{INTERFACE}")


def test_a_script_waits_for_a_tunnel(pair: Pair) -> None:
    pair.load()
    vtictl(pair.a, "wait", "--for", "up", "--timeout", "0", INTERFACE, status=1)
    command = observe.vtictl(pair.a, "wait", "--for", "up", INTERFACE, "--timeout", "60")
    with subprocess.Popen(command) as waiting:
        pair.initiate()
        expect("exit status", waiting.wait(60), 0)
    pair.a.expect_up()
    pair.a.terminate(*pair.a.ike_ids())
    vtictl(pair.a, "wait", "--for", "down", INTERFACE)
    eventually(pair.a.expect_no_links, PATIENCE)
