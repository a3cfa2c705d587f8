"""The edge against real BIRDs: two of them, a veth between them, vtid at the first.

Every test runs with each BIRD that is declared (`tests/birds.py`), 1.6 being two of one family.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from tests.birds import WAIT, Daemon, RealBird, bird, declared, ip, linked_namespaces
from vtid.bird.client import Bird
from vtid.bird.render import HEADER, compose, parse, render
from vtid.bird.reply import has_moved
from vtid.bird.template import SHIPPED, shipped
from vtid.model.bgp import BgpSession, BgpState, BirdBlock
from vtid.model.input import BirdSnapshot, BirdState, Input, OpDone
from vtid.model.operation import DeleteBird, PutBird

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

LEFT, RIGHT = "vtid-bird-a", "vtid-bird-b"

FAR = {
    "ipv4": ("10.9.0.0/24", "198.51.100.8/24"),
    "ipv6": ("2001:db8:a9::/64", "2001:db8:99::8/64"),
}
"""A prefix and a next hop beyond the right one, by family."""

FILTER = "filter ours { if source = RTS_STATIC then accept; reject; }"


def main(daemon: Daemon, number: int, directory: Path, name: str) -> str:
    return daemon.config(number, f'{FILTER}\ninclude "{directory}/vtid.{name}*.conf";')


@dataclass
class Pair:
    """Two BIRDs of a kind: the left one is vtid's, the right one has its side of the session."""

    daemon: Daemon
    left: RealBird
    right: RealBird

    def session(self, **changes: object) -> BgpSession:
        return session(self.daemon, 1, **changes)

    @property
    def neighbor(self) -> str:
        return addresses(self.daemon)[1]

    @property
    def stranger(self) -> str:
        """Somebody of the neighbour's family who is not there."""
        return f"{self.neighbor}9"


def addresses(daemon: Daemon) -> tuple[str, str]:
    """Of the left and the right one: IPv6 where it can be."""
    if daemon.families == ("ipv4",):
        return "169.254.1.0", "169.254.1.1"
    return "2001:db8:ff::", "2001:db8:ff::1"


def session(daemon: Daemon, number: int, **changes: object) -> BgpSession:
    ours, other = addresses(daemon)[:: 3 - 2 * number]
    values: dict[str, object] = {
        "name": "vtid_t1",
        "interface": "t1",
        "local_address": ours,
        "neighbor": other,
        "local_as": 65000 + number,
        "remote_as": 65003 - number,
        "families": daemon.families,
        "export_filter": "ours",
        "preference": 160,
        "hold_time": 6,
    }
    return BgpSession(**{**values, **changes})  # type: ignore[arg-type]


def put(tunnel: str, *sessions: BgpSession) -> PutBird:
    return PutBird(
        tunnel=tunnel, reason="test", block=BirdBlock("private", tunnel, tuple(sessions))
    )


class Watched:
    """A running `Bird` with what it posted."""

    def __init__(self, real: RealBird, template: str) -> None:
        self.posted: list[Input] = []
        self.task: asyncio.Task[None] | None = None
        paths = str(real.socket), str(real.include)
        self.edge = Bird("private", *paths, self.posted.append, template)

    @property
    def state(self) -> BirdState:
        states = [event for event in self.posted if isinstance(event, BirdState)]
        return states[-1] if states else BirdState("private", connected=False)

    async def until(self, condition: Callable[[BirdState], object]) -> BirdState:
        deadline = time.monotonic() + WAIT
        while not condition(self.state):
            assert time.monotonic() < deadline, self.state
            if self.task and self.task.done():
                self.task.result()  # what ended it
            await asyncio.sleep(0.05)
        return self.state

    async def next_poll(self, count: int = 2) -> BirdState:
        """The state after the edge has looked at BIRD again."""
        seen = len(self.posted)
        return await self.until(lambda _: len(self.posted) >= seen + count)


