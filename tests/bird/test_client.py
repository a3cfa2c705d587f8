"""The edge against a BIRD that is played by the test."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtid.bird import client, control, debounce, own_template, pace, push, template, watch
from vtid.bird.client import Bird
from vtid.bird.control import Control, ControlError
from vtid.bird.include import IncludeFile
from vtid.bird.render import HEADER, compose, parse, protocols, render
from vtid.bird.reply import ReplyError
from vtid.model.bgp import BgpSession, BirdBlock
from vtid.model.input import BirdSnapshot, BirdState, Input, OpDone, OpFailed
from vtid.model.operation import DeleteBird, PutBird

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from vtid.bird.template import Template

LIMIT = 10.0

REAL_PACE = {"QUIET": debounce.QUIET, "LONGEST": debounce.LONGEST}
"""Not as short as `playing` makes the waits."""


class Actor:
    """Plays BIRD: reads the include file, refuses what contains `bad`."""

    def __init__(self, socket: Path, include: Path) -> None:
        self.socket, self.include = socket, include
        self.bad = "filter bad;"
        self.fault = ""
        self.names: frozenset[str] = frozenset()
        self.asked: list[str] = []
        self.welcome = b"0001 BIRD 2.0.12 ready.\n"
        self.configured = 0
        self.mute = self.restricted = False
        self.down: dict[str, str] = {}
        """Sessions that are down, with their last errors."""
        self.harm: dict[str, str] = {}
        """Sessions that the next push takes down."""
        self.before: frozenset[str] | None = None
        """What `configure undo` goes back to, while it can."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.socket)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.close()
        self.socket.unlink(missing_ok=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        writer.write(self.welcome)
        while line := await reader.readline():
            self.asked.append(line.decode().strip())
            if not self.mute:
                writer.write(self._answer(self.asked[-1]).encode())

    def _answer(self, command: str) -> str:
        if command == "show status":
            return f"1011-Last reconfiguration on {self.configured}\n0013 up\n"
        if command == "show protocols all":
            return "".join(self._protocol(name) for name in sorted(self.names)) + "0000 \n"
        if self.restricted:
            return "8007 Access denied\n"
        if command == "configure confirm":
            known, self.before = self.before, None
            return "0019 Nothing to do\n" if known is None else "0018 Reconfiguration confirmed\n"
        if command == "configure undo":
            self.names, self.before = self.before or self.names, None
            self.configured += 1
            self.on_undo()
            return "0021-Undo requested\n0003 Reconfigured\n"
        return self._configure(command)

    def _protocol(self, name: str) -> str:
        if name not in self.down:
            return f"1002-{name} BGP --- up 16:18  Established\n"
        return f"1002-{name} BGP --- start 16:18  Active\n1006-  Last error: {self.down[name]}\n"

    def _configure(self, command: str) -> str:
        if self.fault:
            return self.fault
        text = self.include.read_text()
        if self.bad in text:
            number = text[: text.index(self.bad)].count("\n") + 1
            return f"8002 {self.include}:{number}:12 syntax error\n"
        if command == "configure check":
            return "0002-Reading\n0020 Configuration OK\n"
        self.before = self.names if "timeout" in command else None
        self.reconfigure()
        self.down |= self.harm
        self.harm = {}
        return "0002-Reading\n0003 Reconfigured\n"

    def on_undo(self) -> None:
        """What the undo does to the sessions."""

    def reconfigure(self) -> None:
        self.configured += 1
        self.names = protocols(self.include.read_text())

    @property
    def pushes(self) -> int:
        return sum(one == "configure" or "timeout" in one for one in self.asked)


class Stage:
    def __init__(self, directory: Path, template: str = "bgp") -> None:
        self.template = template
        self.include = directory / "vtid.conf"
        self.actor = Actor(directory / "bird.ctl", self.include)
        self.posted: list[Input] = []
        self.bird = self.new_bird()

    def new_bird(self) -> Bird:
        paths = str(self.actor.socket), str(self.include)
        return Bird("private", *paths, self.posted.append, self.template)

    @property
    def states(self) -> list[BirdState]:
        return [event for event in self.posted if isinstance(event, BirdState)]

    async def until(self, condition: Callable[[BirdState], object]) -> BirdState:
        async with asyncio.timeout(LIMIT):
            while not (self.states and condition(self.states[-1])):  # noqa: ASYNC110 - a test
                await asyncio.sleep(0.002)
        return self.states[-1]

    async def after_polls(self, count: int = 3) -> BirdState:
        seen = len(self.states)
        return await self.until(lambda _: len(self.states) >= seen + count)


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with playing(Stage(tmp_path), monkeypatch) as one:
        yield one


@asynccontextmanager
async def playing(one: Stage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    for name in ("POLL", "POLL_SOON", "BACKOFF_MIN", "BACKOFF_MAX"):
        monkeypatch.setattr(pace, name, 0.02)
    for name in ("POLL_SHARE", "POLL_SHARE_WATCHING"):
        monkeypatch.setattr(pace, name, 1)
    monkeypatch.setattr(client, "FILE_RETRY", 0.05)
    monkeypatch.setattr(own_template, "RETRY", 0.05)
    monkeypatch.setattr(push, "DENIED_RETRY", 0.05)
    for name in ("QUIET", "LONGEST"):
        monkeypatch.setattr(debounce, name, (0.02,))
    for name, seconds in {"SETTLE": 0.02, "LIMIT": 0.2, "BLAME_LIMIT": 0.2}.items():
        monkeypatch.setattr(watch, name, seconds)
    await one.actor.start()
    task = asyncio.create_task(one.bird.run())
    yield one
    await stop(task)
    await one.actor.stop()


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def put(tunnel: str, export: str = "all") -> PutBird:
    session = BgpSession(f"s_{tunnel}", tunnel, "2001:db8::1", 1, 2, export_filter=export)
    return PutBird(tunnel=tunnel, reason="r", block=BirdBlock("private", tunnel, (session,)))


def delete(tunnel: str) -> DeleteBird:
    return DeleteBird(tunnel=tunnel, reason="r", instance="private")


async def test_nothing_is_pushed_before_release(stage: Stage) -> None:
    op = put("t1")
    assert await stage.bird.execute([op]) == [OpDone(op)]
    state = await stage.after_polls()
    assert (state.connected, state.version, state.pushes) == (True, "2.0.12", 0)
    assert stage.include.read_text() == HEADER
    assert stage.posted[0] == BirdSnapshot("private", ())

    stage.bird.release()
    state = await stage.until(lambda s: s.protocols)
    assert (state.pushes, state.error, state.protocols[0].protocol) == (1, "", "s_t1")
    assert parse(stage.include.read_text()) == {"t1": render(op.block)}


async def test_what_is_there_already_causes_nothing(stage: Stage) -> None:
    stage.bird.release()
    await stage.bird.execute([put("t1")])
    await stage.until(lambda s: s.protocols)
    ops = [put("t1"), delete("t9")]
    assert await stage.bird.execute(ops) == [OpDone(op, changed=False) for op in ops]

    await stage.bird.execute([put("t2")])
    await stage.bird.execute([delete("t2")])
    before = stage.include.stat()
    state = await stage.after_polls()
    assert (state.pushes, stage.actor.pushes) == (1, 1)
    assert stage.include.stat().st_mtime_ns == before.st_mtime_ns


async def test_changes_are_collected(stage: Stage) -> None:
    stage.bird.release()
    await stage.until(lambda s: s.connected)
    for number in range(50):
        await stage.bird.execute([put(f"t{number}")])
    state = await stage.until(lambda s: len(s.protocols) == 50)
    assert state.pushes == 1


async def test_a_thousand_ups_are_five_reconfigurations_at_most(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, waits in REAL_PACE.items():
        monkeypatch.setattr(debounce, name, tuple(seconds / 4 for seconds in waits))
    stage.bird.release()
    await stage.until(lambda s: s.connected)
    for number in range(1000):
        await stage.bird.execute([put(f"t{number}")])
        if number % 10 == 0:
            await asyncio.sleep(0.005)  # the pace of the storm
    await stage.until(lambda s: len(s.protocols) == 1000)
    assert 1 <= stage.actor.pushes <= 5


async def test_adopted_blocks_stay_until_deleted(stage: Stage, tmp_path: Path) -> None:
    other = Stage(tmp_path / "other")
    other.include.parent.mkdir()
    other.include.write_text(compose({"old": render(put("old").block), "t1": "# x\n"}))
    await other.actor.start()
    bird = other.new_bird()
    await bird.execute([put("t1")])
    bird.release()
    task = asyncio.create_task(bird.run())
    await other.until(lambda s: len(s.protocols) == 2)
    assert other.posted[0] == BirdSnapshot("private", ("old", "t1"))
    await bird.execute([delete("old")])
    await other.until(lambda s: [p.protocol for p in s.protocols] == ["s_t1"])
    await stop(task)
    await other.actor.stop()
    assert stage.states is not other.states


async def test_refused_block_is_left_out_and_not_tried_again(stage: Stage) -> None:
    stage.bird.release()
    await stage.bird.execute([put("t1"), put("t2")])
    await stage.until(lambda s: len(s.protocols) == 2)
    good = render(put("t1").block)

    await stage.bird.execute([put("t1", "bad"), put("t3", "bad"), put("t4")])
    state = await stage.until(lambda s: s.refusals)
    assert (state.pushes, state.refusals, len(state.protocols)) == (2, 1, 3)
    assert "syntax error (tunnel 't1' and 1 more; all others go on); " in state.error
    assert state.error.endswith("`export filter bad;`")
    assert state.refusal
    assert (state.refusal.quoted, state.refusal.tunnels) == ("export filter bad;", ("t1", "t3"))
    assert parse(stage.include.read_text())["t1"] == good
    state = await stage.after_polls()
    assert stage.actor.asked.count("configure check") == 3

    await stage.bird.execute([put("t1", "fine"), delete("t3")])
    state = await stage.until(lambda s: not s.error)
    assert (state.pushes, state.refusals) == (3, 1)
    assert "filter fine" in parse(stage.include.read_text())["t1"]


async def test_refused_block_is_tried_again_after_another_program_reconfigured(
    stage: Stage,
) -> None:
    stage.bird.release()
    await stage.bird.execute([put("t1", "bad")])
    state = await stage.until(lambda s: s.refusals)
    assert stage.include.read_text() == HEADER
    await stage.after_polls()
    stage.actor.bad = "something else"
    stage.actor.reconfigure()
    state = await stage.until(lambda s: s.protocols)
    assert (state.error, state.refusals) == ("", 1)


async def test_fault_outside_of_our_file_is_not_blamed_on_a_tunnel(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FILE_LOOK", 0.01)  # a look at the file is no reason to try again
    stage.bird.release()
    await stage.bird.execute([put("t1")])
    await stage.until(lambda s: s.protocols)
    before = stage.include.read_text()
    stage.actor.fault = "8002 /etc/bird/bird.conf:3:1 oops\n"
    await stage.bird.execute([put("t2")])
    state = await stage.until(lambda s: s.refusals)
    state = await stage.after_polls(20)
    assert (state.refusals, stage.include.read_text()) == (1, before)
    assert state.error.endswith("/etc/bird/bird.conf:3:1 oops")


async def test_bird_is_away_and_comes_back(stage: Stage) -> None:
    await stage.actor.stop()
    stage.bird.release()
    state = await stage.until(lambda s: not s.connected)
    assert "bird.ctl: No such file or directory: start BIRD" in state.error
    await stage.bird.execute([put("t1")])
    await stage.until(lambda _: stage.include.read_text() != HEADER)
    await stage.actor.start()
    state = await stage.until(lambda s: s.protocols)
    assert (state.error, state.pushes) == ("", 1)


async def test_push_that_a_crash_interrupted_is_finished(stage: Stage) -> None:
    await stage.until(lambda s: s.connected)
    await stage.actor.stop()
    await stage.until(lambda s: not s.connected)
    other = stage.new_bird()
    IncludeFile(str(stage.include)).replace(compose({"t1": render(put("t1").block)}))
    await stage.actor.start()
    task = asyncio.create_task(other.run())
    other.release()
    state = await stage.until(lambda s: s.pushes)
    assert [bgp.protocol for bgp in state.protocols] == ["s_t1"]
    await stop(task)


@pytest.mark.parametrize("change", ["deleted", "changed"])
async def test_what_another_program_does_to_the_file_is_undone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(client, "FILE_LOOK", 0.05)
    stage.bird.release()
    await stage.bird.execute([put("t1")])
    await stage.until(lambda s: s.protocols)
    await stage.after_polls()
    text = stage.include.read_text()
    if change == "deleted":
        stage.include.unlink()
    else:
        stage.include.write_text(text + "# by hand\n")
    state = await stage.until(lambda s: s.pushes == 2)
    assert (stage.include.read_text(), state.error) == (text, "")
    state = await stage.after_polls(20)
    assert state.pushes == 2, "a look at a file that is as it should be causes nothing"


async def test_file_that_cannot_be_used(stage: Stage) -> None:
    await stage.until(lambda s: s.connected)
    stage.include.write_text("# mine\n")
    stage.bird.release()
    await stage.bird.execute([put("t1")])
    state = await stage.until(lambda s: s.error)
    assert "stays as it is: move it away" in state.error
    assert stage.include.read_text() == "# mine\n"
    stage.include.unlink()
    state = await stage.until(lambda s: s.protocols)
    assert (state.error, state.pushes) == ("", 1)


async def test_file_that_could_not_be_adopted(tmp_path: Path, stage: Stage) -> None:
    foreign = tmp_path / "foreign.conf"
    foreign.write_text("# mine\n")
    posted: list[Input] = []
    bird = Bird("other", str(stage.actor.socket), str(foreign), posted.append)
    bird.release()
    await bird.execute([put("t1")])
    task = asyncio.create_task(bird.run())
    async with asyncio.timeout(LIMIT):
        while len(posted) < 6:  # noqa: ASYNC110 - a test
            await asyncio.sleep(0.002)
        snapshots = [event for event in posted if isinstance(event, BirdSnapshot)]
        assert [bool(event.error) for event in snapshots] == [True]
        foreign.unlink()
        while not foreign.exists() or foreign.read_text() == HEADER:  # noqa: ASYNC110 - a test
            await asyncio.sleep(0.002)
    await stop(task)
    assert set(parse(foreign.read_text())) == {"t1"}
    assert posted.count(BirdSnapshot("other", ())) == 1


async def test_main_configuration_lacks_the_include(stage: Stage) -> None:
    stage.actor.reconfigure = lambda: None  # type: ignore[method-assign]
    stage.bird.release()
    await stage.bird.execute([put("t1")])
    state = await stage.until(lambda s: s.pushes)
    assert f'add `include "{stage.include}";` to its main configuration' in state.error


# --- pushes that can be undone -------------------------------------------------------------------


async def up(stage: Stage, *tunnels: str) -> None:
    """Let tunnels have their sessions established, without anything left to confirm."""
    stage.bird.release()
    await stage.bird.execute([put(tunnel) for tunnel in tunnels])
    await stage.until(lambda s: len(s.protocols) == len(tunnels) and not s.unconfirmed)


async def test_push_is_confirmed_while_the_others_are_up(stage: Stage) -> None:
    await up(stage, "t1")
    assert "configure" in stage.actor.asked
    await stage.bird.execute([put("t2")])
    await stage.until(lambda s: s.pushes == 2 and s.unconfirmed)
    assert "configure timeout 60" in stage.actor.asked
    assert IncludeFile(str(stage.include)).unfinished()
    state = await stage.until(lambda s: not s.unconfirmed)
    assert (state.error, state.undos, stage.actor.before) == ("", 0, None)
    assert not IncludeFile(str(stage.include)).unfinished()


async def test_session_that_comes_back_in_time_does_no_harm(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LIMIT", 60.0)
    await up(stage, "t1")
    stage.actor.harm["s_t1"] = ""
    await stage.bird.execute([put("t2")])
    await stage.until(lambda s: s.pushes == 2)
    state = await stage.after_polls(5)
    assert (state.unconfirmed, state.undos) == (True, 0)
    stage.actor.down.clear()
    state = await stage.until(lambda s: not s.unconfirmed)
    assert (state.undos, len(state.protocols)) == (0, 2)


async def test_push_that_takes_others_down_is_undone(stage: Stage) -> None:
    await up(stage, "t1")
    before = stage.include.read_text()
    stage.actor.harm["s_t1"] = "BGP Error: Hold timer expired"
    stage.actor.on_undo = stage.actor.down.clear  # type: ignore[method-assign]
    await stage.bird.execute([put("t2")])
    state = await stage.until(lambda s: s.undos)
    lost = "1 of 1 sessions did not come back: s_t1 (BGP Error: Hold timer expired)"
    assert f"undone, {lost} (tunnel 't2'; all others go on)" in state.error
    assert stage.include.read_text() == before
    state = await stage.after_polls(30)
    assert (state.pushes, state.undos, stage.actor.names) == (2, 1, frozenset({"s_t1"}))

    await stage.bird.execute([put("t3")])
    state = await stage.until(lambda s: s.pushes == 3 and not s.unconfirmed)
    assert set(parse(stage.include.read_text())) == {"t1", "t3"}
    assert "undone" in state.error
    stage.bird.reload()
    state = await stage.until(lambda s: len(s.protocols) == 3 and not s.unconfirmed)
    assert state.error == ""


async def test_push_that_was_not_the_cause_is_tried_again(stage: Stage) -> None:
    await up(stage, "t1")
    stage.actor.harm["s_t1"] = "BGP Error: Hold timer expired"
    await stage.bird.execute([put("t2")])
    await stage.until(lambda s: s.undos)
    state = await stage.until(lambda s: s.pushes == 3 and not s.unconfirmed)
    assert (state.undos, state.error, stage.actor.names) == (1, "", frozenset({"s_t1", "s_t2"}))


async def test_sessions_whose_own_block_changes_may_go_down(stage: Stage) -> None:
    await up(stage, "t1", "t2")
    stage.actor.harm["s_t1"] = ""
    await stage.bird.execute([put("t1", "fine"), delete("t2")])
    state = await stage.until(lambda s: s.pushes == 2 and not s.unconfirmed)
    assert (state.undos, "configure confirm" in stage.actor.asked) == (0, False)


async def test_sessions_that_change_meanwhile_are_excused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LIMIT", 60.0)
    await up(stage, "t1")
    stage.actor.harm["s_t1"] = "BGP Error: Hold timer expired"
    await stage.bird.execute([put("t2")])
    await stage.until(lambda s: s.pushes == 2)
    await stage.bird.execute([delete("t1")])
    state = await stage.until(lambda s: s.pushes == 3 and not s.unconfirmed)
    assert (state.undos, stage.actor.names) == (0, frozenset({"s_t2"}))


@pytest.mark.parametrize("harm", [False, True], ids=["to confirm", "to undo"])
async def test_a_socket_that_is_restricted_while_a_push_is_watched(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *, harm: bool
) -> None:
    """BIRD undoes the push by its own time-out; the edge goes on and says why."""
    await up(stage, "t1", "t2")
    monkeypatch.setattr(watch, "SETTLE", 0.1)
    monkeypatch.setattr(watch, "LIMIT", 0.2)
    stage.actor.harm = {"s_t1": "Hold timer expired"} if harm else {}
    await stage.bird.execute([put("t3")])
    await stage.until(lambda s: s.pushes == 2)
    stage.actor.restricted = True
    state = await stage.until(lambda s: "access denied" in s.error or s.undos)
    assert state.connected
    stage.actor.restricted, stage.actor.harm, stage.actor.down = False, {}, {}
    stage.bird.reload()
    await stage.until(lambda s: not s.error and not s.unconfirmed)


async def test_another_program_configures_before_the_push_is_confirmed(stage: Stage) -> None:
    await up(stage, "t1")
    stage.actor.harm["s_t1"] = ""
    await stage.bird.execute([put("t2")])
    await stage.until(lambda s: s.pushes == 2)
    stage.actor.before = None
    stage.actor.down.clear()
    state = await stage.until(lambda s: not s.unconfirmed)
    assert (state.pushes, state.undos) == (3, 0)


async def test_vtid_that_stops_confirms_what_has_done_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with playing(Stage(tmp_path), monkeypatch) as stage:
        await up(stage, "t1")
        monkeypatch.setattr(watch, "SETTLE", 60.0)
        await stage.bird.execute([put("t2")])
        await stage.until(lambda s: s.pushes == 2 and len(s.protocols) == 2)
        assert stage.actor.before is not None
    assert not IncludeFile(str(stage.include)).unfinished()
    assert stage.actor.asked[-1] == "configure confirm"


async def test_include_that_moves_takes_its_blocks_along(stage: Stage, tmp_path: Path) -> None:
    await up(stage, "t1")
    text = stage.include.read_text()
    former = tmp_path / "former.conf"
    former.write_text(text)
    include = tmp_path / "new.conf"
    posted: list[Input] = []
    bird = Bird("b", str(tmp_path / "none"), str(include), posted.append, former=str(former))
    task = asyncio.create_task(bird.run())
    async with asyncio.timeout(LIMIT):
        while not posted:  # noqa: ASYNC110 - a test
            await asyncio.sleep(0.002)
    await stop(task)
    assert posted[0] == BirdSnapshot("b", ("t1",))
    assert (former.read_text(), include.read_text()) == (HEADER, text)


async def test_restricted_socket(stage: Stage) -> None:
    stage.actor.restricted = True
    stage.bird.release()
    await stage.bird.execute([put("t1")])
    state = await stage.until(lambda s: "lets vtid look but not reconfigure" in s.error)
    assert (state.connected, state.refusals, state.pushes) == (True, 0, 0)
    stage.actor.restricted = False
    assert (await stage.until(lambda s: s.pushes)).error == ""


async def test_session_that_cannot_be_rendered(stage: Stage) -> None:
    bad, good = put("t1", "a b"), put("t2")
    failed, done = await stage.bird.execute([bad, good])
    assert isinstance(failed, OpFailed)
    assert "tunnel 't1'" in failed.error
    assert done == OpDone(good)


async def test_silent_bird(stage: Stage) -> None:
    await stage.until(lambda s: s.connected)
    stage.actor.mute = True
    with pytest.raises(ControlError, match=r"no answer within 0\.01 s"):
        await (await Control.connect(str(stage.actor.socket), 0.01)).ask("show status")


async def test_stream_that_is_not_taken_to_its_end_is_closed(stage: Stage) -> None:
    await stage.until(lambda s: s.connected)
    stage.actor.names = frozenset({"a", "b"})

    def refuse(_: bytes) -> None:
        raise ReplyError("too much")

    control = await Control.connect(str(stage.actor.socket))
    with pytest.raises(ControlError, match="too much"):
        await control.stream("show protocols all", refuse)
    with pytest.raises(ControlError):
        await control.ask("show status")


@given(chunks=st.lists(st.integers(1, 40), min_size=1, max_size=20))
@settings(max_examples=25)
async def test_a_bird_that_dribbles(chunks: list[int]) -> None:
    """However the bytes are cut, the answers are those of their questions."""
    long = b"1002-x BGP --- up 16:18  Established\n1006-  Last error: \n" * 20 + b"0000 \n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sizes = cycle(chunks)
        answers = [b"0001 BIRD 2.0.12 ready.\n", long, b"0013 up\n"]
        for number, answer in enumerate(answers):
            if number:
                await reader.readline()
            rest = answer
            while rest:
                size = next(sizes)
                writer.write(rest[:size])
                await writer.drain()
                rest = rest[size:]
        writer.close()

    with TemporaryDirectory() as directory:
        server = await asyncio.start_unix_server(serve, f"{directory}/s")
        async with await Control.connect(f"{directory}/s") as control:
            got = bytearray()
            await control.stream("show protocols all", got.extend)
            assert (bytes(got), (await control.ask("show status")).code) == (long, 13)
        server.close()


@pytest.mark.parametrize(
    ("welcome", "message"),
    [
        (b"220 smtp ready\r\n", "without a code"),
        (b"0001 Quagga ready.\n", "not BIRD"),
        (b"0001 BIRD 2.0.12 ready.\n" * 2, "more replies than requests"),
    ],
)
async def test_another_daemon(stage: Stage, welcome: bytes, message: str) -> None:
    stage.actor.welcome = welcome
    with pytest.raises(ControlError, match=message):
        await Control.connect(str(stage.actor.socket))


async def test_nobody_listens(tmp_path: Path, stage: Stage) -> None:
    await stage.until(lambda s: s.connected)
    (tmp_path / "file").touch()
    with pytest.raises(ControlError, match="BIRD is not running"):
        await Control.connect(str(tmp_path / "file"))
    denied = control._unreachable("/run/x.ctl", PermissionError(13, "Permission denied"))
    assert "join the socket's group" in str(denied)


async def test_blank_file_is_nobodys(tmp_path: Path) -> None:
    actor = Actor(tmp_path / "bird.ctl", tmp_path / "vtid.conf")
    actor.include.write_text("\n")
    posted: list[Input] = []
    bird = Bird("private", str(actor.socket), str(actor.include), posted.append)
    task = asyncio.create_task(bird.run())
    async with asyncio.timeout(LIMIT):
        while not posted:  # noqa: ASYNC110 - a test
            await asyncio.sleep(0.002)
    await stop(task)
    assert posted[0] == BirdSnapshot("private", ())
    assert actor.include.read_text() == HEADER


OWN = """\
# own
{% for session in sessions %}protocol bgp {{ session.name }} {
  export {{ session.export_policy }};
}
{% endfor %}"""


def save(path: Path, text: str) -> None:
    """Write a file as editors do: whoever reads it meanwhile finds the old one."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


@pytest.fixture
async def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Stage, Path]]:
    """A stage whose template is the operator's, and its path."""
    path = tmp_path / "own.j2"
    async with playing(Stage(tmp_path, str(path)), monkeypatch) as one:
        yield one, path


async def test_template_that_is_not_there_yet(own: tuple[Stage, Path]) -> None:
    stage, path = own
    stage.bird.release()
    await stage.until(lambda s: f"cannot read {path}" in s.error)
    op = put("t1")
    [failed] = await stage.bird.execute([op])
    assert isinstance(failed, OpFailed)
    assert f"tunnel 't1': cannot read {path}" in failed.error
    save(path, OWN)
    await stage.until(lambda s: s.error == "")
    assert await stage.bird.execute([op]) == [OpDone(op)]
    await stage.until(lambda s: [one.protocol for one in s.protocols] == ["s_t1"])
    assert stage.include.read_text().count("# own") == 1


@pytest.mark.parametrize("bad", ["{% if %}", "{{ sessions[0].nix }}", "# vtid end x"])
async def test_new_template_is_taken_at_reload_if_it_is_good(
    own: tuple[Stage, Path], bad: str
) -> None:
    stage, path = own
    save(path, OWN)
    stage.bird.release()
    await stage.until(lambda s: s.error == "")
    await stage.bird.execute([put("t1"), put("t2"), put("t3")])
    await stage.bird.execute([delete("t3")])
    await stage.until(lambda s: len(s.protocols) == 2)
    before = stage.include.read_text()

    save(path, OWN + bad)
    await stage.after_polls()
    stage.bird.reload()
    state = await stage.until(lambda s: str(path) in s.error)
    assert (state.pushes, stage.include.read_text()) == (1, before)

    save(path, OWN.replace("# own", "# new"))
    stage.bird.reload()
    state = await stage.until(lambda s: s.pushes == 2)
    assert (state.error, stage.include.read_text()) == ("", before.replace("# own", "# new"))
    assert parse(before).keys() == {"t1", "t2"}


async def test_template_that_cannot_render_what_came_while_it_was_read(
    own: tuple[Stage, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, path = own
    save(path, OWN)
    stage.bird.release()
    await stage.until(lambda s: s.error == "")
    await stage.bird.execute([put("t1")])
    await stage.until(lambda s: len(s.protocols) == 1)

    begun, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(name: str) -> Template:
        loop.call_soon_threadsafe(begun.set)
        assert may_end.wait(LIMIT)
        return template.load(name)

    monkeypatch.setattr(own_template, "load", slow)
    save(path, OWN.replace("# own", "{{ nix if sessions[0].name == 's_late' else '# new' }}"))
    stage.bird.reload()
    await begun.wait()
    late = put("late")
    assert await stage.bird.execute([late]) == [OpDone(late)]
    may_end.set()
    await stage.until(lambda s: "tunnel 'late'" in s.error and "'nix' is undefined" in s.error)
    await stage.until(lambda s: len(s.protocols) == 2)
    blocks = parse(stage.include.read_text())
    assert {tunnel: text.splitlines()[0] for tunnel, text in blocks.items()} == dict.fromkeys(
        ("t1", "late"), "# own"
    )

    save(path, OWN.replace("# own", "# new"))
    await stage.until(lambda s: s.error == "")
    await stage.until(lambda _: stage.include.read_text().count("# new") == 2)


async def test_template_of_another_version(stage: Stage) -> None:
    stage.actor.welcome = b"0001 BIRD 1.6.8 ready.\n"
    await stage.actor.stop()
    await stage.until(lambda s: not s.connected)
    await stage.actor.start()
    state = await stage.until(lambda s: s.connected)
    assert state.version == "1.6.8"
    assert state.error.endswith('is version 1.6.8: write `template = "bgp-1.6"` under its [[bird]]')
