"""Adopting where the kernel refuses: an error names the interface, and the next try succeeds."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from tests.kernel.lab import vti, xfrm
from tests.kernel.refusing import Kept, RefusingKernel
from vtid.kernel import apply
from vtid.kernel import wire as nl
from vtid.kernel.likeness import differences
from vtid.model.input import OpDone, OpFailed
from vtid.model.link import LINK_GROUP
from vtid.model.operation import AdoptLink, CreateLink

LINK = vti("p")
OP = AdoptLink(tunnel="p/vti7", reason="test", link=LINK, addresses=("192.0.2.1/32",))
INDEX = 2


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> RefusingKernel:
    played = RefusingKernel()
    monkeypatch.setattr(apply, "Requests", lambda: played)
    return played


def run(op: AdoptLink = OP) -> OpDone | OpFailed:
    (result,) = apply.Worker().run([op]).results
    return result


def script(kernel: RefusingKernel) -> Kept:
    """Let a script have made the link: as vtid does, but for the group."""
    kernel.forget()
    create = CreateLink(tunnel="p/vti7", reason="test", link=LINK)
    assert isinstance(apply.Worker().run([create]).results[0], OpDone)
    kernel.links[INDEX].attributes |= {nl.IFLA_GROUP: nl.U32.pack(0), nl.IFLA_IFALIAS: b"mine\0"}
    return kernel.links[INDEX]


def group(link: Kept) -> int:
    return int(nl.U32.unpack(link.attributes[nl.IFLA_GROUP])[0])


def test_it_gets_group_and_alias_and_nothing_else(kernel: RefusingKernel) -> None:
    link = script(kernel)
    before, writes = dict(link.attributes), kernel.writes
    assert run() == OpDone(op=OP, changed=True)
    assert kernel.writes == writes + 1
    changed = {kind for kind, data in link.attributes.items() if before[kind] != data}
    assert changed == {nl.IFLA_GROUP, nl.IFLA_IFALIAS}
    assert group(link) == LINK_GROUP
    assert run() == OpDone(op=OP, changed=False)


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=errno.errorcode.__getitem__)
@pytest.mark.parametrize("how", ["refuses", "fails"])
@pytest.mark.parametrize("kind", [nl.RTM_GETLINK, nl.RTM_NEWLINK])
def test_an_error_names_the_interface(
    kernel: RefusingKernel, kind: int, how: str, number: int
) -> None:
    link = script(kernel)
    getattr(kernel, how)[kind] = number
    result = run()
    if kind == nl.RTM_GETLINK and how == "refuses" and number == errno.ENODEV:
        assert result == OpDone(op=OP, changed=False)
    else:
        assert isinstance(result, OpFailed)
        assert result.error.startswith("vti7 in namespace 'p': ")
    assert group(link) == 0
    getattr(kernel, how).clear()
    assert run() == OpDone(op=OP, changed=True)


def test_each_difference_is_named_with_the_way_out(kernel: RefusingKernel) -> None:
    link = script(kernel)
    before = dict(link.attributes)
    other = replace(LINK, ikey=70, remote="2001:db8:9::9", vrf="red")
    result = run(replace(OP, link=other))
    assert isinstance(result, OpFailed)
    assert (
        "remote address 2001:db8:2::1 instead of 2001:db8:9::9, inbound mark (ikey) 7 instead of "
        "70, VRF none instead of red" in result.error
    )
    assert "ip -n p link delete vti7" in result.error
    assert link.attributes == before


@pytest.mark.parametrize("link", [vti("p"), vti("p", "vti"), xfrm("p")], ids=lambda one: one.kind)
def test_what_vtid_changes_in_place_is_no_difference(link: object) -> None:
    assert isinstance(link, type(LINK))
    there = replace(
        link, mtu=1300, alias="x", up=True, disable_policy=False, rp_filter=1, link_local=False
    )
    assert differences(link, there) == ()
