"""What the core knows of a namespace is what is there, whatever of the events is not read."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.kernel.test_follow import address, event
from vtid.core.state import State
from vtid.kernel import wire as nl
from vtid.kernel.dumps import Dump
from vtid.kernel.follow import Follower
from vtid.model.link import LEAVING_GROUP, LINK_GROUP, OUR_GROUPS

V4, V6 = "169.254.1.0/31", "fe80::1/64"


class There(NamedTuple):
    """A link as the kernel has it."""

    group: int
    up: bool = False
    mtu: int = 1400
    v4: bool = False
    v6: bool = False

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset(text for text, there in ((V4, self.v4), (V6, self.v6)) if there)


class Kernel:
    """Links of some indexes, and the events about what happens to them."""

    def __init__(self) -> None:
        self.links: dict[int, There] = {}
        self.told: list[bytes] = []

    def create(self, ifindex: int, group: int) -> None:
        if ifindex not in self.links:
            self.links[ifindex] = There(group)
            self._tell(ifindex)

    def change(self, ifindex: int, changes: dict[str, Any]) -> None:
        if ifindex in self.links:
            self.links[ifindex] = self.links[ifindex]._replace(**changes)
            self._tell(ifindex)

    def toggle_address(self, ifindex: int, field: str) -> None:
        if ifindex in self.links:
            link = self.links[ifindex]
            there = not getattr(link, field)
            self.links[ifindex] = link._replace(**{field: there})
            self.told.append(_address(ifindex, field, nl.RTM_NEWADDR if there else nl.RTM_DELADDR))

    def delete(self, ifindex: int, _: object) -> None:
        if link := self.links.pop(ifindex, None):
            for field in ("v4", "v6"):
                if getattr(link, field):
                    self.told.append(_address(ifindex, field, nl.RTM_DELADDR))
            self.told.append(_link(ifindex, link, nl.RTM_DELLINK))

    def dump(self) -> Dump:
        links = [_link(ifindex, link) for ifindex, link in self.links.items()]
        addresses = [
            _address(ifindex, field)
            for ifindex, link in self.links.items()
            for field in ("v4", "v6")
            if getattr(link, field)
        ]
        return Dump(links, addresses)

    def _tell(self, ifindex: int) -> None:
        self.told.append(_link(ifindex, self.links[ifindex]))


def _link(ifindex: int, link: There, kind: int = nl.RTM_NEWLINK) -> bytes:
    name = f"t{ifindex}"
    return event(ifindex, link.group, kind=kind, name=name, mtu=link.mtu, up=link.up)


def _address(ifindex: int, field: str, kind: int = nl.RTM_NEWADDR) -> bytes:
    if field == "v4":
        return address(ifindex, kind=kind)
    local = nl.attribute(nl.IFA_ADDRESS, nl.packed("fe80::1"))
    return nl.Request(kind, 0, nl.ADDRESS.pack(10, 64, 0, 0, ifindex) + local).encode(0)


INDEXES = st.integers(2, 3)
GROUPS = st.sampled_from([LINK_GROUP, LEAVING_GROUP, LINK_GROUP, LEAVING_GROUP, 0])
FIELDS = st.sampled_from(["v4", "v6"])
CHANGES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(dict, group=GROUPS),
    st.builds(dict, up=st.booleans(), mtu=st.sampled_from([1300, 1400])),
)

Happening = tuple[str, int, Any]
BEGIN: list[Happening] = [("create", ifindex, LINK_GROUP) for ifindex in (2, 3)]
BACK_AGAIN: list[Happening] = [
    ("toggle_address", 2, "v4"),
    ("change", 2, {"group": LEAVING_GROUP}),
    ("toggle_address", 2, "v4"),
    ("change", 2, {"group": LINK_GROUP}),
]
"""A link that was to be deleted stays, without its address."""
HAPPENINGS = st.one_of(
    st.tuples(st.just("change"), INDEXES, CHANGES),
    st.tuples(st.just("toggle_address"), INDEXES, FIELDS),
    st.tuples(st.just("change"), INDEXES, CHANGES),
    st.tuples(st.just("toggle_address"), INDEXES, FIELDS),
    st.tuples(st.sampled_from(["create", "delete"]), INDEXES, GROUPS),
)


@settings(max_examples=300)
@example(BACK_AGAIN)
@given(st.lists(HAPPENINGS, min_size=8, max_size=40))
def test_the_core_knows_what_is_there(story: list[Happening]) -> None:
    """But of links on their way out, of which only the end is told."""
    kernel, follower, state = Kernel(), Follower(""), State()
    for what, ifindex, how in [*BEGIN, *story]:
        getattr(kernel, what)(ifindex, how)
        while kernel.told:
            for each in follower.feed(kernel.told.pop(0)):
                state.apply(each, 0.0)
            if follower.stale:
                kernel.told.clear()
                state.apply(follower.snapshot(kernel.dump()), 0.0)
    observed = {
        tunnel.observed.ifindex: tunnel.observed
        for tunnel in state.tunnels.values()
        if tunnel.observed.link
    }
    there = {ifindex: link for ifindex, link in kernel.links.items() if link.group in OUR_GROUPS}
    assert observed.keys() == there.keys() == follower.ours
    for ifindex, link in there.items():
        if ifindex not in follower.leaving:
            seen = observed[ifindex]
            assert seen.link
            assert (seen.link.up, seen.link.mtu, seen.addresses) == (
                link.up,
                link.mtu,
                link.addresses,
            )
