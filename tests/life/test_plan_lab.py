"""What `vtictl plan` prints, done by hand in a shell, is what vtid would have done."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import eventually, run
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS
from tests.life.texts import policy, vtid_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

NAME = "byhand"
"""Not the name of the interface that is there."""

MORE = """
kind = "{kind}"
routes = [{{ to = "10.77.0.0/16", metric = 7 }}, {{ to = "2001:db8:77::/48" }}]
sysctls = {{ ipv4 = {{ log_martians = 1 }} }}
"""

FACTS = ("mtu", "group", "ifalias", "inet6_addr_gen_mode", "linkinfo", "operstate")
SYSCTLS = ("disable_policy", "rp_filter", "log_martians")


@pytest.fixture
def managed(pair: Pair) -> Iterator[Pair]:
    """The pair, whose tunnels are managed again at the end."""
    yield pair
    _vtictl(pair.a, "resume", "--all")


@BOTH_KINDS
def test_the_commands_of_a_plan_do_what_vtid_does(managed: Pair) -> None:
    a = managed.a
    managed.establish()
    file = a.path("vtid.toml.new")
    wanted = policy(a.end, interface=NAME, more=MORE.format(kind=a.kind.name))
    file.write_text(vtid_toml(str(a.path("vtid.sock")), a.charon.vici, wanted))
    commands = _vtictl(a, "plan", "--config", str(file), status=2)
    assert f"ip link add {NAME} " in commands

    _vtictl(a, "pause", "--all")
    run(a.netns, "sh", "-euc", commands)
    by_hand = _face(a)
    file.rename(a.path("vtid.toml"))
    _vtictl(a, "reload")
    _vtictl(a, "resume", "--all")
    expect("plan", _vtictl(a, "plan"), "nothing to do\n")
    expect("interface, left alone", _face(a), by_hand)

    a.ip("link", "delete", NAME)
    eventually(partial(a.expect_up, NAME), PATIENCE)
    expect("the same by vtid", _face(a) | {"ifindex": 0}, by_hand | {"ifindex": 0})


def test_the_sas_are_those_of_charon_and_kernel(pair: Pair) -> None:
    a = pair.a
    pair.establish()
    with pair.pinging() as ping:
        ping.wait_for(20)
    (ike,) = json.loads(_vtictl(a, "sas", "-o", "json"))["ike_sas"]
    (child,), (real,) = ike["children"], a.children()
    expect("IKE_SA", {str(ike["unique_id"])}, a.ike_ids())
    expect("CHILD_SA", str(child["unique_id"]), real["uniqueid"])
    expect("tunnels", child["tunnels"], [a.tunnel()["tunnel"]])
    expect("ESP", (child["esp"]["encr"], child["esp"]["encr_keysize"]), ("AES_GCM_16", 256))
    in_kernel = {
        line.split()[3] for line in _lines(a, "ip", "xfrm", "state") if "proto esp" in line
    }
    expect("SPIs", {f"0x{child[way]}" for way in ("spi_in", "spi_out")}, in_kernel)
    assert min(child["packets_in"], child["packets_out"]) >= 20
    (line,) = (line for line in _vtictl(a, "sas", "--wide").splitlines() if "net{" in line)
    for word in ("AES_GCM_16-256", child["spi_in"], "0.0.0.0/0 ::/0 === 0.0.0.0/0 ::/0"):
        assert word in line


def _vtictl(gateway: Gateway, *words: str, status: int = 0) -> str:
    """Run vtictl; return what it printed. It must end with that exit status."""
    command = observe.vtictl(gateway, *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    expect(f"{words}: {done.stdout} {done.stderr}", done.returncode, status)
    return done.stdout


def _lines(gateway: Gateway, *command: str) -> list[str]:
    return run(gateway.netns, *command).splitlines()


def _face(gateway: Gateway) -> dict[str, Any]:
    """Return all of the interface that vtid decides; the kernel chooses link-local addresses."""
    link = gateway.link(NAME)
    (bare,) = json.loads(gateway.charon.ip("-d", "-j", "link", "show", "dev", NAME))
    routes = [line for way in ("-4", "-6") for line in _lines(gateway, "ip", way, "route")]
    return {
        **{fact: bare[fact] for fact in FACTS},
        "ifindex": link["ifindex"],
        "addresses": sorted(
            f"{one['local']}/{one['prefixlen']}"
            for one in link["addr_info"]
            if one["scope"] == "global"
        ),
        "routes": sorted(line for line in routes if "proto 118" in line),
        "mss": gateway.mss(NAME),
        "sysctls": _lines(
            gateway, "sysctl", "-n", *(f"net.ipv4.conf.{NAME}.{key}" for key in SYSCTLS)
        ),
    }
