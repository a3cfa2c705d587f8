"""Probing in the core: who is probed, and what becomes of the MTU."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.core.world import CBC, LAB_TEXT, World, sa
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.core.pmtud import CONFIRMATION_TIMER, MAX_PROBES, PMTU_RAISE_TIMER, SMALLEST, STEP
from vtid.core.probing import AT_ONCE, BATCH, FIRST_RETRY, LAST_RETRY
from vtid.core.state import State
from vtid.model.input import (
    BirdSnapshot,
    ChildDown,
    ChildRekeyed,
    ChildUp,
    ClampSnapshot,
    IkeUpdated,
    Input,
    LinkGone,
    ModeAsked,
    OpFailed,
    ProbeAnswered,
    SaSnapshot,
    UnderlayChanged,
    ViciLost,
)
from vtid.model.link import Clamp
from vtid.model.mode import Mode
from vtid.model.operation import (
    CreateLink,
    DeleteLink,
    ProbeUnderlay,
    PutBird,
    Rekey,
    SendProbe,
    SetClamp,
    SetLink,
)
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from vtid.core.tunnels import Tunnel
    from vtid.model.operation import Op
    from vtid.model.status import ProbeStatus

COMPUTED = 1426
"""Bytes; AES-GCM in IPv6 with 1,500 outside."""

WITHOUT_FIRST = LAB_TEXT[LAB_TEXT.index("[[tunnel]]", 20) :]

LINKS = 'addresses = ["2001:db8:ff::/127", "169.254.1.0/31"]'


def config(probe: str = "", text: str = LAB_TEXT) -> ConfigLoaded:
    table = f"[tunnel.probe]\n{probe}\n[tunnel.bgp]"
    return ConfigLoaded(load(text.replace("[tunnel.bgp]", table, 1)))


def world(probe: str = "", *, passes: int = 0, text: str = LAB_TEXT) -> World:
    """A world whose first tunnel is up, after a minute."""
    made = World(config=config(probe, text).config, passes=passes).start([sa(1)])
    run(made, 60)
    return made


def run(made: World, seconds: float) -> None:
    until = made.now + seconds
    while made.now < until:
        made.pass_time(BATCH)


def tunnel(made: World) -> Tunnel:
    return made.state.tunnels["private/vti3"]


def probe(made: World) -> ProbeStatus:
    found = made.state.probe_of(tunnel(made), clock_offset=5000.0)
    assert found is not None
    return found


def sizes(made: World) -> list[int]:
    return [size for op in made.probes for size in op.sizes]


def done(made: World) -> list[Op]:
    """What was done, but for lookups."""
    return [op for op in made.done if not isinstance(op, ProbeUnderlay)]


# --- the MTU --------------------------------------------------------------------------------------


def test_what_does_not_pass_bounds_interface_mss_and_reason() -> None:
    made = world(passes=1400)
    link = made.link()
    assert link is not None
    assert 1400 - STEP < link.mtu <= 1400
    assert made.clamps["private", "vti3"] == Clamp(link.mtu - 40, link.mtu - 60)
    assert tunnel(made).desired.path_mtu == link.mtu
    assert f"MTU {link.mtu} proven by probes, instead of MTU {COMPUTED} from AES_GCM" in (
        tunnel(made).desired.reason
    )
    assert (probe(made).proven_mtu, probe(made).computed_mtu) == (link.mtu, COMPUTED)
    assert probe(made).search == "search complete"


def test_the_interface_is_changed_once_per_search() -> None:
    made = world(passes=1400)
    assert [type(op) for op in made.done].count(SetLink) == 1


@pytest.mark.parametrize("passes", [0, SMALLEST, 300, 9000])
def test_a_path_that_is_not_known_to_carry_less_changes_nothing(passes: int) -> None:
    made, without = world(passes=passes), world("mtu = false")
    assert done(made) == done(without)
    assert made.link() == without.link()
    assert probe(made).proven_mtu == (COMPUTED if passes == 9000 else 0)


def test_with_ipv6_inside_the_interface_keeps_1280() -> None:
    made = world(passes=1000)
    link, clamp = made.link(), made.clamps["private", "vti3"]
    assert link is not None
    assert link.mtu == 1280
    assert 1000 - STEP < clamp.mss4 + 40 <= 1000
    assert "MTU 1280, the minimum for IPv6; IPv6 packets of" in tunnel(made).desired.reason


@pytest.mark.parametrize(
    ("mtu", "passes", "interface", "most"),
    [
        ("1420", 1500, 1420, 1420),
        ("1420", 1400, 1400, 1420),
        ('"underlay"', 1500, 1500, COMPUTED),
        ('"underlay"', 1400, 1400, COMPUTED),
    ],
)
def test_a_configured_mtu_is_bounded_and_never_exceeded(
    mtu: str, passes: int, interface: int, most: int
) -> None:
    made = world(passes=passes, text=LAB_TEXT.replace(LINKS, f"{LINKS}\nmtu = {mtu}", 1))
    link = made.link()
    assert link is not None
    assert interface - STEP < link.mtu <= interface
    assert max(sizes(made)) == most


def test_a_path_that_heals_raises_interface_and_mss_again() -> None:
    made = world(passes=1400)
    made.passes = 9000
    run(made, PMTU_RAISE_TIMER)
    link = made.link()
    assert link is not None
    assert link.mtu == COMPUTED
    notes = [note for note in made.state.take_notes() if note.event == "path MTU changed"]
    assert [note.level for note in notes] == ["warning", "info"]
    assert "1426 do not" in notes[0].detail


def test_a_rekey_with_other_ciphers_keeps_what_was_proven() -> None:
    made = world(passes=1400)
    proven = probe(made).proven_mtu
    made.tell(ChildRekeyed(1, sa(2)), ChildDown(1))
    assert probe(made).proven_mtu == proven
    assert tunnel(made).proven == proven


def test_what_was_proven_outlives_the_sa_and_a_reload() -> None:
    made = world(passes=1400)
    proven = tunnel(made).proven
    made.tell(ChildDown(1))
    made.tell(config())
    made.tell(ChildUp(sa(2)))
    assert tunnel(made).proven == proven > 0
    made.pass_time(BATCH)
    link = made.link()
    assert link is not None
    assert link.mtu == proven


def test_another_path_is_another_search() -> None:
    made = world(passes=1400)
    made.passes = 9000
    made.tell(IkeUpdated(1, "2001:db8:1::1", "2001:db8:2::9"))
    link = made.link()
    assert link is not None
    assert (link.mtu, probe(made).sent) == (COMPUTED, 0)
    run(made, 10)
    assert probe(made).proven_mtu == COMPUTED


# --- who is probed --------------------------------------------------------------------------------


def test_probes_go_to_the_neighbour_through_the_interface() -> None:
    made = world(passes=9000)
    op = made.probes[0]
    index = made.index_of("private", "vti3")
    assert (op.netns, op.ifindex, op.peer) == ("private", index, "2001:db8:ff::1")


def test_a_tunnel_without_peer_is_not_probed() -> None:
    text = LAB_TEXT.replace("2001:db8:ff::2/127", "2001:db8:ff::2/64")
    made = World(config=load(text)).start([sa(1, "V2-2", mark=4)])
    run(made, 10)
    assert not made.probes
    assert made.state.probe_of(made.state.tunnels["fixed0"], 0.0) is None


def test_without_sa_nothing_is_sent_and_nothing_is_due() -> None:
    made = world(passes=9000)
    made.tell(ChildDown(1))
    count = len(made.probes)
    run(made, 120)
    assert len(made.probes) == count
    assert made.state.next_deadline() is None


def lose_link(made: World) -> Input:
    """Take the interface away, as another program does; its end is for the caller to tell."""
    index = made.index_of("private", "vti3")
    assert index is not None
    del made.links["private", index]
    made.addresses.pop(("private", index), None)
    made.failing[CreateLink] = "the name is taken"
    return LinkGone("private", index, None)


def test_without_interface_nothing_is_sent_until_it_is_back() -> None:
    made = world(REINITIATE, passes=9000)
    count = len(made.probes)
    made.tell(lose_link(made))
    run(made, 120)
    assert len(made.probes) == count
    made.failing.clear()
    run(made, 120)
    assert {op.ifindex for op in made.probes[count:]} == {made.index_of("private", "vti3")}
    assert not [op for op in made.done if isinstance(op, Rekey)]
    assert probe(made).alive is True


def test_nor_while_operations_are_under_way() -> None:
    made = world('interval = "5s"', passes=9000)
    made.state.apply(ChildRekeyed(1, sa(2, esp=CBC)), made.now)
    assert SetLink in {type(op) for op in made.state.work(made.now)}
    made.state.apply(lose_link(made), made.now)
    ops = [op for later in range(60) for op in made.state.work(made.now + later)]
    assert not ops


@pytest.mark.parametrize("on_fail", ["down", "reinitiate"])
@pytest.mark.parametrize(
    "gone",
    [(ChildDown(1), ChildDown(2)), (ConfigLoaded(load(WITHOUT_FIRST)),)],
    ids=["sa", "policy"],
)
def test_nor_where_sa_or_policy_goes_meanwhile(on_fail: str, gone: tuple[Input, ...]) -> None:
    made = world(f'interval = "5s"\non_fail = "{on_fail}"', passes=9000)
    made.state.apply(ChildRekeyed(1, sa(2, esp=CBC)), made.now)
    assert SetLink in {type(op) for op in made.state.work(made.now)}
    for event in gone:
        made.state.apply(event, made.now)
    ops = [op for later in range(600) for op in made.state.work(made.now + later)]
    assert not ops


def test_nor_for_an_answer_that_comes_late() -> None:
    made = world(REINITIATE, passes=9000)
    made.passes = 0
    run(made, 60)
    made.state.apply(ChildRekeyed(1, sa(2, esp=CBC)), made.now)
    assert SetLink in {type(op) for op in made.state.work(made.now)}
    made.state.apply(ChildDown(1), made.now)
    made.state.apply(ChildDown(2), made.now)
    late = made.now + 2 * FIRST_RETRY
    made.state.apply(ProbeAnswered("private/vti3", 1, SMALLEST, rtt=9.0), late)
    assert not made.state.work(late)


def test_nor_where_an_operation_fails_after_the_sa_went() -> None:
    made = world(passes=9000)
    made.state.apply(ClampSnapshot("private", ()), made.now)  # somebody flushed nftables
    (op,) = made.state.work(made.now)
    made.state.apply(ChildDown(1), made.now)
    made.state.apply(OpFailed(op, "no"), made.now)
    assert not made.state.work(made.now)


def test_after_a_flush_nothing_is_sent() -> None:
    from vtid.model.input import FlushAsked  # noqa: PLC0415 - of this test

    made = world(passes=9000)
    made.tell(FlushAsked())
    count = len(made.probes)
    run(made, 120)
    assert len(made.probes) == count


def test_with_both_off_nothing_is_sent() -> None:
    assert not world("mtu = false", passes=9000).probes


def test_liveness_without_mtu_sends_small_probes_at_intervals() -> None:
    made = world('mtu = false\ninterval = "5s"', passes=9000)
    assert set(sizes(made)) == {SMALLEST}
    assert 60 / 5.5 - 2 <= len(made.probes) <= 60 / 5 + 1
    assert (probe(made).alive, probe(made).search, probe(made).proven_mtu) == (True, "", 0)


def test_probes_of_many_tunnels_are_spread() -> None:
    count = 3 * AT_ONCE
    text = "".join(
        f'[[tunnel]]\nconnection = "c{n}"\ninterface = "i{n}"\naddresses = ["10.0.{n >> 7}.'
        f'{n % 128 * 2}/31"]\n'
        for n in range(count)
    )
    made = World(config=load(text), checked=False, passes=9000)
    made.start([sa(n + 1, f"c{n}", mark=n + 1, remote_host=f"2001:db8::{n}") for n in range(count)])
    made.probes.clear()
    batches = []
    for _ in range(100):
        before = len(made.probes)
        made.pass_time(BATCH)
        batches.append(len(made.probes) - before)
    assert {op.tunnel for op in made.probes} == {f"i{n}" for n in range(count)}
    # a batch that is answered at once asks again in the same moment
    assert max(batches) <= 3 * AT_ONCE


# --- answers --------------------------------------------------------------------------------------


def test_sent_answered_and_the_last_answer_are_counted() -> None:
    made = world('interval = "10s"', passes=9000)
    found = probe(made)
    assert found.sent == found.answered == len(sizes(made))
    assert found.rtt == 0.02
    assert 5000.0 + made.now - 12.0 <= found.answered_at <= 5000.0 + made.now


def test_silence_is_told_once_and_so_is_its_end() -> None:
    made = world('interval = "10s"\ncount = 4', passes=9000)
    made.state.take_notes()
    made.passes = 0
    run(made, 30)
    (note,) = made.state.take_notes()
    assert (note.level, note.event) == ("warning", "peer silent")
    assert "4 probes in a row to 2001:db8:ff::1" in note.detail
    assert probe(made).alive is False
    made.passes = 9000
    run(made, 30)
    (note,) = made.state.take_notes()
    assert (note.level, note.event, note.detail) == ("info", "peer answers again", "2001:db8:ff::1")
    assert probe(made).alive is True


def test_what_cannot_be_sent_is_no_silence() -> None:
    made = World(config=config('interval = "5s"').config, passes=9000)
    made.failing[SendProbe] = "no CAP_NET_RAW"
    made.start([sa(1)])
    run(made, 60)
    assert not [note for note in made.state.take_notes() if note.event == "peer silent"]
    assert probe(made).alive is True


@pytest.mark.parametrize("on_fail", ["down", "reinitiate"])
def test_rounds_that_could_not_be_sent_do_not_count_when_they_can(on_fail: str) -> None:
    made = world(f'interval = "5s"\non_fail = "{on_fail}"\ncount = 4', passes=9000)
    made.failing[SendProbe] = "No buffer space available"
    run(made, 120)
    made.failing.clear()
    made.passes = 0
    made.done.clear()
    count = len(made.probes)
    while not made.done:
        made.pass_time(BATCH)
    assert len(made.probes) - count >= 4


@pytest.mark.parametrize("on_fail", ["down", "reinitiate"])
@pytest.mark.parametrize("late", [0.0, 9.0, 60.0])
def test_answers_that_wait_in_the_inbox_are_no_silence(on_fail: str, late: float) -> None:
    made = world(f'interval = "5s"\non_fail = "{on_fail}"', passes=9000)
    made.state.take_notes()
    made.done.clear()
    inbox: deque[tuple[float, Input]] = deque()
    before, began = probe(made).sent, made.now
    while made.now < began + 300:
        made.now += BATCH
        since = made.now
        while inbox and inbox[0][0] <= made.now - late:
            since, event = inbox.popleft()
            made.state.apply(event, made.now)
        if inbox:
            since = min(since, inbox[0][0])
        made.run(made.state.work(made.now, since=since))
        inbox.extend((made.now, event) for event in made.inbox)
        made.inbox.clear()
    assert not made.done
    assert not made.state.take_notes()
    assert probe(made).sent > before + 3


def test_without_interval_silence_is_no_verdict() -> None:
    made = world()
    assert probe(made).alive is None
    assert not [note for note in made.state.take_notes() if note.event.startswith("peer")]


def test_a_probe_that_cannot_be_sent_is_told_once_and_changes_nothing() -> None:
    made = World(config=config().config, passes=9000)
    made.failing[SendProbe] = "no CAP_NET_RAW"
    made.start([sa(1)])
    run(made, 60)
    notes = [note for note in made.state.take_notes() if note.event == "probe failed"]
    assert [note.detail for note in notes] == ["no CAP_NET_RAW"]
    assert probe(made).error == "no CAP_NET_RAW"
    assert not tunnel(made).progress.error
    made.failing.clear()
    run(made, CONFIRMATION_TIMER + 5)
    assert (probe(made).error, probe(made).proven_mtu) == ("", COMPUTED)


@pytest.mark.parametrize("name", ["private/vti3", "fixed0", "nobody"])
def test_answers_that_nobody_waits_for_change_nothing(name: str) -> None:
    made = world(passes=1400)
    before = probe(made)
    made.tell(ProbeAnswered(name, 0, 9000, 0.1))
    after = probe(made)
    assert (after.proven_mtu, after.search) == (before.proven_mtu, before.search)


# --- on_fail = "down" -----------------------------------------------------------------------------

DOWN = 'interval = "5s"\non_fail = "down"'


def silenced(more: str = "") -> World:
    """A world whose first tunnel has just been set down for a silent peer."""
    made = world(DOWN + more, passes=9000, text=LAB_TEXT.replace(LINKS, f"{LINKS}\n{ROUTE}", 1))
    made.passes = 0
    made.done.clear()
    run(made, 12)
    return made


ROUTE = 'routes = [{to = "10.9.0.0/16"}]'


def is_up(made: World) -> bool:
    link = made.link()
    assert link is not None
    return link.up


def test_a_silent_peer_takes_interface_routes_and_sessions_down() -> None:
    made = silenced()
    assert not is_up(made)
    assert not made.routes_of("vti3", "private")
    assert not made.blocks
    found = tunnel(made)
    assert (found.state, found.desired.reason) == (
        TunnelState.DOWN,
        "set down: 3 probes in a row to 2001:db8:ff::1 had no answer",
    )
    assert probe(made).alive is False


def test_sessions_that_are_always_there_stay() -> None:
    always = '65002\npresent = "always"'
    text = LAB_TEXT.replace("vti{mark}", "vti3").replace("65002", always, 1)
    made = world(DOWN, passes=9000, text=text)
    made.passes = 0
    run(made, 12)
    assert not is_up(made)
    assert made.blocks


def test_while_it_is_down_nothing_is_sent() -> None:
    made = silenced()
    count = len(made.probes)
    run(made, FIRST_RETRY - 15)
    assert len(made.probes) == count


def test_it_is_tried_again_and_stays_when_the_peer_answers() -> None:
    made = silenced()
    before = made.links_in("private")
    made.passes = 9000
    made.state.take_notes()
    run(made, FIRST_RETRY + 5)
    assert is_up(made)
    assert made.routes_of("vti3", "private")
    assert made.blocks
    assert [index for index, _ in made.links_in("private").links] == [
        index for index, _ in before.links
    ]
    events = [note.event for note in made.state.take_notes()]
    assert events.count("peer answers again") == 1
    assert probe(made).alive is True
    count = len(made.done)
    run(made, 300)
    assert len(made.done) == count


def test_a_peer_that_stays_silent_is_tried_less_and_less() -> None:
    made = silenced()
    made.state.take_notes()
    ups: list[float] = []
    for _ in range(20_000):
        made.pass_time(BATCH)
        if is_up(made) and (not ups or made.now - ups[-1] > FIRST_RETRY / 2):
            ups.append(made.now)
    waits = [later - earlier for earlier, later in pairwise(ups)]
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(2 * FIRST_RETRY, abs=10)
    assert waits[-1] == pytest.approx(LAST_RETRY, abs=10)
    assert "peer silent" not in [note.event for note in made.state.take_notes()], "told once"


def test_a_peer_that_answered_meanwhile_is_tried_as_soon_as_at_first() -> None:
    made = silenced()
    made.passes = 9000
    run(made, FIRST_RETRY + 30)
    made.passes = 0
    run(made, 12)
    assert not is_up(made)
    made.passes = 9000
    run(made, FIRST_RETRY + 5)
    assert is_up(made)


def test_a_new_sa_is_tried_at_once() -> None:
    made = silenced()
    made.passes = 9000
    made.tell(ChildRekeyed(1, sa(2)), ChildDown(1))
    run(made, 1)
    assert is_up(made)


def test_an_sa_that_comes_back_is_tried_at_once() -> None:
    made = silenced()
    made.tell(ChildDown(1))
    made.passes = 9000
    made.tell(ChildUp(sa(2)))
    run(made, 1)
    assert is_up(made)


@pytest.mark.parametrize("refused", [(), (CreateLink,)])
def test_an_interface_that_vanishes_while_it_is_down_is_tried_again(
    refused: tuple[type[Op], ...],
) -> None:
    made = silenced()
    gone = lose_link(made)
    made.failing = dict.fromkeys(refused, "the name is taken")
    made.tell(gone)
    run(made, 30)
    made.failing.clear()
    made.passes = 9000
    run(made, FIRST_RETRY + 5)
    assert is_up(made)
    assert probe(made).alive is True


def test_a_reload_that_only_reports_sets_it_up() -> None:
    made = silenced()
    made.tell(config('interval = "5s"'))
    assert is_up(made)


# --- on_fail = "reinitiate" -----------------------------------------------------------------------

REINITIATE = 'interval = "5s"\non_fail = "reinitiate"'


def test_a_silent_peer_is_rekeyed_with_less_and_less_often() -> None:
    made = world(REINITIATE, passes=9000)
    made.passes = 0
    made.done.clear()
    times = [
        made.now for _ in range(8000) if any(isinstance(op, Rekey) for op in made.pass_time(BATCH))
    ]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert [type(op) for op in done(made)] == [Rekey] * len(times)
    assert waits == pytest.approx([60, 120, 240], abs=10)
    assert is_up(made)


def test_the_newest_sa_is_rekeyed_and_an_answer_ends_it() -> None:
    made = world(REINITIATE, passes=9000)
    made.passes = 0
    made.tell(ChildRekeyed(1, sa(2)), ChildDown(1))
    made.done.clear()
    run(made, 12)
    (op,) = done(made)
    assert isinstance(op, Rekey)
    assert op.unique_id == 2
    assert op.reason == "2001:db8:ff::1 has not answered 3 probes"
    made.passes = 9000
    run(made, 300)
    assert done(made) == [op]


def test_a_rekey_that_charon_refuses_is_told() -> None:
    made = world(REINITIATE, passes=9000)
    made.passes = 0
    made.failing[Rekey] = "charon does not rekey"
    made.state.take_notes()
    run(made, 12)
    notes = [(note.event, note.detail) for note in made.state.take_notes()]
    assert ("operation failed", "charon does not rekey") in notes
    assert not tunnel(made).progress.error


def test_a_rekey_waits_while_vici_is_lost() -> None:
    made = world(REINITIATE, passes=9000)
    made.passes = 0
    made.tell(ViciLost("charon restarts"))
    made.done.clear()
    run(made, 1200)
    assert not done(made)
    made.tell(SaSnapshot((sa(1),)))
    run(made, 31)
    assert [type(op) for op in done(made)] == [Rekey], "without the back-off of what was not asked"


# --- paused tunnels -------------------------------------------------------------------------------

PAUSE, RESUME = (ModeAsked(mode, ("V2-1",)) for mode in (Mode.PAUSED, Mode.MANAGED))


@pytest.mark.parametrize("on_fail", ["down", "reinitiate"])
def test_a_paused_tunnel_is_neither_probed_nor_judged(on_fail: str) -> None:
    made = world(f'interval = "5s"\non_fail = "{on_fail}"', passes=9000)
    made.passes = 0
    made.tell(PAUSE)
    made.done.clear()
    count = len(made.probes)
    run(made, 1200)
    assert (made.done, len(made.probes)) == ([], count)
    assert probe(made).alive is None
    made.passes = 9000
    made.tell(RESUME)
    run(made, 60)
    assert not made.done
    assert len(made.probes) > count
    assert probe(made).alive is True


def test_a_tunnel_that_was_set_down_stays_so_while_it_is_paused() -> None:
    made = silenced()
    made.tell(PAUSE)
    made.passes = 9000
    run(made, 2 * LAST_RETRY)
    assert not is_up(made)
    assert tunnel(made).state is TunnelState.DOWN
    made.tell(RESUME)
    run(made, 5)
    assert is_up(made)
    assert probe(made).alive is True


# --- what stays as it is --------------------------------------------------------------------------


@pytest.mark.parametrize("passes", [1000, 1400, 9000])
@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("interface", ["vti{mark}", "vti3"])
def test_a_restart_finds_the_bounded_interface_and_leaves_it(
    passes: int, order: int, interface: str
) -> None:
    made = world(passes=passes, text=LAB_TEXT.replace("vti{mark}", interface))
    link, clamp = made.link(), made.clamps["private", "vti3"]
    made.done.clear()
    made.state = State()
    made.lives.clear()
    links = [made.links_in(netns) for netns in ("", "private")]
    clamps = [made.clamps_in(netns) for netns in ("", "private")]
    told: list[Input] = [SaSnapshot((sa(1),)), BirdSnapshot("private", made.named_in_file())]
    for snapshots in (links, clamps) if order % 2 else (clamps, links):
        told[:0] = snapshots
    if order >= 2:
        told.reverse()
    made.tell(ConfigLoaded(made.config), *told)
    run(made, 60)
    assert {type(op) for op in made.done} <= {ProbeUnderlay, PutBird}
    assert (made.link(), made.clamps["private", "vti3"]) == (link, clamp)
    assert probe(made).proven_mtu == clamp.mss4 + 40


def test_an_interface_of_this_vtid_is_no_bound_when_its_path_grows() -> None:
    made = World(config=config().config, underlay_mtu=1460).start()
    made.tell(ChildUp(sa(1)))
    made.underlay_mtu = 1500
    made.tell(UnderlayChanged())
    link = made.link()
    assert link is not None
    assert link.mtu == COMPUTED


def test_an_interface_that_is_being_deleted_is_no_bound_for_the_next() -> None:
    made = world(passes=1000)
    other = WITHOUT_FIRST.replace("[[bird]]", 'netns = "private"\n[[bird]]')
    made.state.apply(ConfigLoaded(load(other)), made.now)
    ops = made.state.work(made.now)
    assert DeleteLink in {type(op) for op in ops}
    made.state.apply(config(), made.now)
    assert not made.state.work(made.now)
    made.run(ops)
    while made.inbox:
        made.state.apply(made.inbox.popleft(), made.now)
    assert [op.link.mtu for op in made.pass_time(0) if isinstance(op, CreateLink)] == [COMPUTED]


def test_an_interface_that_was_declared_is_no_bound_for_its_sa() -> None:
    declared = 'presence = "always"\nlocal = "2001:db8:1::1"\nremote = "2001:db8:2::1"\nmark = 3\n'
    text = LAB_TEXT.replace("vti{mark}", "vti3").replace(
        LINKS, f'{LINKS}\n{declared}esp = "aes256-sha512"', 1
    )
    made = World(config=config(text=text).config).start()
    link = made.link()
    assert link is not None
    assert link.mtu < COMPUTED
    made.tell(ChildUp(sa(1)))
    link = made.link()
    assert link is not None
    assert link.mtu == COMPUTED


@pytest.mark.parametrize("passes", [0, 300])
def test_after_a_restart_a_bound_that_nobody_confirms_ends(passes: int) -> None:
    made = world(passes=1400)
    made.passes = passes
    made.start([sa(1)])
    run(made, 2)
    link = made.link()
    assert link is not None
    assert link.mtu < 1400
    run(made, 20)
    link = made.link()
    assert link is not None
    assert link.mtu == COMPUTED


def test_after_a_restart_a_bound_stays_while_probes_cannot_be_sent() -> None:
    made = world(passes=1400)
    bounded = made.link()
    made.failing[SendProbe] = "probes need CAP_NET_RAW"
    made.start([sa(1)])
    run(made, 300)
    assert made.link() == bounded
    del made.failing[SendProbe]
    made.passes = 0
    run(made, 60)
    link = made.link()
    assert link is not None
    assert link.mtu == COMPUTED, "and ends when three that were sent have no answer"


def test_confirmations_lead_to_no_operation() -> None:
    made = world(passes=1400)
    made.done.clear()
    run(made, 2 * PMTU_RAISE_TIMER)
    assert not made.done
    assert len(made.probes) > MAX_PROBES


def test_a_bound_is_one_change_of_link_clamp_and_block() -> None:
    made = World(config=config().config, passes=1400).start()
    made.tell(SaSnapshot((sa(1),)))
    made.done.clear()
    run(made, 60)
    assert sorted({type(op).__name__ for op in done(made)}) == [
        PutBird.__name__,
        SetClamp.__name__,
        SetLink.__name__,
    ]


def test_the_state_knows_its_next_probe() -> None:
    assert State().next_deadline() is None
    made = world(passes=9000)
    due = made.state.next_deadline()
    assert due is not None
    assert made.now < due <= made.now + 1.2 * CONFIRMATION_TIMER
