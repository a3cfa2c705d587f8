"""The edge against real BIRDs: two of them, a veth between them, vtid at the first."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.birds import WAIT, RealBird, bird, ip, linked_namespaces
from vtid.bird.client import Bird
from vtid.bird.render import HEADER, compose, parse, render
from vtid.model import (
    BgpSession,
    BirdBlock,
    BirdSnapshot,
    BirdState,
    DeleteBird,
    Input,
    OpDone,
    PutBird,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.lab

LEFT, RIGHT = "vtid-bird-a", "vtid-bird-b"

MAIN = """\
log stderr all;
router id 1.0.0.{number};
protocol device {{ scan time 3600; }}
protocol kernel kernel4 {{ ipv4 {{ export all; }}; }}
protocol kernel kernel6 {{ ipv6 {{ export all; }}; }}
protocol static static4 {{ ipv4; route 10.0.{number}.0/24 blackhole; }}
protocol static static6 {{ ipv6; route 2001:db8:a{number}::/64 blackhole; }}
filter ours {{ if source = RTS_STATIC then accept; reject; }}
{include}
"""


def main(number: int, directory: Path, name: str) -> str:
    return MAIN.format(number=number, include=f'include "{directory}/vtid.{name}*.conf";')


def session(number: int, **changes: object) -> BgpSession:
    values: dict[str, object] = {
        "name": "vtid_t1",
        "interface": "t1",
        "local_address": f"2001:db8:ff::{number - 1}",
        "neighbor": f"2001:db8:ff::{2 - number}",
        "local_as": 65000 + number,
        "remote_as": 65003 - number,
        "families": ("ipv6", "ipv4"),
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

    def __init__(self, real: RealBird) -> None:
        self.posted: list[Input] = []
        self.edge = Bird("private", str(real.socket), str(real.include), self.posted.append)

    @property
    def state(self) -> BirdState:
        states = [event for event in self.posted if isinstance(event, BirdState)]
        return states[-1] if states else BirdState("private", connected=False)

    async def until(self, condition: Callable[[BirdState], object]) -> BirdState:
        deadline = time.monotonic() + WAIT
        while not condition(self.state):
            assert time.monotonic() < deadline, self.state
            await asyncio.sleep(0.05)
        return self.state

    async def next_poll(self, count: int = 2) -> BirdState:
        """The state after the edge has looked at BIRD again."""
        seen = len(self.posted)
        return await self.until(lambda _: len(self.posted) >= seen + count)


@asynccontextmanager
async def watched(real: RealBird) -> AsyncIterator[Watched]:
    one = Watched(real)
    task = asyncio.create_task(one.edge.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def established(state: BirdState) -> bool:
    return any(bgp.established for bgp in state.protocols)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RealBird, RealBird]]:
    """Two BIRDs; the second one has its side of the session already."""
    with ExitStack() as stack:
        stack.enter_context(linked_namespaces(LEFT, RIGHT, "t1"))
        for number, netns in ((1, LEFT), (2, RIGHT)):
            ip(f"-n {netns} address add 2001:db8:ff::{number - 1}/127 dev t1 nodad")
        block = BirdBlock("right", "t1", (session(2),))
        (tmp_path / "vtid.right.conf").write_text(compose({"t1": render(block)}))
        left = stack.enter_context(bird(main(1, tmp_path, "left"), tmp_path, "left", LEFT))
        right = stack.enter_context(bird(main(2, tmp_path, "right"), tmp_path, "right", RIGHT))
        yield left, right


async def test_session_with_both_families_over_ipv6(pair: tuple[RealBird, RealBird]) -> None:
    left, _ = pair
    async with watched(left) as vtid:
        op = put("t1", session(1))
        assert await vtid.edge.execute([op]) == [OpDone(op)]
        state = await vtid.next_poll()
        assert (state.pushes, left.include.read_text()) == (0, HEADER)

        vtid.edge.release()
        state = await vtid.until(lambda s: established(s) and s.protocols[0].imported == 2)
        assert (state.pushes, state.refusals, state.error) == (1, 0, "")
        assert state.version.startswith(("2.", "3."))
        bgp = state.protocols[0]
        assert (bgp.protocol, bgp.neighbor, bgp.exported) == ("vtid_t1", "2001:db8:ff::1", 2)
        assert "via inet6 2001:db8:ff::1 dev t1" in ip(f"-n {LEFT} route show 10.0.2.0/24")
        assert "via 2001:db8:ff::1 dev t1" in ip(f"-n {LEFT} -6 route show 2001:db8:a2::/64")

        await vtid.edge.execute([DeleteBird(tunnel="t1", reason="test", instance="private")])
        state = await vtid.until(lambda s: not s.protocols)
        assert (state.pushes, left.include.read_text()) == (2, HEADER)


async def test_nothing_is_done_to_a_bird_that_has_it_all(pair: tuple[RealBird, RealBird]) -> None:
    left, _ = pair
    async with watched(left) as vtid:
        await vtid.edge.execute([put("t1", session(1))])
        vtid.edge.release()
        await vtid.until(established)
    before, reconfigured = left.include.stat(), left.ask("show status").split("reconfiguration")[1]

    async with watched(left) as vtid:
        [again] = await vtid.edge.execute([put("t1", session(1))])
        vtid.edge.release()
        state = await vtid.next_poll()
        assert BirdSnapshot("private", ("t1",)) in vtid.posted
        assert isinstance(again, OpDone)
    assert (state.pushes, established(state), state.error) == (0, True, "")
    after = left.include.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert left.ask("show status").split("reconfiguration")[1] == reconfigured


async def test_refused_block_stays_out_and_the_others_go_on(
    pair: tuple[RealBird, RealBird],
) -> None:
    left, _ = pair
    async with watched(left) as vtid:
        await vtid.edge.execute([put("t1", session(1))])
        vtid.edge.release()
        since = (await vtid.until(established)).protocols[0].since
        good = parse(left.include.read_text())["t1"]

        await vtid.edge.execute(
            [
                put("t1", session(1, export_filter="nonesuch")),
                put("t2", session(1, name="vtid_t2", interface="t2", export_filter="nonesuch")),
                put("t3", session(1, name="vtid_t3", interface="t3", neighbor="2001:db8::3")),
            ]
        )
        state = await vtid.until(lambda s: len(s.protocols) == 2)
        assert (state.pushes, state.refusals) == (2, 1)
        assert "(tunnel 't1' and 1 more; all others go on)" in state.error
        assert f"{left.include}:" in state.error
        written = parse(left.include.read_text())
        assert (written["t1"], set(written)) == (good, {"t1", "t3"})
        assert next(s for s in state.protocols if s.protocol == "vtid_t1").since == since

        state = await vtid.next_poll(3)
        assert (state.pushes, state.refusals) == (2, 1)

        text = left.config.read_text()
        left.config.write_text(text.replace("include", "filter nonesuch { accept; }\ninclude"))
        left.ask("configure")
        state = await vtid.until(lambda s: len(s.protocols) == 3)
        assert state.error == ""


async def test_bird_away_and_back(pair: tuple[RealBird, RealBird]) -> None:
    left, _ = pair
    left.stop()
    async with watched(left) as vtid:
        vtid.edge.release()
        state = await vtid.next_poll(1)
        assert not state.connected
        assert "start" in state.error
        await vtid.edge.execute([put("t1", session(1))])
        await vtid.until(lambda _: "vtid_t1" in left.include.read_text())
        await asyncio.to_thread(left.start)
        assert (await vtid.until(established)).error == ""

        left.kill()
        state = await vtid.until(lambda s: not s.connected)
        assert (state.protocols, str(left.socket) in state.error) == ((), True)
        await vtid.edge.execute([put("t1", session(1, hold_time=3))])
        await asyncio.to_thread(left.start)
        assert (await vtid.until(established)).error == ""
        assert "/3\n" in left.ask("show protocols all vtid_t1")


async def test_bird_that_does_not_include_the_file(pair: tuple[RealBird, RealBird]) -> None:
    left, _ = pair
    left.config.write_text(left.config.read_text().split("include")[0])
    left.ask("configure")
    async with watched(left) as vtid:
        await vtid.edge.execute([put("t1", session(1))])
        vtid.edge.release()
        state = await vtid.until(lambda s: s.pushes)
        assert f'add `include "{left.include}";`' in state.error
