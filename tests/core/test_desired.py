"""What a tunnel should look like, kind by kind, and which SAs cannot have one."""

from __future__ import annotations

import pytest

from tests.core.world import GCM, LAB, World, desired_of, sa
from vtid.config.load import load
from vtid.core.desired import tunnel_of
from vtid.core.naming import PolicyError
from vtid.core.underlay import Underlay
from vtid.model.bounds import smallest
from vtid.model.input import ChildRekeyed, ChildUp
from vtid.model.link import Clamp, Link
from vtid.model.operation import CreateLink, SetLink
from vtid.model.sa import SaMode

BIRD = '[[bird]]\nname = "b"\nsocket = "/run/bird.ctl"\ninclude = "/etc/bird/vtid.conf"\n'
PATH = (sa(1).local_host, sa(1).remote_host)

XFRM = """
[[tunnel]]
connection = "V2-1"
kind = "xfrm"
interface = "xfrm{if_id}"
netns = "private"
"""


def test_an_xfrm_interface_has_an_if_id_and_no_addresses() -> None:
    (policy,) = load(XFRM).policies
    one = sa(1, mark=None, if_id_in=7, if_id_out=7)
    assert tunnel_of(policy, one) == ("private/xfrm7", "xfrm7")
    desired = desired_of("private/xfrm7", policy, [one], {PATH: Underlay(1500, "eth0")})
    assert desired.link == Link(
        netns="private",
        name="xfrm7",
        kind="xfrm",
        local="",
        remote="",
        ikey=0,
        okey=0,
        mtu=1426,
        alias="vtid:private/xfrm7 V2-1/*",
        if_id=7,
        link_local=False,
    )


def test_a_vti_has_marks_and_no_if_id() -> None:
    policy = LAB.policies[0]
    one = sa(1, if_id_in=7, if_id_out=7)
    desired = desired_of("private/vti3", policy, [one], {PATH: Underlay(1500)})
    assert desired.link
    assert (desired.link.kind, desired.link.if_id, desired.link.ikey) == ("vti6", 0, 3)


WITH_IPV6 = (
    'addresses = ["2001:db8:ff::/127"]',
    'routes = [{ to = "2001:db8:9::/48" }]',
    'bgp = { neighbor = "fe80::1", local_as = 65001, remote_as = 65002 }',
)


@pytest.mark.parametrize("keys", WITH_IPV6, ids=lambda keys: keys.split()[0])
@pytest.mark.parametrize(
    ("underlay", "link", "clamp"),
    [
        (1500, 1446, Clamp(1406, 1386)),
        (1336, 1282, Clamp(1242, 1222)),
        (1335, 1280, Clamp(1238, 1218)),
        (1300, 1280, Clamp(1206, 1186)),
        (1280, 1280, Clamp(1186, 1166)),
    ],
)
def test_with_ipv6_inside_the_mtu_is_1280_at_least_and_the_mss_follows_the_path(
    keys: str, underlay: int, link: int, clamp: Clamp
) -> None:
    text = f'[[tunnel]]\nconnection = "V2-1"\ninterface = "vti1"\n{keys}\n'
    (policy,) = load(text + BIRD).policies
    one = sa(1, local_host="192.0.2.1", remote_host="192.0.2.2")
    known = {("192.0.2.1", "192.0.2.2"): Underlay(underlay, "eth0")}
    desired = desired_of("vti1", policy, [one], known)
    assert desired.link
    assert (desired.link.mtu, desired.clamp) == (link, clamp)
    assert ("the minimum for IPv6" in desired.reason) == (underlay < 1336)
    assert ("to 1280 bytes are lost" in desired.reason) == (underlay < 1336)


