"""From a running updown script to vtid, and back: the interface and every packet stay.

The steps are those of docs/migrate.md. The script is of the usual kind: it makes the interface of
the CHILD_SA with addresses, MTU, sysctls and a route, and deletes it at the end.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually, run
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS, KEY
from tests.life.texts import INTERFACE, policy
from vtid.model.link import LINK_GROUP

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair
    from tests.life.kinds import Kind

pytestmark = pytest.mark.lab

SCRIPT = """#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
case $PLUTO_VERB in
up-client)
    ip link add {name} type {keys}
    ip address add 10.255.0.1/24 dev {name}
    ip link set {name} up mtu 1400
    sysctl -qw net.ipv4.conf.{name}.disable_policy=1
    ip route add 10.2.0.0/16 dev {name} metric 100
    ip route add 10.3.0.0/16 dev {name} ;;
down-client)
    ip link delete {name} ;;
esac
"""
OFF = "#!/bin/sh\nexit 0 # vtid does it\n"
ROUTES = 'routes = [{ to = "10.2.0.0/16", metric = 100 }]'


def script_of(kind: Kind) -> str:
    keys = " ".join(kind.link("$PLUTO_ME", "$PLUTO_PEER"))
    return SCRIPT.format(name=INTERFACE, keys=keys)


@BOTH_KINDS
def test_from_a_running_script_to_vtid_and_back(pair: Pair) -> None:
    a, script = pair.a, pair.a.path("updown.sh")
    a.stop_vtid()
    script.write_text(script_of(a.kind))
    script.chmod(0o755)
    side = pair.side(f"updown = {script}")
    pair.load(side, at_b=pair.side())
    pair.initiate()
    eventually(pair.b.expect_up, PATIENCE)
    eventually(partial(_expect_of_script, a), PATIENCE)
    before = a.link()

    with pair.pinging() as ping:
        a.configure(a.policy(ROUTES))
        a.start_vtid()
        eventually(partial(_expect_named, a, f"`vtictl adopt {INTERFACE}`"), PATIENCE)
        expect("interface without the command", _face(a), _face_of(before))

        script.write_text(OFF)
        pair.load(pair.side())
        expect("answer", _adopt(a)["adopted"], [INTERFACE])
        eventually(a.expect_up, PATIENCE)
        _expect_ours(a, before["ifindex"])
        ping.wait_for(50)

        observe.control(a, f"/v1/mode?mode=paused&tunnel={INTERFACE}", "POST")
        a.ip("link", "set", INTERFACE, "group", "0", "alias", "")
        a.configure(policy(a.end, connection="another", interface="another"))
        observe.control(a, f"/v1/mode?mode=managed&tunnel={INTERFACE}", "POST")
        script.write_text(script_of(a.kind))
        pair.load(side, at_b=pair.side())
        eventually(partial(_expect_no_mss, a), PATIENCE)
        ping.wait_for(50)
        expect("interface", a.link()["ifindex"], before["ifindex"])
    expect("packets lost", ping.lost()[0], 0)

    a.end_sas()
    eventually(partial(_expect_no_interface, a), PATIENCE)


@BOTH_KINDS
def test_what_differs_is_named_and_stays(pair: Pair) -> None:
    a = pair.a
    other = a.kind.link(a.end.outer4, pair.b.end.outer4, KEY + 5)
    a.ip("link", "add", INTERFACE, "type", *other)
    try:
        pair.establish_in_error()
        before = _face(a)
        (refused,) = _adopt(a)["refused"]
        assert f"{KEY + 5} instead of {KEY}" in refused
        expect("interface", _face(a), before)
    finally:
        a.ip("link", "delete", INTERFACE)
    eventually(a.expect_up, PATIENCE)


def _adopt(gateway: Gateway) -> dict[str, Any]:
    return dict(json.loads(observe.control(gateway, f"/v1/adopt?interface={INTERFACE}", "POST")))


def _face(gateway: Gateway) -> dict[str, Any]:
    return _face_of(gateway.link())


def _face_of(link: dict[str, Any]) -> dict[str, Any]:
    """Return what somebody would change of a link."""
    return {key: link.get(key) for key in ("ifindex", "mtu", "group", "ifalias", "flags")}


def _expect_of_script(gateway: Gateway) -> None:
    expect("MTU of the script's", gateway.link()["mtu"], 1400)
    if "10.3.0.0/16" not in run(gateway.netns, "ip", "route", "show", "dev", INTERFACE):
        raise CheckError("the script is not through")


def _expect_named(gateway: Gateway, words: str) -> None:
    error = gateway.tunnel()["error"]
    if words not in error:
        raise CheckError(f"the error is {error!r}")


def _expect_ours(gateway: Gateway, ifindex: int) -> None:
    """Group, alias, MTU and addresses are as vtid has them; what else the script did stays."""
    link = gateway.link()
    seen = (link["ifindex"], link["group"], link["ifalias"], link["mtu"])
    expect("interface", seen, (ifindex, str(LINK_GROUP), f"vtid:{INTERFACE}", 1446))
    inner = {one["local"] for one in link["addr_info"]} - {"fe80"}
    assert {gateway.end.inner4, gateway.end.inner6} <= inner
    routes = run(gateway.netns, "ip", "route", "show", "dev", INTERFACE).splitlines()
    (wanted,) = (line for line in routes if "10.2.0.0/16" in line)
    assert "proto 118" in wanted
    (other,) = (line for line in routes if "10.3.0.0/16" in line)
    assert "proto" not in other


def _expect_no_mss(gateway: Gateway) -> None:
    expect("MSS", gateway.mss(), {})


def _expect_no_interface(gateway: Gateway) -> None:
    names = {one["ifname"] for one in json.loads(gateway.charon.ip("-j", "link"))}
    if INTERFACE in names:
        raise CheckError(f"{INTERFACE} is there")
