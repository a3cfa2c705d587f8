"""Set-ups of strongSwan's own route-based tests, with vtid in the place of scripts and `ip link`.

Named after the folders of testing/tests/route-based in strongSwan's sources.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.charon import Charon, namespace, run
from tests.lab.checks.checks import expect
from tests.lab.machine import shell
from tests.lab.machine.shell import eventually
from tests.life.gateways import PATIENCE
from tests.life.texts import Side, child, connection, policy, swanctl_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

SITES = ("10.1.0.1", "10.2.0.1")
"""A host at each of the two sites."""


def test_net2net_vti(pair: Pair) -> None:
    """Marks 42 and 1337: they are each gateway's own affair."""
    _configure(pair)
    sides = [_site(0, "mark_in = 42\n mark_out = 42"), _site(1, "mark_in = 1337\n mark_out = 1337")]
    with _sites(pair):
        pair.establish(sides[0], at_b=sides[1])
        expect("keys of b", pair.b.data()["ikey"], "0.0.5.57")
        with pair.undisturbed():
            _expect_reached(pair.a.netns, *SITES)


@pytest.mark.parametrize("if_id", ["%unique", "%unique-dir"])
def test_net2net_xfrmi(pair: Pair, if_id: str) -> None:
    """Interface IDs that charon chooses: one interface, or one for each direction."""
    both = 'kind = "xfrm"'
    _configure(pair, f'{both}\ninterface_in = "inwards"' if if_id == "%unique-dir" else both)
    keys = f"if_id_in = {if_id}\n if_id_out = {if_id}"
    with _sites(pair):
        pair.establish(_site(0, keys), at_b=_site(1, keys))
        links = {"inner", "inwards"} if if_id == "%unique-dir" else {"inner"}
        for gateway in pair.both:
            eventually(partial(_expect_links, gateway, links), PATIENCE)
        _expect_reached(pair.a.netns, *SITES)


def _configure(pair: Pair, more: str = "") -> None:
    for gateway in pair.both:
        gateway.configure(policy(gateway.end, more=f'routes = "remote-ts"\n{more}'))


def _expect_links(gateway: Gateway, links: set[str]) -> None:
    expect(f"{gateway.name}: interfaces", gateway.links(), links)


def _site(number: int, keys: str) -> Side:
    ends = ("10.1.0.0/16,10.255.0.1/32", "10.2.0.0/16,10.255.0.2/32")
    selectors = f"local_ts = {ends[number]}\n remote_ts = {ends[1 - number]}"
    return Side(child(more=keys, ts=selectors))


@contextmanager
def _sites(pair: Pair) -> Iterator[None]:
    with ExitStack() as stack:
        for gateway, address in zip(pair.both, SITES, strict=True):
            _add_address(stack, gateway.charon, address)
        yield


def _add_address(stack: ExitStack, charon: Charon, address: str) -> None:
    change = (address + ("/128" if ":" in address else "/32"), "dev", "lo")
    charon.ip("address", "add", *change)
    stack.callback(charon.ip, "address", "del", *change)


# --- road warriors -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shared:
    """One interface that road warriors share, and what is inside of the tunnel."""

    keys: str
    kind: str
    net: str
    server: str
    pool: str

    @property
    def any_address(self) -> str:
        """What a road warrior asks for."""
        return "::" if ":" in self.pool else "0.0.0.0"  # noqa: S104 not to listen on


SHARED = {
    "rw-shared-vti": Shared(
        "mark_in = 42\n mark_out = 42", "vti", "10.1.0.0/16", "10.1.0.1", "10.3.0.0/28"
    ),
    "rw-shared-vti-ip6-in-ip4": Shared(
        "mark_in = 42\n mark_out = 42", "vti", "fec1::/16", "fec1::1", "fec3::/120"
    ),
    "rw-shared-xfrmi": Shared(
        "if_id_in = 42\n if_id_out = 42", "xfrm", "10.1.0.0/16", "10.1.0.1", "10.3.0.0/28"
    ),
}


@pytest.fixture
def carol_and_dave(pair: Pair) -> Iterator[tuple[Charon, Charon]]:
    """`b`, and a third one behind another wire of `a`."""
    with ExitStack() as stack:
        third = stack.enter_context(namespace(f"{pair.a.netns}-dave"))
        ends = ("eth1", "netns", pair.a.netns, "type", "veth", "peer", "eth0", "netns", third)
        run("ip", "link", "add", *ends)
        stack.callback(pair.a.ip, "link", "delete", "eth1")
        for netns, device, address in (
            (pair.a.netns, "eth1", "203.0.113.1/24"),
            (third, "eth0", "203.0.113.2/24"),
        ):
            run("ip", "-n", netns, "address", "add", address, "dev", device)
            run("ip", "-n", netns, "link", "set", device, "up")
        run("ip", "-n", third, "route", "add", "192.0.2.1", "via", "203.0.113.1")
        directory = pair.a.charon.directory.parent / "dave"
        dave = stack.enter_context(Charon(third, directory, "", pair.b.charon.extra))
        yield pair.b.charon, dave