def test_without_ipv6_inside_the_mtu_is_what_fits() -> None:
    (policy,) = load(
        '[[tunnel]]\nconnection = "V2-1"\ninterface = "vti1"\naddresses = ["169.254.1.0/31"]'
    ).policies
    one = sa(1, local_host="192.0.2.1", remote_host="192.0.2.2")
    known = {("192.0.2.1", "192.0.2.2"): Underlay(1300, "eth0")}
    desired = desired_of("vti1", policy, [one], known)
    assert desired.link
    assert (desired.link.mtu, desired.clamp) == (1246, Clamp(1206, 1186))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "has no if_id, .* `if_id_out = 42` .* connections.V2-1.children.net of swanctl.conf"),
        ({"if_id_in": 7}, "has no outbound if_id"),
        ({"if_id_out": 7}, "has no inbound if_id"),
        ({"if_id_in": 7, "if_id_out": 8}, "one if_id; .* of its own with `interface_in = `"),
        (
            {"if_id_in": 7, "if_id_out": 7, "mode": SaMode.TRANSPORT},
            "an XFRM interface carries tunnel mode only; remove `mode = transport`",
        ),
    ],
)
def test_what_an_xfrm_interface_cannot_serve(facts: dict[str, object], words: str) -> None:
    (policy,) = load(XFRM).policies
    with pytest.raises(PolicyError, match=words):
        tunnel_of(policy, sa(1, mark=None, **facts))  # type: ignore[arg-type]


def test_an_interface_name_that_needs_an_if_id_says_so() -> None:
    (policy,) = load(XFRM.replace('"xfrm"', '"vti"')).policies
    with pytest.raises(PolicyError, match=r"needs {if_id}, but .* no if_id; .*%unique"):
        tunnel_of(policy, sa(1))


def test_a_name_can_have_its_number_in_hexadecimal() -> None:
    (policy,) = load(XFRM.replace("xfrm{if_id}", "ipsec-{if_id:x}")).policies
    one = sa(1, mark=None, if_id_in=0xFFFFFFFF, if_id_out=0xFFFFFFFF)
    assert tunnel_of(policy, one) == ("private/ipsec-ffffffff", "ipsec-ffffffff")
    (policy,) = load(XFRM.replace("xfrm{if_id}", "ipsec-{if_id}")).policies
    with pytest.raises(PolicyError, match="gives 'ipsec-4294967295', which is no interface name"):
        tunnel_of(policy, one)


def test_a_vti_cannot_have_ipcomp_and_an_xfrm_interface_can() -> None:
    (policy,) = load(XFRM).policies
    assert tunnel_of(policy, sa(1, mark=None, if_id_in=7, if_id_out=7, ipcomp=True))
    with pytest.raises(PolicyError, match=r"has IPComp, .* remove `ipcomp = yes` from connections"):
        tunnel_of(LAB.policies[0], sa(1, ipcomp=True))


CLIENT = """
[[tunnel]]
connection = "V2-1"
interface = "vti1"
addresses = ["{local_vip4}/32", "{local_vip6}/128"]
"""


def test_the_virtual_ips_that_a_peer_gave_us_are_on_the_interface_and_follow_a_change() -> None:
    world = World(config=load(CLIENT)).start([sa(1, local_vips=("10.9.0.7", "fd00::7"))])
    assert world.addresses_of("vti1") == {"10.9.0.7/32", "fd00::7/128"}
    world.tell(ChildRekeyed(1, sa(2, local_vips=("10.9.0.8", "fd00::7"))))
    assert world.addresses_of("vti1") == {"10.9.0.8/32", "fd00::7/128"}


def test_without_a_virtual_ip_the_error_says_how_to_get_one() -> None:
    world = World(config=load(CLIENT)).start([sa(1, local_vips=("10.9.0.7",))])
    assert "the peer gave us no such virtual IP; put `vips = " in world.state.problems[1]


def test_two_children_share_an_xfrm_interface() -> None:
    world = World(config=load(XFRM)).start()
    facts: dict[str, object] = {"mark": None, "if_id_in": 7, "if_id_out": 7}
    first = world.tell(ChildUp(sa(1, **facts)))  # type: ignore[arg-type]
    assert [type(op) for op in first if isinstance(op, CreateLink)] == [CreateLink]
    assert world.tell(ChildUp(sa(2, child="other", **facts))) == []  # type: ignore[arg-type]


