"""What the page says of one tunnel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.http.samples import DOWN, ERROR, ESTABLISHED, MISSING, PROBE, UP, link, sa
from vtid.http.words import Peer, bgp, bgp_down, mtu_limit, peer, proven

if TYPE_CHECKING:
    from vtid.model.status import TunnelStatus


def test_the_peer_is_that_of_the_newest_sa() -> None:
    assert peer(UP) == Peer("gw-b", "192.0.2.2")
    moved = replace(sa(9, installed_at=2000.0), remote_host="192.0.2.3", remote_id="gw-c")
    assert peer(replace(UP, sas=(moved, sa()))) == Peer("gw-c", "192.0.2.3")


def test_the_peer_of_a_tunnel_without_sa() -> None:
    assert peer(DOWN) == Peer("V2-2", "")
    assert peer(replace(DOWN, link=link())) == Peer("V2-2", "192.0.2.2")


def test_many_peers_of_one_interface_are_counted() -> None:
    sas = [replace(sa(n), ike_unique_id=n, remote_host=f"192.0.2.{n}") for n in (1, 2, 3)]
    assert peer(replace(UP, sas=tuple(sas))) == Peer("3 peers of V2-1", "")


@pytest.mark.parametrize(
    ("tunnel", "words"),
    [
        (DOWN, ""),
        (replace(UP, path_mtu=1400), "only 1400 fit into the SA"),
        (UP, "limited by the path, 1446 computed"),
        (replace(UP, probe=None), "limited by 1500 outside on eth0"),
        (replace(UP, probe=replace(PROBE, proven_mtu=1446)), "limited by 1500 outside on eth0"),
        (replace(UP, probe=None, underlay_mtu=0), ""),
    ],
)
def test_what_limits_the_mtu(tunnel: TunnelStatus, words: str) -> None:
    assert mtu_limit(tunnel) == words


def test_what_is_proven() -> None:
    assert proven(UP) == "1398 proven"
    assert proven(replace(UP, probe=replace(PROBE, proven_mtu=0))) == "unproven"
    assert proven(replace(UP, probe=replace(PROBE, search=""))) == ""
    assert proven(DOWN) == ""


@pytest.mark.parametrize(
    ("tunnel", "words", "down"),
    [
        (DOWN, "", False),
        (UP, "Established", False),
        (ERROR, "missing", True),
        (replace(UP, bgp=(replace(ESTABLISHED, info="Active  Socket: reset"),)), "Active", True),
        (replace(UP, bgp=(ESTABLISHED, MISSING)), "1 of 2 established", True),
    ],
)
def test_bgp(tunnel: TunnelStatus, words: str, *, down: bool) -> None:
    assert (bgp(tunnel), bgp_down(tunnel)) == (words, down)