@pytest.mark.parametrize("scenario", SHARED)
def test_two_road_warriors_share_an_interface(
    pair: Pair, carol_and_dave: tuple[Charon, Charon], scenario: str
) -> None:
    shared = SHARED[scenario]
    carol, dave = carol_and_dave
    _serve(pair.a, scenario)
    with ExitStack() as stack:
        _add_address(stack, pair.a.charon, shared.server)
        carols = _dial(stack, carol, "192.0.2.2", shared)
        daves = _dial(stack, dave, "203.0.113.2", shared)
        eventually(partial(_expect_sas, pair.a, 2), PATIENCE)
        expect("interfaces", pair.a.links(), {"inner"})
        before = pair.a.link()["ifindex"]
        _expect_reached(carol.netns, carols, shared.server)
        _expect_reached(dave.netns, daves, shared.server)
        carol.swanctl("--terminate", "--ike", "home")
        eventually(partial(_expect_sas, pair.a, 1), PATIENCE)
        _expect_reached(dave.netns, daves, shared.server)
        expect("ifindex", pair.a.link()["ifindex"], before)
        dave.swanctl("--terminate", "--ike", "home")
        eventually(pair.a.expect_no_links, PATIENCE)


def test_each_road_warrior_has_an_interface_of_its_own(
    pair: Pair, carol_and_dave: tuple[Charon, Charon]
) -> None:
    """Named after the virtual IP, with the marks that charon chose."""
    shared = Shared(MARKS, "vti", "10.1.0.0/16", "10.1.0.1", "10.3.0.0/28")
    carol, dave = carol_and_dave
    _take_all(pair.a, "own", shared)
    pair.a.configure(EACH)
    with ExitStack() as stack:
        _add_address(stack, pair.a.charon, shared.server)
        carols = _dial(stack, carol, "192.0.2.2", shared)
        daves = _dial(stack, dave, "203.0.113.2", shared)
        eventually(partial(_expect_links, pair.a, {f"rw{carols}", f"rw{daves}"}), PATIENCE)
        _expect_reached(carol.netns, carols, shared.server)
        _expect_reached(dave.netns, daves, shared.server)
        carol.swanctl("--terminate", "--ike", "home")
        eventually(partial(_expect_links, pair.a, {f"rw{daves}"}), PATIENCE)
        _expect_reached(dave.netns, daves, shared.server)


MARKS = "mark_in = %unique\n mark_out = %unique"
EACH = """
[[tunnel]]
connection = "rw"
interface = "rw{remote_vip}"
routes = "remote-ts"
"""


def _serve(gateway: Gateway, scenario: str) -> None:
    """Let `a` take whoever comes, and give an address of a pool."""
    shared = SHARED[scenario]
    more = f'kind = "{shared.kind}"\nremote = "any"\nroutes = "remote-ts"'
    gateway.configure(policy(gateway.end, more=more, connection="rw"))
    _take_all(gateway, scenario, shared)


def _take_all(gateway: Gateway, pool: str, shared: Shared) -> None:
    side = Side(child(more=shared.keys, ts=f"local_ts = {shared.net}"), ike=f"pools = {pool}")
    text = swanctl_conf(connection(gateway.end.outer4, "%any", side, "rw"))
    pools = f"pools {{ {pool} {{ addrs = {shared.pool} }} }}\n"
    gateway.path("swanctl.conf").write_text(text + pools)
    gateway.charon.load()


def _dial(stack: ExitStack, warrior: Charon, host: str, shared: Shared) -> str:
    """Have a road warrior come, with policies alone; return the virtual IP it got."""
    side = Side(child(more="", ts=f"remote_ts = {shared.net}"), ike=f"vips = {shared.any_address}")
    conf = swanctl_conf(connection(host, "192.0.2.1", side, "home"))
    (warrior.directory / "swanctl.conf").write_text(conf)
    warrior.load()
    said = warrior.swanctl("--initiate", "--child", "net", "--timeout", "30")
    vip = said.split("installing new virtual IP ")[1].split()[0]
    _add_address(stack, warrior, vip)
    route = (shared.net, "dev", "eth0", "src", vip)
    warrior.ip(_family(vip), "route", "add", *route)
    stack.callback(warrior.ip, _family(vip), "route", "del", *route)
    return vip


def _family(address: str) -> str:
    return "-6" if ":" in address else "-4"


def _expect_sas(gateway: Gateway, number: int) -> None:
    expect(f"{gateway.name}: SAs", len(gateway.tunnel()["sas"]), number)
    gateway.expect_up()


def _expect_reached(netns: str, source: str, target: str) -> None:
    ping = ("ping", "-n", "-c", "3", "-i", "0.05", "-I", source, target)
    eventually(partial(shell.run, netns, *ping), PATIENCE)
