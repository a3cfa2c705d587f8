"""The page: what it says, and that it says no more than text.

A parser of HTML reads it; a real browser does in tests/page.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.http.html import ELEMENTS, Reader
from tests.http.samples import AWAITED, DOWN, ERROR, HISTORY, SUMMARY, UP
from vtid.http.page import csp, moment, page
from vtid.http.query import Query
from vtid.model.bgp import BgpState
from vtid.model.listing import Event, Listing
from vtid.model.mode import Mode
from vtid.model.status import Trouble, TunnelState

if TYPE_CHECKING:
    from vtid.model.status import Summary, TunnelStatus

NOW = 2000.0


def shown(
    *tunnels: TunnelStatus,
    query: Query | None = None,
    summary: Summary = SUMMARY,
    matching: int | None = None,
    first: int = 0,
    events: tuple[Event, ...] = (),
) -> Reader:
    listing = Listing(len(tunnels) if matching is None else matching, first, tunnels, events)
    return Reader(page(summary, listing, query or Query(), "gw-1", NOW))


def test_a_tunnel_has_all_that_there_is_to_see() -> None:
    text = shown(replace(UP, mode=Mode.DRAINED)).text
    for words in (
        "private/vti42",
        "● up drained",
        "gw-b 192.0.2.2",
        "1446 1398 proven limited by the path, 1446 computed",
        "1406 / 1386",
        "2001:db8:ff::1 Established",
        "1k / 2k",
        "8m20s 1970-01-01 00:25:00",
        "CHILD_SA V2-1/net{7} is installed",
    ):
        assert words in text


def test_what_is_not_known_is_no_zero() -> None:
    text = shown(DOWN).text
    assert "vti50 ✕ down V2-2 - - - - - no CHILD_SA" in text


def test_the_summary_and_what_is_wrong_since_when() -> None:
    text = shown(UP, ERROR).text
    assert "1 of 3 tunnels up" in text
    assert "● 2 of 2 namespaces watched" in text
    assert "1 of 2 sessions established; file not confirmed yet" in text
    assert "V2-9/net{3}: mode TRANSPORT since before vtid looked" in text
    assert f"private/vti43 : {ERROR.error} since 1970-01-01 00:26:40 (6m40s ago)" in text


def test_a_daemon_that_is_not_well() -> None:
    bad = replace(
        SUMMARY,
        ready=False,
        waiting_for=("VICI",),
        vici_connected=False,
        namespaces_watched=1,
        birds=(replace(SUMMARY.birds[0], connected=False),),
        initiating=2,
        paused=1,
        config_loaded_at=0.0,
        troubles=(Trouble("charon", "refused", 1990.0),),
        more_troubles=7,
    )
    text = shown(summary=bad).text
    assert "◆ not ready 0.1.0, up 18m20s waits for VICI work is under way, or something" in text
    assert "Configuration not loaded charon" in text
    assert "✕ not connected 2 CHILD_SAs to initiate" in text
    assert "✕ 1 of 2 namespaces watched" in text
    assert "1 paused, 0 drained" in text
    assert "charon : refused since 1970-01-01 00:33:10 (10s ago) and 7 more" in text


def test_nothing_wrong() -> None:
    counts = {**SUMMARY.tunnels, "down": 0, "error": 0}
    well = replace(SUMMARY, troubles=(), tunnels=counts, synced=True)
    assert "What is wrong ● Nothing." in shown(UP, summary=well).text
    one_down = replace(well, tunnels={**counts, "down": 1})
    text = shown(UP, DOWN, summary=one_down).text
    assert "No error. 1 of 2 tunnels are not up; the list says why." in text


def test_events() -> None:
    events = tuple(Event("private/vti42", past) for past in reversed(HISTORY))
    text = shown(UP, events=events).text
    assert "private/vti42 SetClamp 1406/1386 failed nft: no such table MTU changed" in text
    assert text.index("SetClamp") < text.index("CreateLink")
    assert "None since vtid started." in shown(UP).text


def test_filters_keep_each_other() -> None:
    found = shown(UP, query=Query("down", "gw & co", 1, 5))
    addresses = found.values("href")
    assert "?text=gw+%26+co&refresh=5#tunnels" in addresses  # all states
    assert "?state=error&text=gw+%26+co&refresh=5#tunnels" in addresses
    assert "?state=down&text=gw+%26+co&refresh=0" in addresses
    assert ("input", "value", "gw & co") in found.attributes
    assert found.values("aria-current") == ["true", "true"]  # the state, and how often
    again = ("meta", "content", "5; url=?state=down&text=gw+%26+co&refresh=5")
    assert again in found.attributes


def test_it_is_not_loaded_again_where_nobody_wants_that() -> None:
    assert "refresh" in shown(UP).values("http-equiv")
    assert shown(UP, query=Query(refresh=0)).values("http-equiv") == []


@pytest.mark.parametrize(
    ("first", "turns"),
    [
        (0, {"?", "?page=2", "?page=100"}),
        (3600, {"?", "?page=36", "?page=38", "?page=100"}),
        (9900, {"?", "?page=99"}),
    ],
)
def test_parts_of_a_long_list(first: int, turns: set[str]) -> None:
    found = shown(*[UP] * 100, matching=10_000, first=first)
    assert f"{first + 1} to {first + 100} of 10000" in found.text
    parts = (re.fullmatch(r"(\?(page=\d+)?)#tunnels", one) for one in found.values("href"))
    assert {one[1] for one in parts if one} == turns
    assert found.text.count(f"Part {first // 100 + 1} of 100") == 2


def test_no_tunnels() -> None:
    none = replace(SUMMARY, tunnels=dict.fromkeys(SUMMARY.tunnels, 0))
    assert "No tunnel is configured." in shown(summary=none).text
    assert "No tunnel fits." in shown(query=Query(text="x")).text


def test_every_state_has_a_word_and_a_shape_beside_its_colour() -> None:
    text = shown(*(replace(UP, state=state) for state in TunnelState)).text
    for symbol, state in zip("●◆■✕▲", TunnelState, strict=True):
        assert text.count(f"{symbol} {state}") >= 2  # in the table and in the picture


def test_it_can_be_read_out() -> None:
    found = shown(UP, AWAITED, ERROR, events=(Event("x", HISTORY[0]),))
    assert ("html", "lang", "en") in found.attributes
    assert found.tags["caption"] == found.tags["table"] == 2
    assert found.values("scope").count("col") == 9 + 5
    assert found.values("scope").count("row") == 3 + 1
    assert ("svg", "role", "img") in found.attributes
    ids, named = found.values("id"), found.values("aria-labelledby")
    assert len(ids) == len(set(ids))
    assert set(named) <= set(ids)


# --- what it must not do --------------------------------------------------------------------------

HOSTILE = "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\x1b[2J\0"


def hostile(word: str) -> Reader:
    session = BgpState(word, "up", word, word, neighbor=word, last_error=word, bird=word)
    sas = tuple(replace(one, remote_id=word, remote_host=word) for one in UP.sas)
    tunnel = replace(
        UP,
        tunnel=word,
        interface=word,
        netns=word,
        policy=word,
        reason=word,
        error=word,
        sas=sas,
        bgp=(session,),
        underlay_interface=word,
    )
    summary = replace(
        SUMMARY,
        version=word,
        waiting_for=(word,),
        ready=False,
        troubles=(Trouble(word, word, 1.0),),
        birds=(replace(SUMMARY.birds[0], instance=word, version=word),),
    )
    past = replace(HISTORY[2], op=word, subject=word, reason=word, error=word)
    listing = Listing(1, 0, (tunnel, replace(tunnel, sas=(), link=None)), (Event(word, past),))
    return Reader(page(summary, listing, Query("", word), word, NOW))


def test_words_that_others_choose_stay_text() -> None:
    plain, found = hostile("plain"), hostile(HOSTILE)
    assert found.tags == plain.tags
    assert [one[:2] for one in found.attributes] == [one[:2] for one in plain.attributes]
    assert "<script>alert(1)</script>" in found.text
    assert "\\u202e\\x1b[2J\\x00" in found.text
    assert all(char.isprintable() or char == "\n" for char in "".join(found.words))


def test_lone_surrogates_can_be_sent() -> None:
    found = hostile("\udcff\ud800")
    assert "\\udcff\\ud800" in found.text.encode().decode()


def test_a_long_word_is_cut() -> None:
    text = hostile("A" * 65535).text
    assert "A" * 300 + "…" in text
    assert "A" * 301 not in text


def test_nothing_runs_and_nothing_comes_from_elsewhere() -> None:
    found = shown(UP, ERROR)
    assert found.tags.keys() <= ELEMENTS
    assert not found.values("style")
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    for address in found.values("href") + found.values("src") + found.values("action"):
        assert address.startswith(("?", "/", "#", "data:image/svg+xml,"))
        assert not address.startswith("//")


def test_the_policy_allows_the_style_and_no_more() -> None:
    parts = dict(part.strip().split(" ", 1) for part in csp().split(";"))
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", parts.pop("style-src"))
    assert parts == {
        "default-src": "'none'",
        "img-src": "data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }


def test_a_time_that_is_not_known() -> None:
    assert moment(0.0, NOW) is None


def test_addresses_of_the_page_are_whole_whatever_their_length() -> None:
    query = Query(text="\u0416" * 150, refresh=5)
    assert len(query.address()) > 900
    again = ("meta", "content", f"5; url={query.address()}")
    assert again in shown(UP, query=query).attributes
