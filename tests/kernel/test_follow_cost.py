"""What it costs to follow a tunnel: bytecodes of reading what the kernel tells of it."""

from __future__ import annotations

from functools import partial

from tests.counting import bytecodes
from tests.kernel.test_messages import GOLDEN
from vtid.kernel import messages
from vtid.kernel import wire as nl
from vtid.kernel.follow import Follower
from vtid.model.link import LEAVING_GROUP, LINK_GROUP

_UNHEARD = {nl.RTM_NEWROUTE, nl.RTM_DELROUTE}
"""The kernel's own: those in the recording are dropped by the filter now."""

_GROUP, _LEAVING = (
    nl.attribute(nl.IFLA_GROUP, nl.U32.pack(group)) for group in (LINK_GROUP, LEAVING_GROUP)
)


def told(label: str) -> list[bytes]:
    found = [data for name, kind, data in GOLDEN if name == label and kind not in _UNHEARD]
    assert found
    return found


def cost(follower: Follower, datagrams: list[bytes]) -> int:
    with bytecodes() as counter:
        for datagram in datagrams:
            follower.feed(datagram)
    return counter.count


BORN = [*told("outer-vti6-created"), *told("outer-vti6-up")]
GONE = [data.replace(_GROUP, _LEAVING) for data in told("outer-vti6-deleted")]


def test_following_a_tunnel_costs_no_more_than_it_did() -> None:
    again = partial(cost, datagrams=BORN)
    again(Follower(""))  # what all tunnels have in common is read once
    messages._of_kind.cache_clear()
    assert again(Follower("")) <= 9_100


def test_following_its_end_costs_no_more_than_it_did() -> None:
    follower = Follower("")
    cost(follower, BORN)
    assert follower.ours
    assert cost(follower, [GONE[0], *GONE]) <= 4_100
    assert not follower.ours