def test_a_new_if_id_changes_the_link_in_place() -> None:
    world = World(config=load(XFRM.replace("xfrm{if_id}", "xfrm0"))).start()
    world.tell(ChildUp(sa(1, mark=None, if_id_in=7, if_id_out=7, esp=GCM)))
    (op,) = world.tell(ChildRekeyed(1, sa(2, mark=None, if_id_in=8, if_id_out=8)))
    assert isinstance(op, SetLink)
    assert op.changes == ("if_id",)
    link = world.link("xfrm0")
    assert link
    assert link.if_id == 8


@pytest.mark.parametrize(
    ("bound", "found", "mtu", "words"),
    [
        (1500, 9001, 1446, "outer MTU 1500 configured, instead of 9001 on eth0"),
        (1500, 1400, 1346, "outer MTU 1400 on eth0"),
        (1400, 0, 1346, "outer MTU 1400 configured, instead of 1500 assumed"),
    ],
)
def test_the_configured_path_bounds_the_route(bound: int, found: int, mtu: int, words: str) -> None:
    (policy,) = load(
        f'[[tunnel]]\nconnection = "V2-1"\ninterface = "vti1"\nunderlay_mtu = {bound}'
    ).policies
    one = sa(1, local_host="192.0.2.1", remote_host="192.0.2.2")
    known = {("192.0.2.1", "192.0.2.2"): Underlay(found, "eth0" if found else "", "no route")}
    desired = desired_of("vti1", policy, [one], known)
    assert desired.link
    assert desired.link.mtu == mtu
    assert words in desired.reason


def test_an_interface_that_follows_the_underlay_follows_its_bound() -> None:
    (policy,) = load(
        '[[tunnel]]\nconnection = "V2-1"\ninterface = "vti1"\nunderlay_mtu = 1500\nmtu = "underlay"'
    ).policies
    desired = desired_of("vti1", policy, [sa(1)], {PATH: Underlay(9001, "eth0")})
    assert desired.link
    assert desired.link.mtu == 1500


ROUTE = Underlay(1450, "eth0", device=9001)
LEARNT = Underlay(1500, "eth0", learnt=1400)


@pytest.mark.parametrize(
    ("keys", "underlay", "proven", "bounds", "limit"),
    [
        ("", Underlay(1500), 0, {"ciphers": (1446, 1500)}, "ciphers"),
        ("", ROUTE, 0, {"ciphers": (8946, 9001), "route": (1394, 1450)}, "route"),
        ("", LEARNT, 0, {"ciphers": (1446, 1500), "learnt": (1346, 1400)}, "learnt"),
        (
            "underlay_mtu = 1450",
            LEARNT,
            0,
            {"ciphers": (1446, 1500), "learnt": (1346, 1400), "underlay_mtu": (1394, 1450)},
            "learnt",
        ),
        (
            "underlay_mtu = 1450",
            Underlay(9001),
            0,
            {"ciphers": (8946, 9001), "underlay_mtu": (1394, 1450)},
            "underlay_mtu",
        ),
        (
            "mtu = 1400",
            Underlay(1500),
            1390,
            {"ciphers": (1446, 1500), "configured": (1400, 0), "proven": (1390, 0)},
            "proven",
        ),
        (
            "mtu = 1446",
            Underlay(1500),
            0,
            {"ciphers": (1446, 1500), "configured": (1446, 0)},
            "ciphers",
        ),
        (
            "mtu = 1300",
            Underlay(1500),
            0,
            {"ciphers": (1446, 1500), "configured": (1300, 0)},
            "configured",
        ),
    ],
)
def test_each_bound_is_told_and_the_smallest_counts(
    keys: str, underlay: Underlay, proven: int, bounds: dict[str, tuple[int, int]], limit: str
) -> None:
    (policy,) = load(f'[[tunnel]]\nconnection = "V2-1"\ninterface = "vti1"\n{keys}\n').policies
    one = sa(1, local_host="192.0.2.1", remote_host="192.0.2.2")
    known = {("192.0.2.1", "192.0.2.2"): underlay}
    desired = desired_of("vti1", policy, [one], known, proven=proven)
    assert {each.bound: (each.inside, each.outside) for each in desired.bounds} == bounds
    assert smallest(desired.bounds) == limit
    assert desired.link
    assert desired.link.mtu == bounds[limit][0]
