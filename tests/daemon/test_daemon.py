"""The daemon's own tasks, where edges and namespaces come and go under them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from vtid import turns
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.core.state import State
from vtid.daemon import daemon as daemon_module
from vtid.daemon import notify
from vtid.daemon import operator as operator_module
from vtid.daemon.daemon import Daemon
from vtid.http.api import ReloadResult, ResyncResult
from vtid.model.input import (
    ClampSnapshot,
    FullPassDue,
    LinkSnapshot,
    NetnsLost,
    OpDone,
    OpFailed,
    SaSnapshot,
    ViciLost,
)
from vtid.model.mode import Mode
from vtid.model.operation import SetUp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from vtid.config.keys import Config
    from vtid.model.input import Input
    from vtid.model.operation import Op


@pytest.fixture
async def idle(tmp_path: Path) -> Daemon:
    """A daemon that does not run."""
    return Daemon(load(""), tmp_path / "vtid.toml")


async def test_a_hook_that_is_refused_is_in_the_summary(tmp_path: Path) -> None:
    missing = tmp_path / "hooks.d"
    daemon = Daemon(load(f'[daemon]\nhooks = "{missing}"'), tmp_path / "vtid.toml")
    daemon._hooks.use(str(missing))
    await daemon._hooks.look()
    (trouble,) = (one for one in daemon.operator.summary().troubles if one.subject == "hooks")
    assert str(missing) in trouble.error


async def test_a_reload_may_add_a_namespace_to_a_full_pass(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    enough = asyncio.Event()

    async def resync(netns: str) -> None:
        asked.append(netns)
        idle._watched.add(f"new-{len(asked)}")
        if len(asked) == 5:
            enough.set()

    idle._watched.update(("", "private"))
    monkeypatch.setattr(idle._kernel, "resync", resync)
    monkeypatch.setattr(daemon_module, "FULL_PASS_INTERVAL", 0)
    looking = asyncio.create_task(idle._look_around())
    seen = asyncio.create_task(enough.wait())
    await asyncio.wait({looking, seen}, return_when=asyncio.FIRST_COMPLETED)
    assert not looking.done()
    looking.cancel()


async def test_full_passes_go_on_while_the_directory_of_hooks_hangs(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[Input] = []
    enough, never = asyncio.Event(), asyncio.Event()

    def post(event: Input) -> None:
        passes.append(event)
        if len(passes) == 3:
            enough.set()

    monkeypatch.setattr(idle, "post", post)
    monkeypatch.setattr(idle._hooks, "look", never.wait)
    monkeypatch.setattr(daemon_module, "FULL_PASS_INTERVAL", 0)
    tasks = {asyncio.create_task(one) for one in (idle._hooks.run(), idle._look_around())}
    await asyncio.wait_for(enough.wait(), 10)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert set(passes) == {FullPassDue()}


async def test_a_change_of_mode_is_a_line_for_each_tunnel(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rest(*_: object) -> bool:
        return True

    monkeypatch.setattr(idle, "rest", rest)
    with capture_logs() as logs:
        await idle.operator.set_mode(Mode.PAUSED, ("V2-1", "V2-2"))
        await idle.operator.set_mode(Mode.DRAINED, ())
    told = [(one["mode"], one.get("tunnel"), one.get("tunnels")) for one in logs]
    assert told == [
        ("paused", "V2-1", None),
        ("paused", "V2-2", None),
        ("drained", None, "all"),
    ]


async def test_a_reload_says_what_it_cannot_use_and_uses_the_rest(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Config] = []
    monkeypatch.setattr(idle, "_use", used.append)
    text = '[metrics.tls_server_config]\ncert_file = "/nowhere"\nkey_file = "/nowhere"\n'
    idle._reloader._file.write_text(text)
    with capture_logs() as logs:
        result = await idle.reload()
    (warning,) = result.warnings
    assert (result.ok, used) == (True, [load(text)])
    assert "cert_file: cannot read /nowhere: No such file" in warning
    assert "stays as it was" in warning
    (logged,) = (line for line in logs if line["event"] == "configuration partly in use")
    assert logged["detail"] == warning


async def test_a_key_that_takes_a_start_is_named_until_there_was_one(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "_use", lambda config: setattr(idle, "_config", config))
    idle._reloader._file.write_text("[daemon]\nmetrics = []\ncontrol_socket = '/x'\n")
    for _ in range(2):
        warnings = (await idle.reload()).warnings
        assert [line.split()[0] for line in warnings] == ["daemon.control_socket", "daemon.metrics"]
        assert "systemctl restart vtid" in warnings[0]
    idle._reloader._file.write_text("")
    assert (await idle.reload()).warnings == ()


async def test_a_reload_while_vtid_starts_does_not_make_it_ready(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(notify, "notify", told.append)
    refused = await idle.reload()
    assert (refused.ok, told) == (False, [])
    assert idle._readiness.tick_off(ViciLost("absent"))
    await idle.reload()
    assert [line.split("=")[0] for line in told] == ["RELOADING", "READY"]


async def test_bird_waits_for_the_first_operations_but_not_for_ever(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, now = True, 100.0
    monkeypatch.setattr(State, "settled", True)
    monkeypatch.setattr(State, "is_busy", lambda _: busy)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    idle._release_birds()
    now += daemon_module.RELEASE_LIMIT - 0.1
    idle._release_birds()
    assert not idle._birds_released
    now += 0.2
    idle._release_birds()
    assert idle._birds_released


async def test_bird_is_released_as_soon_as_nothing_is_under_way(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle._release_birds()
    assert not idle._birds_released
    monkeypatch.setattr(State, "settled", True)
    idle._release_birds()
    assert idle._birds_released


async def test_a_resync_reads_everything_again_and_tells_what_followed(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noting(name: str) -> Callable[..., Awaitable[None]]:
        async def resync(*words: str) -> None:
            asked.append(" ".join((name, *words)))

        return resync

    idle._watched.update(("", "private"))
    for name, edge in (("kernel", idle._kernel), ("nft", idle._nft), ("charon", idle._charon)):
        monkeypatch.setattr(edge, "resync", noting(name))
    idle._state.apply(SaSnapshot(()), time.monotonic())
    working = asyncio.create_task(idle.operator.resync())
    await idle._woken.wait()
    assert [type(event).__name__ for _, event in idle._inbox] == ["UnderlayChanged", "FullPassDue"]
    op = SetUp(tunnel="vti1", reason="", netns="", name="vti1")
    idle._account(OpDone(op))
    idle._account(OpDone(op, changed=False))
    await asyncio.sleep(0)
    assert not working.done()
    looping = asyncio.create_task(idle._loop())
    assert await working == ResyncResult(operations=1, finished=True)
    looping.cancel()
    assert sorted(asked) == ["charon", "kernel ", "kernel private", "nft ", "nft private"]


async def test_the_summary_says_how_many_operations_are_done(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, failed = (SetUp(tunnel=name, reason="", netns="", name=name) for name in ("a", "b"))
    begun, answered, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(ops: Sequence[Op]) -> None:
        begun.set()
        await answered.wait()
        idle._account(OpDone(ops[0]))
        idle._account(OpFailed(ops[1], "no"))
        ended.set()

    async def one_pass() -> list[Op]:
        idle._inbox.clear()
        return [] if begun.is_set() else [done, failed]

    def counts() -> tuple[int, int]:
        summary = idle.operator.summary()
        return summary.operations_begun, summary.operations_answered

    monkeypatch.setattr(idle._executor, "run", run)
    monkeypatch.setattr(idle, "_pass", one_pass)
    assert counts() == (0, 0)
    async with idle._tasks:
        looping = idle._tasks.create_task(idle._loop())
        idle.post(SaSnapshot(()))
        await begun.wait()
        assert counts() == (2, 0)
        answered.set()
        await ended.wait()
        assert counts() == (2, 2)
        looping.cancel()


async def never() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    """Read nothing, as a charon that is away."""


@pytest.mark.parametrize(
    ("reads", "charon", "finished"),
    [
        (at_once, SaSnapshot(()), True),
        (never, SaSnapshot(()), False),
        (at_once, ViciLost("it is away"), False),
    ],
)
async def test_a_resync_that_did_not_read_all_is_not_finished(
    idle: Daemon,
    monkeypatch: pytest.MonkeyPatch,
    reads: Callable[[], Awaitable[None]],
    charon: Input,
    finished: bool,  # noqa: FBT001 - a column of the table
) -> None:
    monkeypatch.setattr(operator_module, "REST_LIMIT", 0.5)
    monkeypatch.setattr(idle._charon, "resync", reads)
    idle._state.apply(charon, time.monotonic())
    looping = asyncio.create_task(idle._loop())
    assert await idle.operator.resync() == ResyncResult(operations=0, finished=finished)
    looping.cancel()


TUNNEL = '[[tunnel]]\nconnection = "A"\ninterface = "vti1"\n'


@pytest.fixture
def without_edges(idle: Daemon, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """The daemon takes configurations and starts nothing for them."""

    def use(config: Config) -> None:
        idle._config = config
        idle.post(ConfigLoaded(config))

    monkeypatch.setattr(idle, "_use", use)
    return idle


async def test_a_reload_answers_when_it_is_applied_and_says_what_changed(
    without_edges: Daemon, tmp_path: Path
) -> None:
    daemon = without_edges
    (tmp_path / "vtid.toml").write_text(TUNNEL)
    looping = asyncio.create_task(daemon._loop())
    reloading = asyncio.create_task(daemon.reload())
    while "vti1" not in daemon._state.tunnels:
        await daemon._passed.wait()
    assert not reloading.done(), "the namespace has not been read yet"
    daemon.post(LinkSnapshot("", (), ()))
    daemon.post(ClampSnapshot("", ()))
    result = await reloading
    assert (result.ok, result.finished) == (True, True)
    assert result.changes == ("[[tunnel]] A/* added",)
    assert await daemon.reload() == ReloadResult(ok=True)
    looping.cancel()


async def test_a_reload_tells_what_went_wrong_and_does_not_wait_for_ever(
    without_edges: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = without_edges
    monkeypatch.setattr(daemon_module, "REST_LIMIT", 0.01)
    (tmp_path / "vtid.toml").write_text(TUNNEL.replace("vti1", 'vti1"\nnetns = "private'))
    looping = asyncio.create_task(daemon._loop())
    assert not (await daemon.reload()).finished

    def use(config: Config) -> None:
        lost = NetnsLost("private", "missing")
        for event in (ConfigLoaded(config), lost, LinkSnapshot("", (), ()), ClampSnapshot("", ())):
            daemon.post(event)

    monkeypatch.setattr(daemon, "_use", use)
    monkeypatch.setattr(daemon_module, "REST_LIMIT", 5)
    result = await daemon.reload()
    assert (result.finished, result.problems) == (True, ("namespace private: missing",))
    looping.cancel()


async def test_a_template_that_cannot_be_used_refuses_the_configuration(
    without_edges: Daemon, tmp_path: Path
) -> None:
    bird = '[[bird]]\nname = "main"\nsocket = "/x/s"\ninclude = "/x/i"\ntemplate = "{}"\n'
    template = tmp_path / "own.j2"
    (tmp_path / "vtid.toml").write_text(bird.format(template))
    refused = await without_edges.reload()
    assert (refused.ok, len(refused.errors)) == (False, 1)
    assert f"cannot read {template}" in refused.errors[0]
    template.write_text("{% if %}")
    assert not (await without_edges.reload()).ok
    assert not without_edges._inbox
    assert not without_edges._config.birds


async def test_nobody_reads_a_state_that_is_half_filed(
    without_edges: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input about many tunnels is filed in turns; who reads waits for the end of it."""
    monkeypatch.setattr(turns, "LONGEST", 0.0)
    daemon, seen = without_edges, list[int]()
    daemon.post(ConfigLoaded(load(TUNNEL + TUNNEL.replace("A", "B").replace("vti1", "vti2"))))
    looping = asyncio.create_task(daemon._loop())
    for _ in range(100):
        await asyncio.sleep(0)
        seen.append(len(daemon._state.tunnels))
    assert 1 in seen, "the turns are seen"
    assert len((await daemon.operator.full_status()).tunnels) == 2
    daemon.post(ConfigLoaded(load("")))
    await asyncio.sleep(0)
    assert (await daemon.operator.full_status()).tunnels == ()
    looping.cancel()


async def test_a_namespace_that_is_lost_is_left_by_the_probes(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a socket of theirs would keep it, and its interfaces, alive."""
    left: list[str] = []
    monkeypatch.setattr(idle._echo, "leave", left.append)
    watching = asyncio.create_task(idle._kernel.watch("nowhere"))
    await asyncio.wait_for(idle._woken.wait(), 30)
    await asyncio.sleep(0)
    watching.cancel()
    assert left == ["nowhere"]
