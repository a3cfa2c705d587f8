"""Each finding of the doctor: facts that cause it, and facts that do not."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.core.test_suggest import connection, marked, sa
from vtid.config.load import load
from vtid.core.doctor import examine
from vtid.core.doctor_gaps import gaps
from vtid.model.connection import ChildConfig
from vtid.model.facts import (
    CharonLists,
    Finding,
    Gap,
    HostFacts,
    InterfaceMatch,
    ModuleFacts,
    NetnsFacts,
    OtherClamp,
    UdevFacts,
    UdevRule,
)
from vtid.model.input import UnderlaySeen
from vtid.model.link import Clamp
from vtid.model.sa import SaMode

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"

CONFIG = """
[[tunnel]]
connection = "site"
interface = "vti1"
addresses = ["10.0.0.1/30", "2001:db8::1/64"]
[tunnel.bgp]
neighbor = "10.0.0.2"
local_as = 65001
remote_as = 65002
[[bird]]
name = "b"
socket = "/run/bird/bird.ctl"
include = "/var/lib/vtid/bird.conf"
"""

IN_NETNS = CONFIG.replace("addresses", 'netns = "n"\naddresses')

XFRM = CONFIG.replace("interface =", 'kind = "xfrm"\ninterface =')

ONLY_ETH0 = (InterfaceMatch("out", ("eth0",)),)

OWN = NetnsFacts(
    sysctls={
        "ipv4/ip_forward": "1",
        "ipv6/conf/all/forwarding": "1",
        "ipv4/conf/all/rp_filter": "2",
        "ipv4/conf/vti1/rp_filter": "0",
        "ipv4/conf/vti1/disable_policy": "1",
    },
    xfrm_growth={"XfrmInNoPols": 0},
    mtus={"vti1": 1426, "vti3": 1426},
    clamps={"vti1": Clamp(1386, 1366), "vti3": Clamp(1386, 1366)},
    other_clamps=(OtherClamp("inet fw f", 1400), OtherClamp("inet fw f", 1200, ONLY_ETH0)),
)

WAY = ("192.0.2.1", "192.0.2.2")

PATH = UnderlaySeen(*WAY, mtu=1500, interface="eth0")
"""An SA with AES-GCM over IPv4 then carries 1446 bytes."""

MODULES = frozenset(
    {"ip_vti", "ip6_vti", "xfrm_interface", "xfrm_user", "esp4", "esp6", "nf_tables"}
)

WELL = HostFacts(
    namespaces={"": OWN},
    paths={WAY: PATH},
    is_synchronised=True,
    clock_jumped=3.0,
    release="6.18.44",
    watched=2.0,
    charon_routes=0,
    modules=ModuleFacts(known=MODULES, ready=frozenset({"esp4"})),
    networkd={"ManageForeignRoutes": "no", "ManageForeignRoutingPolicyRules": "false"},
    bird_conf='include "/var/lib/vtid/bird.conf";',
    daemon_capabilities=1 << 12 | 1 << 13 | 1 << 21,
)

SITE = CharonLists(connections=(connection(),), sas=(marked(3),))


@dataclass(frozen=True)
class Case:
    """What causes a finding; the rest is well."""

    subject: str
    charon: CharonLists = SITE
    host: dict[str, object] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    config: str = CONFIG
    netns: str = ""
    own: dict[str, object] = field(default_factory=dict)
    """What is otherwise in the namespace `netns`."""


def charon(*sas: object, mode: str = "TUNNEL", name: str = "site") -> CharonLists:
    child = ChildConfig("net", mode)
    return CharonLists(connections=(connection(name, child),), sas=sas)  # type: ignore[arg-type]


OVER_IPV6 = CharonLists("", (connection(remote_addrs=("2001:db8::/32",)),))

ONLY_VTI = (InterfaceMatch("out", ("vti*",)),)

CASES = {
    "charon-unreachable": [Case("/run/charon.vici", CharonLists("it is absent"))],
    "policy-without-connection": [Case("site/*", charon(name="other"))],
    "connection-without-policy": [
        Case("b/net{1}", CharonLists("", (connection(),), (marked(1, name="b"),))),
    ],
    "missing-marks": [Case("site/net{1}", charon(sa()))],
    "missing-if-ids": [
        Case("site/net{1}", charon(marked(1)), config=XFRM),
        Case("site/net{1}", charon(sa(if_id_in=1, if_id_out=2)), config=XFRM),
    ],
    "transport-mode": [
        Case("site/net{1}", charon(marked(1, mode=SaMode.TRANSPORT), mode="TRANSPORT")),
        Case("site/net", charon(mode="TRANSPORT")),
    ],
    "compression": [Case("site/net{1}", charon(marked(1, ipcomp=True)))],
    "charon-routes": [Case("table 220", host={"charon_routes": 3})],
    "charon-virtual-ip": [
        Case(
            "10.9.0.1",
            charon(marked(1, local_vips=("10.9.0.1", "10.9.0.2", "10.9.0.3"))),
            {"addresses": {"10.9.0.1": "eth0", "10.9.0.2": "vti1"}},
        ),
    ],
    "xfrm-errors": [
        Case("XfrmInNoPols", own={"xfrm_growth": {"XfrmInNoPols": 5}}),
        Case("n/XfrmInNoPols", own={"xfrm_growth": {"XfrmInNoPols": 5}}, netns="n"),
        Case(
            "XfrmInNoPols",
            charon(sa(if_id_in=1, if_id_out=1)),
            own={"xfrm_growth": {"XfrmInNoPols": 5}},
            host={"release": "6.1.0"},
            config=XFRM,
        ),
    ],
    "vti-drops": [
        Case(
            "XfrmInNoPols",
            own={"xfrm_growth": {"XfrmInNoPols": 5}},
            host={"release": "6.1.0-57-amd64"},
        ),
        Case("XfrmInNoPols", own={"xfrm_growth": {"XfrmInNoPols": 5}}, host={"release": "4.19.5"}),
    ],
    "packets-die": [
        Case("vti1", own={"xfrm_growth": {"XfrmInError": 5}, "traffic": {"vti1": (0, 4)}}),
        Case(
            "n/vti1",
            own={"xfrm_growth": {"XfrmInError": 5}, "traffic": {"vti1": (0, 4)}},
            netns="n",
            config=IN_NETNS,
        ),
    ],
    "policy-check": [
        Case("vti1", sysctls={"ipv4/conf/vti1/disable_policy": "0"}),
        Case(
            "vti3",
            sysctls={"ipv4/conf/vti3/disable_policy": "0"},
            config=CONFIG.replace("vti1", "vti{mark}"),
        ),
    ],
    "mss-not-clamped": [
        Case("vti1", own={"clamps": {}}),
        Case("vti1", own={"clamps": {"vti1": Clamp(0, 0)}}),
        Case("vti1", own={"clamps": {"vti1": Clamp(1387, 1346)}}),
    ],
    "mss-shadowed": [
        Case("vti1", own={"other_clamps": (OtherClamp("inet fw f", 1200, ONLY_VTI),)}),
        Case("vti1", own={"other_clamps": (OtherClamp("ip fw f", 1385, (), (4,)),)}),
        Case("vti1", own={"other_clamps": (OtherClamp("ip6 fw f", 1365, (), (6,)),)}),
    ],
    "mtu-above-path": [
        Case("vti1", own={"mtus": {"vti1": 1447}}),
        Case("vti1", host={"paths": {WAY: replace(PATH, learnt=1400)}}),
        Case("vti1", host={"proven": {("", "vti1"): 1300}}),
        Case(
            "vti1",
            own={"mtus": {"vti1": 1500}},
            config=CONFIG.replace("addresses", "mtu = 1500\naddresses"),
        ),
    ],
    "strict-rp-filter": [
        Case("vti1", sysctls={"ipv4/conf/all/rp_filter": "1"}),
        Case("n/vti1", sysctls={"ipv4/conf/all/rp_filter": "1"}, netns="n", config=IN_NETNS),
        Case(
            "vti1",
            sysctls={"ipv4/conf/vti1/rp_filter": "1", "ipv4/conf/all/rp_filter": "0"},
        ),
    ],
    "forwarding-off": [
        Case("net.ipv4.ip_forward", sysctls={"ipv4/ip_forward": "0"}),
        Case(
            "n/net.ipv4.ip_forward",
            sysctls={"ipv4/ip_forward": "0"},
            netns="n",
            config=IN_NETNS,
        ),
        Case("net.ipv6.conf.all.forwarding", sysctls={"ipv6/conf/all/forwarding": "0"}),
    ],
    "networkd-routes": [
        Case("systemd-networkd", host={"networkd": {}}),
        Case("systemd-networkd", host={"networkd": {"ManageForeignRoutes": "no"}}),
    ],
    "networkd-link": [Case("vti1", host={"networkd_links": {"vti1": "/etc/a.network"}})],
    "networkmanager-link": [Case("vti1", host={"networkmanager_links": ("vti1", "eth0")})],
    "udev-changes": [
        Case("vti1", host={"udev": UdevFacts({"vti1": ("/etc/a.link: MTUBytes=1",)})}),
        Case(
            "lan0", host={"udev": UdevFacts({"lan0": ("a: Name=lan0",)}, ours=frozenset({"lan0"}))}
        ),
        Case("vti1", host={"udev": UdevFacts(rules=(UdevRule("a", 'NAME="b"', (("v*", True),)),))}),
    ],
    "udev-rules": [
        Case("vti1", host={"udev": UdevFacts({}, frozenset({"vti1"}), frozenset({"vti1"}))}),
    ],
    "bird-include": [Case("b", host={"bird_conf": "protocol device {}"})],
    "missing-module": [
        Case("ip6_vti", OVER_IPV6, {"modules": ModuleFacts(MODULES - {"ip6_vti"})}),
        Case("esp6", OVER_IPV6, {"modules": ModuleFacts(MODULES - {"esp6"})}),
        Case(
            "xfrm_interface",
            host={"modules": ModuleFacts(MODULES - {"xfrm_interface"})},
            config=XFRM,
            charon=charon(sa(if_id_in=1, if_id_out=1)),
        ),
        Case("nf_tables", host={"modules": ModuleFacts(MODULES - {"nf_tables"})}),
        Case(
            "vrf",
            host={"modules": ModuleFacts(MODULES)},
            config=CONFIG.replace("addresses", 'vrf = "red"\naddresses'),
        ),
        Case(
            "ip_vti", host={"modules": ModuleFacts(MODULES, MODULES - {"ip_vti"}, is_locked=True)}
        ),
        Case("ip_vti", host={"modules": ModuleFacts(MODULES, barred={"ip_vti": "/etc/a.conf"})}),
    ],
    "missing-capability": [
        Case("CAP_NET_ADMIN", host={"daemon_capabilities": 1 << 13}),
        Case("CAP_NET_RAW", host={"daemon_capabilities": 1 << 12}),
        Case(
            "CAP_SYS_ADMIN",
            host={"daemon_capabilities": 1 << 12 | 1 << 13},
            netns="n",
            config=IN_NETNS,
        ),
    ],
    "clock-unsynchronised": [Case("clock", host={"is_synchronised": False})],
    "clock-jumped": [
        Case("clock", host={"clock_jumped": 3600.0}),
        Case("clock", host={"clock_jumped": -61.0}),
    ],
    "hook-refused": [
        Case("/etc/h/a", host={"hooks_refused": ("/etc/h/a: belongs to user 5: chown root",)})
    ],
}


def findings(case: Case) -> tuple[Finding, ...]:
    own = {name: getattr(OWN, name) for name in NetnsFacts.__slots__} | case.own
    own["sysctls"] = {**OWN.sysctls, **case.sysctls}
    namespaces = {"": OWN, case.netns: NetnsFacts(**own)}
    host = replace(WELL, **{"namespaces": namespaces, **case.host})  # type: ignore[arg-type]
    return examine(load(case.config), case.charon, host)


@pytest.mark.parametrize(("name", "case"), [(name, one) for name in CASES for one in CASES[name]])
def test_each_finding_is_caused_alone(name: str, case: Case) -> None:
    (found,) = findings(case)
    assert (found.id, found.subject) == (name, case.subject)
    assert found.what
    assert found.fix


def test_nothing_is_found_where_all_is_well() -> None:
    assert findings(Case("")) == ()
    split = charon(sa(if_id_in=1, if_id_out=2))
    config = XFRM.replace("addresses", 'interface_in = "in"\naddresses')
    assert findings(Case("", split, config=config)) == ()


def test_nothing_follows_from_what_cannot_be_read() -> None:
    assert examine(load(CONFIG), SITE, HostFacts()) == ()


def test_a_namespace_that_is_not_seen_or_not_ours_has_no_findings() -> None:
    strict = {"ipv4/conf/all/rp_filter": "1"}
    assert findings(Case("", sysctls=strict, config=IN_NETNS)) == ()
    assert findings(Case("", sysctls=strict, netns="n")) == ()
    unnamed = CONFIG.replace("vti1", "vti{mark}")
    assert (
        findings(Case("", CharonLists("", SITE.connections), sysctls=strict, config=unnamed)) == ()
    )


def test_a_tunnel_without_sa_and_one_without_clamp_need_none() -> None:
    down = CharonLists("", SITE.connections)
    assert findings(Case("", down, own={"clamps": {}, "mtus": {"vti1": 9000}})) == ()
    unclamped = CONFIG.replace("addresses", "mss_clamp = false\naddresses")
    assert findings(Case("", own={"clamps": {}}, config=unclamped)) == ()
    assert findings(Case("", own={"clamps": None})) == (), "not seen"


def test_a_size_for_ipv6_is_compared_with_ours_for_ipv6() -> None:
    between = OtherClamp("ip6 fw f", 1370, (), (6,))
    assert findings(Case("", own={"other_clamps": (between,)})) == ()
    (found,) = findings(Case("", own={"other_clamps": (replace(between, versions=(4, 6)),)}))
    assert "1386 for IPv4:" in found.what


def test_what_was_not_looked_at_is_said() -> None:
    well = load(CONFIG)
    assert gaps(well, SITE, WELL) == ()
    elsewhere = load(
        CONFIG.replace("vti1", "vti{mark}").replace("/run/bird/bird.ctl", "/run/b2.ctl")
    )
    found = gaps(elsewhere, CharonLists("it is absent"), HostFacts(gaps=(Gap("clock", "why"),)))
    assert [gap.what for gap in found] == [
        "connections and SAs",
        "clock",
        "interfaces named vti{mark} without an SA",
        "configuration of BIRD b",
    ]
    unread = replace(WELL, udev=UdevFacts(unread=("/etc/a.rules",)))
    assert [gap.what for gap in gaps(well, SITE, unread)] == ["rules of udev in /etc/a.rules"]
    no_file = replace(WELL, bird_conf=None)
    assert [gap.what for gap in gaps(well, SITE, no_file)] == ["configuration of BIRD b"]


@pytest.mark.parametrize(
    ("conf", "wrong", "unseen"),
    [
        ('include "/etc/bird/conf.d/*.conf";', [], ["configuration of BIRD b"]),
        ('/*\ninclude "/etc/bird/conf.d/*.conf";\n*/', ["bird-include"], []),
        ('include "conf.d/*.conf";\ninclude "/var/lib/vtid/*.conf";', [], []),
    ],
)
def test_what_a_file_that_bird_conf_includes_may_include_is_told_as_not_seen(
    conf: str, wrong: list[str], unseen: list[str]
) -> None:
    """To include the file twice would have BIRD refuse the whole configuration."""
    assert [one.id for one in findings(Case("", host={"bird_conf": conf}))] == wrong
    found = gaps(load(CONFIG), SITE, replace(WELL, bird_conf=conf))
    assert [gap.what for gap in found] == unseen


def test_every_finding_has_a_section_and_a_test_in_the_docs() -> None:
    text = PAGE.read_text()
    sections = re.findall(r"^## ([a-z-]+)$", text, re.MULTILINE)
    assert sections == list(CASES)
    rows = re.findall(r"^\| \[([a-z-]+)\]\(#\1\) \| `tests/.+::test_\w+` \|$", text, re.MULTILINE)
    assert rows == list(CASES)


@pytest.mark.parametrize(("mtu", "fix"), [(1280, "outer MTU"), (1281, "find what else sets")])
def test_an_mtu_that_ipv6_keeps_is_not_said_to_be_of_others(mtu: int, fix: str) -> None:
    narrow: dict[str, object] = {"paths": {WAY: replace(PATH, learnt=1260)}}
    (found,) = findings(Case("", host=narrow, own={"mtus": {"vti1": mtu}, "clamps": None}))
    assert "1206" in found.what
    assert fix in found.fix


def test_what_is_said_of_the_clock_says_what_ends_it_and_no_more_than_is_known() -> None:
    (jumped,) = findings(Case("", host={"clock_jumped": 3600.0}))
    assert "`systemctl restart vtid`" in jumped.fix
    (untold,) = findings(Case("", host={"is_synchronised": False}))
    assert "kernel is not told" in untold.what
    assert "openntpd" in untold.fix


def test_a_pattern_is_advised_for_the_include_of_bird() -> None:
    """BIRD does not start without a file that it includes by its full name."""
    (found,) = findings(Case("", host={"bird_conf": ""}))
    assert '`include "/var/lib/vtid/*.conf";`' in found.fix


def test_a_gateway_without_ipv6_needs_no_modules_for_it() -> None:
    less = ModuleFacts(MODULES - {"esp6", "ip6_vti"})
    assert findings(Case("", host={"modules": less})) == ()


def test_a_stranger_who_sends_esp_is_thought_of() -> None:
    (found,) = findings(Case("", own={"xfrm_growth": {"XfrmInNoStates": 5}}))
    assert "the peer kept one" in found.fix
    assert "somebody sends ESP" in found.fix


@pytest.mark.parametrize(
    ("grew", "packets"), [(0, (0, 4)), (5, (1, 4)), (5, (0, 0))], ids=["nothing", "some", "unused"]
)
def test_an_interface_that_receives_or_sends_nothing_is_not_named(
    grew: int, packets: tuple[int, int]
) -> None:
    own = {"xfrm_growth": {"XfrmInError": grew}, "traffic": {"vti1": packets}}
    assert findings(Case("", own=own)) == ()