@asynccontextmanager
async def watched(real: RealBird, template: str = "") -> AsyncIterator[Watched]:
    one = Watched(real, template or real.daemon.template)
    one.task = task = asyncio.create_task(one.edge.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def same_session(state: BirdState, since: str) -> bool:
    """Whether `vtid_t1` is as old as it was; BIRD 1.6 rounds that to seconds at each reply."""
    now = next(bgp.since for bgp in state.protocols if bgp.protocol == "vtid_t1")
    age = datetime.fromisoformat(now) - datetime.fromisoformat(since)
    return abs(age) <= timedelta(seconds=1)


def kernel_route(prefix: str) -> str:
    """The left one's route."""
    return ip(f"-n {LEFT} {'-6' if ':' in prefix else '-4'} route show {prefix}")


def imported(state: BirdState) -> int:
    """Routes that the first session has."""
    return sum(channel.imported or 0 for channel in state.protocols[0].channels)


def exported(bgp: BgpState) -> int:
    return sum(channel.exported or 0 for channel in bgp.channels)


def established(state: BirdState) -> bool:
    return any(bgp.established for bgp in state.protocols)


@pytest.fixture(params=declared(), ids=str)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    daemon: Daemon = request.param
    with ExitStack() as stack:
        stack.enter_context(linked_namespaces(LEFT, RIGHT, "t1"))
        for number, netns in ((1, LEFT), (2, RIGHT)):
            ip(f"-n {netns} address add 2001:db8:ff::{number - 1}/127 dev t1 nodad")
            ip(f"-n {netns} address add 169.254.1.{number - 1}/31 dev t1")
        tell(daemon, tmp_path / "vtid.right.conf", session(daemon, 2))
        left, right = (
            stack.enter_context(
                bird(main(daemon, number, tmp_path, name), tmp_path, name, netns, daemon)
            )
            for number, name, netns in ((1, "left", LEFT), (2, "right", RIGHT))
        )
        yield Pair(daemon, left, right)


def tell(daemon: Daemon, include: Path, *sessions: BgpSession) -> None:
    """Give a BIRD without vtid its sessions."""
    text = render(BirdBlock("private", "t1", sessions), shipped(daemon.template))
    include.write_text(compose({"t1": text}))


async def test_session_of_all_families(pair: Pair) -> None:
    left, daemon = pair.left, pair.daemon
    routes = len(daemon.families)
    async with watched(left) as vtid:
        op = put("t1", pair.session())
        assert await vtid.edge.execute([op]) == [OpDone(op)]
        state = await vtid.next_poll()
        assert (state.pushes, left.include.read_text()) == (0, HEADER)

        vtid.edge.release()
        state = await vtid.until(lambda s: established(s) and imported(s) == routes)
        assert (state.pushes, state.refusals, state.error) == (1, 0, "")
        assert state.version.startswith(f"{daemon.version}.")
        bgp = state.protocols[0]
        assert (bgp.protocol, bgp.neighbor, exported(bgp)) == ("vtid_t1", pair.neighbor, routes)
        for prefix in daemon.prefixes(2):
            inet6 = "inet6 " if "." in prefix and ":" in pair.neighbor else ""
            assert f"via {inet6}{pair.neighbor} dev t1" in kernel_route(prefix)

        await vtid.edge.execute([DeleteBird(tunnel="t1", reason="test", instance="private")])
        state = await vtid.until(lambda s: not s.protocols)
        assert (state.pushes, left.include.read_text()) == (2, HEADER)


async def test_internal_session_sets_the_next_hop_to_itself(pair: Pair) -> None:
    """The right one has a route via a network that the left one does not know."""
    same_as = {"local_as": 65100, "remote_as": 65100}
    family = pair.daemon.families[0]
    prefix, beyond = FAR[family]
    ip(f"-n {RIGHT} link add far type veth peer name end")
    ip(f"-n {RIGHT} address add {beyond.replace('8/', '9/')} dev far")
    for interface in ("far", "end"):
        ip(f"-n {RIGHT} link set {interface} up")
    channel = f"{family};" if pair.daemon.template == "bgp" else ""
    route = f"route {prefix} via {beyond.partition('/')[0]};"
    pair.right.config.write_text(
        f"{pair.right.config.read_text()}protocol static far {{ {channel} {route} }}\n"
    )
    tell(pair.daemon, pair.right.include, session(pair.daemon, 2, **same_as))
    assert pair.right.ask("configure").splitlines()[-1][:4] in {"0003", "0004"}

    async with watched(pair.left) as vtid:
        await vtid.edge.execute([put("t1", pair.session(**same_as))])
        vtid.edge.release()
        routes = len(pair.daemon.families) + 1
        await vtid.until(lambda s: s.protocols and imported(s) == routes)
        attributes = pair.left.ask(f"show route for {prefix} all")
        assert re.search(rf"next_hop: {re.escape(pair.neighbor)}(\s|$)", attributes), attributes
        assert f"via {pair.neighbor} dev t1" in kernel_route(prefix)


def reconfigured_at(real: RealBird) -> str:
    found = re.search("Last reconfiguration on (.*)", real.ask("show status"))
    assert found
    return found[1]


async def test_nothing_is_done_to_a_bird_that_has_it_all(pair: Pair) -> None:
    left = pair.left
    async with watched(left) as vtid:
        await vtid.edge.execute([put("t1", pair.session())])
        vtid.edge.release()
        await vtid.until(established)
    before, reconfigured = left.include.stat(), reconfigured_at(left)

    async with watched(left) as vtid:
        [again] = await vtid.edge.execute([put("t1", pair.session())])
        vtid.edge.release()
        state = await vtid.next_poll()
        assert BirdSnapshot("private", ("t1",)) in vtid.posted
        assert isinstance(again, OpDone)
    assert (state.pushes, established(state), state.error) == (0, True, "")
    after = left.include.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not has_moved(reconfigured, reconfigured_at(left))


async def test_refused_block_stays_out_and_the_others_go_on(
    pair: Pair,
) -> None:
    left = pair.left
    async with watched(left) as vtid:
        await vtid.edge.execute([put("t1", pair.session())])
        vtid.edge.release()
        since = (await vtid.until(established)).protocols[0].since
        good = parse(left.include.read_text())["t1"]

        await vtid.edge.execute(
            [
                put("t1", pair.session(export_filter="nonesuch")),
                put("t2", pair.session(name="vtid_t2", interface="t2", export_filter="nonesuch")),
                put("t3", pair.session(name="vtid_t3", interface="t3", neighbor=pair.stranger)),
            ]
        )
        state = await vtid.until(lambda s: len(s.protocols) == 2)
        assert (state.pushes, state.refusals) == (2, 1)
        assert "(tunnel 't1' and 1 more; all others go on)" in state.error
        assert f"{left.include}:" in state.error
        written = parse(left.include.read_text())
        assert (written["t1"], set(written)) == (good, {"t1", "t3"})
        assert same_session(state, since)

        state = await vtid.next_poll(3)
        assert (state.pushes, state.refusals) == (2, 1)

        text = left.config.read_text()
        left.config.write_text(text.replace("include", "filter nonesuch { accept; }\ninclude"))
        left.ask("configure")
        state = await vtid.until(lambda s: len(s.protocols) == 3)
        assert state.error == ""


async def test_bird_away_and_back(pair: Pair) -> None:
    left = pair.left
    left.stop()
    async with watched(left) as vtid:
        vtid.edge.release()
        state = await vtid.next_poll(1)
        assert not state.connected
        assert "start" in state.error
        await vtid.edge.execute([put("t1", pair.session())])
        await vtid.until(lambda _: "vtid_t1" in left.include.read_text())
        await asyncio.to_thread(left.start)
        assert (await vtid.until(established)).error == ""

        left.kill()
        state = await vtid.until(lambda s: not s.connected)
        assert (state.protocols, str(left.socket) in state.error) == ((), True)
        await vtid.edge.execute([put("t1", pair.session(hold_time=3))])
        await asyncio.to_thread(left.start)
        assert (await vtid.until(established)).error == ""
        assert "/3\n" in left.ask("show protocols all vtid_t1")


async def test_bird_that_does_not_include_the_file(pair: Pair) -> None:
    left = pair.left
    left.config.write_text(left.config.read_text().split("include")[0])
    left.ask("configure")
    async with watched(left) as vtid:
        await vtid.edge.execute([put("t1", pair.session())])
        vtid.edge.release()
        state = await vtid.until(lambda s: s.pushes)
        assert f'add `include "{left.include}";`' in state.error


async def test_blank_file_is_taken(pair: Pair) -> None:
    pair.left.include.touch()
    pair.left.ask("configure")
    async with watched(pair.left) as vtid:
        await vtid.edge.execute([put("t1", pair.session())])
        vtid.edge.release()
        assert (await vtid.until(established)).error == ""


async def test_the_operators_template(pair: Pair, tmp_path: Path) -> None:
    """One that BIRD refuses changes nothing, and the next good one is taken at reload."""
    path = tmp_path / "own.j2"
    shipped_text = files("vtid.bird").joinpath("templates", SHIPPED[pair.daemon.template])
    good = shipped_text.read_text().replace("\n  direct;", "\n  # own\n  direct;")
    path.write_text(good)
    async with watched(pair.left, str(path)) as vtid:
        vtid.edge.release()
        await vtid.until(lambda s: s.connected)
        await vtid.edge.execute([put("t1", pair.session())])
        since = (await vtid.until(established)).protocols[0].since
        text = pair.left.include.read_text()
        assert "# own" in text

        path.write_text(good.replace("  direct;", "  indirect;"))
        vtid.edge.reload()
        state = await vtid.until(lambda s: s.refusals == 1 and s.protocols)
        assert "syntax error" in state.error
        assert (same_session(state, since), pair.left.include.read_text()) == (True, text)

        path.write_text(good.replace("# own", "# new"))
        vtid.edge.reload()
        await vtid.until(lambda s: s.pushes == 2 and s.error == "")
        assert "# new" in pair.left.include.read_text()
        assert same_session(await vtid.next_poll(), since)


async def test_template_of_another_version(pair: Pair) -> None:
    other = next(name for name in SHIPPED if name != pair.daemon.template)
    async with watched(pair.left, other) as vtid:
        await vtid.edge.execute([put("t1", pair.session())])
        vtid.edge.release()
        state = await vtid.until(lambda s: s.refusals)
        assert f'write `template = "{pair.daemon.template}"` under its [[bird]]' in state.error
        assert pair.left.include.read_text() == HEADER


async def test_neighbour_of_the_other_family(pair: Pair) -> None:
    """A daemon of one family says what is wrong; one of both has the session."""
    stranger = {"ipv4": "2001:db8:ff::1", "ipv6": "169.254.1.1"}[pair.daemon.families[0]]
    wrong = pair.session(
        neighbor=stranger, local_address="", families=("ipv6" if ":" in stranger else "ipv4",)
    )
    async with watched(pair.left) as vtid:
        vtid.edge.release()
        await vtid.edge.execute([put("t1", pair.session())])
        await vtid.until(established)
        await vtid.edge.execute([put("t2", replace(wrong, name="vtid_t2"))])
        if pair.daemon.template == "bgp":
            assert (await vtid.until(lambda s: len(s.protocols) == 2)).error == ""
            return
        state = await vtid.until(lambda s: s.refusals)
        assert f"give {stranger} on t1 to the [[bird]] of the other" in state.error
        assert established(await vtid.next_poll())


async def test_a_session_is_switched_without_reconfiguration(pair: Pair) -> None:
    def block(*, on: bool) -> PutBird:
        switched = (("vtid_t1", on),)
        return PutBird(
            tunnel="t1",
            reason="test",
            block=BirdBlock("private", "t1", (pair.session(),), switched=switched),
        )

    async with watched(pair.left) as vtid:
        await vtid.edge.execute([block(on=True)])
        vtid.edge.release()
        pushes = (await vtid.until(established)).pushes
        await vtid.edge.execute([block(on=False)])
        await vtid.until(lambda s: s.protocols[0].state == "down")
        assert "vtid: the tunnel is down" in pair.left.ask("show protocols all vtid_t1")
        await vtid.edge.execute([block(on=True)])
        state = await vtid.until(established)
        assert (state.pushes, state.refusals, state.error) == (pushes, 0, "")
