"""Hooks on a real tunnel, whose policy is in a file of conf.d: told once, and never in the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import eventually
from tests.life.gateways import PATIENCE
from tests.life.texts import INTERFACE, vtid_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab


class Told:
    """A gateway with a hook that keeps what it is told."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.file = gateway.path("told")
        self.policies = gateway.path("conf.d")
        self.hooks = gateway.path("hooks.d")

    def begin(self) -> None:
        self.hooks.mkdir(mode=0o755)
        self.policies.mkdir()
        program = self.hooks / "10-keep"
        program.write_text(f"#!/bin/sh\nexec cat >> {self.file}\n")
        program.chmod(0o755)
        self.file.touch()
        self.configure(self.gateway.policy())

    def configure(self, policies: str) -> None:
        """Write the policies into conf.d, and hooks into vtid.toml."""
        a = self.gateway
        (self.policies / "a.toml").write_text(policies)
        text = vtid_toml(str(a.path("vtid.sock")), a.charon.vici, "")
        with_hooks = text.replace("[daemon]\n", f'[daemon]\nhooks = "{self.hooks}"\n')
        a.path("vtid.toml").write_text(with_hooks)
        observe.control(a, "/v1/reload", "POST")

    def end(self) -> None:
        for folder in (self.hooks, self.policies):
            remove(folder)
        self.file.unlink()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def expect_events(self, *events: str) -> None:
        expect("events", [line["event"] for line in self.lines()], list(events))


def remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


@pytest.fixture
def told(pair: Pair) -> Iterator[Told]:
    found = Told(pair.a)
    found.begin()
    yield found
    found.end()
    pair.a.configure(pair.a.policy())


def test_up_change_and_down_are_told_and_a_rekey_is_not(pair: Pair, told: Told) -> None:
    a = pair.a
    done = observe.metric(a, "vtid_hooks_total", result="done")
    pair.establish()
    eventually(lambda: told.expect_events("up"), PATIENCE)
    (up,) = told.lines()
    expect("interface", (up["tunnel"], up["interface"]), (INTERFACE, INTERFACE))
    expect("ends", (up["local"], up["peer"]), (a.end.outer4, pair.b.end.outer4))
    expect("MTU", up["mtu"], a.link()["mtu"])
    expect("index", up["ifindex"], a.link()["ifindex"])
    assert any(one.startswith(f"{a.end.inner4}/") for one in up["addresses"]), up["addresses"]

    old = a.child_ids()
    a.charon.swanctl("--rekey", "--child", "net")
    eventually(lambda: a.expect_new_children(old), PATIENCE)
    told.configure(a.policy("mtu = 1300"))
    eventually(lambda: told.expect_events("up", "change"), PATIENCE)
    expect("changed", told.lines()[-1]["changed"][0], "mtu")

    eventually(a.end_sas, PATIENCE)
    eventually(lambda: told.expect_events("up", "change", "down"), PATIENCE)
    expect("MTU", told.lines()[-1]["mtu"], 1300)
    eventually(a.expect_no_links, PATIENCE)
    told.expect_events("up", "change", "down")
    expect("done", observe.metric(a, "vtid_hooks_total", result="done") - done, 3)


def test_a_hook_that_hangs_holds_back_no_tunnel(pair: Pair, told: Told) -> None:
    slow = told.hooks / "00-slow"
    slow.write_text("#!/bin/sh\nexec sleep 1000\n")
    slow.chmod(0o755)
    pair.establish()
    eventually(pair.a.end_sas, PATIENCE)
    eventually(pair.a.expect_no_links, PATIENCE)
    pair.initiate()
    pair.wait_up()
    told.expect_events()
    pair.a.stop_vtid()
    pair.a.start_vtid()
