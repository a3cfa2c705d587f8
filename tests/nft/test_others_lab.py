"""What real nftables lists of rules that ask for interfaces and versions of IP."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from vtid.nft.others import read

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

NETNS = "vtid-nft-others"

NAMES = 'set names { type ifname; elements = { "vti1", "vti2" }; }'

RULES = {
    "oifname @names": {"vti1"},
    "oifname != @names": {"vti3"},
    'oifname "vti*" oifname != "vti1"': {"vti3"},
    'oifname { "vti1", "eth0" }': {"vti1"},
    'oifname != { "vti1", "eth0" }': {"vti3"},
    'iifname "eth0" oifname != "vti1"': {"vti3"},
}
"""Which of vti1 and vti3 a rule applies to."""

HOOK = "type filter hook forward priority 0;"
"""Only rules of a chain with a hook are judged."""

VERSIONS = {
    "inet t meta nfproto ipv6": (6,),
    "inet t ip6 daddr 2001:db8::1": (6,),
    "inet t ip daddr 10.0.0.1": (4,),
    "ip6 t": (6,),
    "ip t": (4,),
}


@pytest.fixture
def netns() -> Iterator[str]:
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    try:
        yield NETNS
    finally:
        subprocess.run(["ip", "netns", "delete", NETNS], check=True)


def listed(netns: str, text: str) -> str:
    """The ruleset with a text in it, as nft lists it."""
    nft = ("ip", "netns", "exec", netns, "nft")
    subprocess.run([*nft, "-f", "-"], check=True, input=f"flush ruleset\n{text}", text=True)
    return subprocess.check_output([*nft, "-j", "list", "ruleset"], text=True)


@pytest.mark.parametrize("rule", RULES)
def test_interfaces_are_read(netns: str, rule: str) -> None:
    text = "tcp flags syn tcp option maxseg size set 1200"
    chain = f"chain c {{ {HOOK}\n {rule} {text}\n }}"
    (found,) = read(listed(netns, f"table inet t {{ {NAMES}\n {chain}\n }}")).clamps
    assert {one for one in ("vti1", "vti3") if found.applies(one)} == RULES[rule]


@pytest.mark.parametrize("rule", VERSIONS)
def test_versions_of_ip_are_read(netns: str, rule: str) -> None:
    family, table, *match = rule.split()
    what = f"{' '.join(match)} tcp flags syn tcp option maxseg size set 1200"
    chain = f"chain c {{ {HOOK} {what}; }}"
    (found,) = read(listed(netns, f"table {family} {table} {{ {chain}; }}")).clamps
    assert found.versions == VERSIONS[rule]
