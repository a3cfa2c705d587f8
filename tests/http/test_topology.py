"""Where the tunnels and peers of this gateway are drawn."""

from __future__ import annotations

from dataclasses import replace

from tests.http.samples import AWAITED, DOWN, ERROR, MISSING, UP, sa
from vtid.http.topology import HEAD, MOST, ROW, picture
from vtid.http.words import Peer


def test_what_is_not_up_comes_first() -> None:
    found = picture((UP, DOWN, AWAITED))
    assert [row.tunnel for row in found.rows] == ["vti50", "V2-4", "private/vti42"]
    assert [row.y for row in found.rows] == [HEAD, HEAD + ROW, HEAD + 2 * ROW]
    assert found.height == HEAD + 3 * ROW
    assert found.left_out == 0


def test_tunnels_of_one_peer_stand_together() -> None:
    second = replace(UP, tunnel="private/vti44", interface="vti44")
    other = replace(UP, tunnel="vti60", sas=(replace(sa(), remote_id="gw-c"),))
    found = picture((UP, other, second))
    assert [row.tunnel for row in found.rows] == ["private/vti42", "private/vti44", "vti60"]
    first, last = found.ends
    assert first.peer == Peer("gw-b", "192.0.2.2")
    assert (first.y, last.y) == (HEAD, HEAD + 2 * ROW)
    assert first.height > ROW > last.height


def test_of_many_some_are_left_out() -> None:
    many = [replace(UP, tunnel=f"vti{number}") for number in range(MOST + 5)]
    found = picture((*many, ERROR))
    assert (len(found.rows), found.left_out) == (MOST, 6)
    assert found.rows[0].tunnel == ERROR.tunnel


def test_a_session_that_is_down_shows_on_a_tunnel_that_is_up() -> None:
    rows = picture((UP, replace(UP, tunnel="x", bgp=(MISSING,)), ERROR)).rows
    by_name = {row.tunnel: row for row in rows}
    assert [by_name[name].bgp_down for name in (UP.tunnel, "x", ERROR.tunnel)] == [0, 1, 0]
    up, error = by_name[UP.tunnel], by_name[ERROR.tunnel]
    assert (up.mtu, up.bgp) == ("MTU 1446", "Established")
    assert (error.mtu, error.bgp) == ("no interface", "")
