"""Hooks: in order for each tunnel, the newest wins, none waits for another, and what is counted."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from vtid.core.transitions import Facts, Transition, Turn
from vtid.daemon import hooks as hooks_module
from vtid.daemon.hook_files import Programs
from vtid.daemon.hooks import AT_ONCE, Hooks, document
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

LIMIT = 30
"""Seconds that a test waits for what has to come."""

FACTS = Facts(
    tunnel="V2-1",
    interface="vti3",
    netns="",
    ifindex=7,
    connection="V2-1",
    child="net",
    local="192.0.2.1",
    peer="192.0.2.2",
    peer_id="C=CH, CN=\x1b[31m\u202e",
    addresses=("10.0.0.0/31",),
    mtu=1400,
    mss4=1360,
    mss6=1340,
)


def transition(name: str = "vti3", turn: Turn = Turn.UP, mtu: int = 1400) -> Transition:
    facts = replace(FACTS, interface=name, mtu=mtu)
    return Transition(turn, name, facts, TunnelState.UP, "2 SAs", ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "hooks.d"
    found.mkdir(mode=0o755)
    return found


@pytest.fixture
async def hooks(folder: Path) -> AsyncIterator[Hooks]:
    found = Hooks(owner=os.geteuid())
    found.use(str(folder))
    running = asyncio.create_task(found.run())
    yield found
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()


def program(folder: Path, text: str, name: str = "hook") -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\ncd {folder.parent}\n{text}\n")
    file.chmod(0o755)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not true():  # noqa: ASYNC110 - a process makes it so
            await asyncio.sleep(0.005)


def counted(hooks: Hooks) -> dict[str, int]:
    return {result: count for result, count in hooks.results.items() if count}


def lines(folder: Path) -> list[dict[str, Any]]:
    """What programs that append their input to `told` were told."""
    file = folder.parent / "told"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


APPEND = "cat >> told"


async def test_a_program_is_told_as_one_object_of_json(hooks: Hooks, folder: Path) -> None:
    program(folder, APPEND)
    before = time.time()
    hooks.post([transition()])
    await until(lambda: hooks.results["done"])
    (told,) = lines(folder)
    assert before - 1 < told.pop("time") < time.time() + 1
    assert told == {
        "schema_version": 1,
        "event": "up",
        "initial": False,
        "changed": [],
        "state": "up",
        "reason": "2 SAs",
        "tunnel": "V2-1",
        "interface": "vti3",
        "netns": "",
        "ifindex": 7,
        "connection": "V2-1",
        "child": "net",
        "local": "192.0.2.1",
        "peer": "192.0.2.2",
        "peer_id": "C=CH, CN=\x1b[31m\u202e",
        "addresses": ["10.0.0.0/31"],
        "mtu": 1400,
        "mss4": 1360,
        "mss6": 1340,
    }
    assert (folder.parent / "told").read_bytes().isascii(), "what a peer said is escaped"


async def test_programs_run_one_after_the_other(hooks: Hooks, folder: Path) -> None:
    program(folder, "echo b >> order", "20-b")
    program(folder, "sleep 0.1; echo a >> order; exit 1", "10-a")
    hooks.post([transition()])
    await until(lambda: hooks.results["done"])
    assert (folder.parent / "order").read_text() == "a\nb\n"
    assert counted(hooks) == {"failed": 1, "done": 1}, "one that fails holds back no other"


async def test_the_newest_of_a_tunnel_wins_and_comes_after_what_runs(
    hooks: Hooks, folder: Path
) -> None:
    program(folder, f"{APPEND}\nwhile [ ! -e go ]; do sleep 0.01; done")
    hooks.post([transition(mtu=1)])
    await until(lambda: lines(folder))
    hooks.post([transition(mtu=2), transition(mtu=3), transition(turn=Turn.DOWN, mtu=4)])
    assert hooks.results["superseded"] == 2
    hooks.post([transition("other", mtu=5)])
    await until(lambda: lines(folder)[-1]["mtu"] == 5)
    assert [one["mtu"] for one in lines(folder)] == [1, 5], "none of a tunnel overtakes another"
    (folder.parent / "go").touch()
    await until(lambda: hooks.results["done"] == 3)
    assert [(one["event"], one["mtu"]) for one in lines(folder)][::2] == [("up", 1), ("down", 4)]


async def test_tunnels_do_not_wait_for_each_other_and_few_run_at_once(
    hooks: Hooks, folder: Path
) -> None:
    program(folder, f"{APPEND}\nwhile [ ! -e go ]; do sleep 0.01; done")
    hooks.post(transition(f"t{number}") for number in range(AT_ONCE + 3))
    await until(lambda: len(lines(folder)) == AT_ONCE)
    (waiting,) = (one for one in hooks.readings() if one.name == "vtid_hooks_waiting")
    assert waiting.read() == {(): 3}
    (folder.parent / "go").touch()
    await until(lambda: hooks.results["done"] == AT_ONCE + 3)


async def test_what_fails_is_logged_with_its_words(folder: Path) -> None:
    hooks = Hooks(owner=os.geteuid(), limit=0.2)
    hooks.use(str(folder))
    program(folder, "echo no such route >&2; exit 2", "a")
    program(folder, "exec sleep 1000", "b")
    running = asyncio.create_task(hooks.run())
    with capture_logs() as logs:
        hooks.post([transition()])
        await until(lambda: hooks.results["timeout"])
    running.cancel()
    await asyncio.wait({running})
    failed, late = (line for line in logs if line["event"] == "hook failed")
    assert failed["detail"] == "exit status 2: no such route"
    assert (failed["hook"], failed["tunnel"], failed["happened"]) == ("a", "V2-1", "up")
    assert late["detail"] == "took longer than 0.2 s"


async def test_what_is_refused_is_counted_each_time_and_logged_once(
    hooks: Hooks, folder: Path
) -> None:
    program(folder, APPEND)
    (folder / "hook").chmod(0o777)
    with capture_logs() as logs:
        for number in range(1, 4):
            hooks.post([transition()])
            await until(lambda: hooks.results["refused"] == number)  # noqa: B023
    assert [line["event"] for line in logs] == ["hook refused"]
    (folder / "hook").chmod(0o755)
    hooks.post([transition()])
    await until(lambda: hooks.results["done"])
    assert lines(folder)


async def test_what_is_refused_is_a_trouble_before_any_tunnel_comes_up(folder: Path) -> None:
    hooks = Hooks(owner=os.geteuid())
    hooks.use(str(folder))
    program(folder, APPEND)
    await hooks.look()
    assert not tuple(hooks.troubles())
    (folder / "hook").chmod(0o777)
    with capture_logs() as logs:
        await hooks.look()
        (first,) = hooks.troubles()
        await hooks.look()
    assert [line["event"] for line in logs] == ["hook refused"]
    assert tuple(hooks.troubles()) == (first,), "since the first time"
    assert first.subject == "hooks"
    assert str(folder / "hook") in first.error
    assert time.time() - LIMIT < first.since <= time.time()
    more = [folder / f"hook{number}" for number in range(12)]
    for hook in more:
        hook.touch()
        hook.chmod(0o777)
    await hooks.look()
    (all_of_them,) = hooks.troubles()
    assert all_of_them.error.startswith("13 are refused")
    assert first.error in all_of_them.error
    assert all_of_them.since == first.since
    for hook in (folder / "hook", *more):
        hook.chmod(0o755)
    await hooks.look()
    assert not tuple(hooks.troubles())


async def test_of_a_directory_that_is_configured_no_more_nothing_is_said(folder: Path) -> None:
    hooks = Hooks(owner=os.geteuid())
    hooks.use(str(folder))
    program(folder, APPEND)
    (folder / "hook").chmod(0o777)
    await hooks.look()
    assert len(tuple(hooks.troubles())) == 1
    hooks.use(None)
    assert not tuple(hooks.troubles())


async def test_that_no_program_may_be_run_stays_a_trouble_until_one_may(
    hooks: Hooks, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at the directory finds nothing of it, and a reload ends nothing."""

    def forbidden() -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    program(folder, APPEND)
    (folder / "hook").chmod(0o777)
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(hooks_module, "give_up_privileges", forbidden)
        await hooks.look()
        (unsafe,) = hooks.troubles()
        hooks.post([transition()])
        await until(lambda: hooks.results["refused"])
        (barred, still) = hooks.troubles()
        hooks.use(str(folder))
        await hooks.look()
        assert [one.error for one in hooks.troubles()] == [barred.error, unsafe.error]
    assert still == unsafe, "since the look"
    assert "Operation not permitted: programs would have" in barred.error
    assert not lines(folder)
    assert len(logs) == 3, "the file once more after `use`"
    (folder / "hook").chmod(0o755)
    hooks.post([transition()])
    await until(lambda: hooks.results["done"])
    assert not tuple(hooks.troubles())


async def test_a_failure_of_vtid_leaves_what_is_refused(
    hooks: Hooks, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(folder, APPEND)
    (folder / "hook").chmod(0o777)
    await hooks.look()
    before = tuple(hooks.troubles())
    assert before

    def fails(_folder: Path, _owner: int) -> Programs:
        raise ValueError

    monkeypatch.setattr(hooks_module, "programs", fails)
    hooks.post([transition()])
    await until(lambda: hooks.results["failed"])
    assert tuple(hooks.troubles()) == before


async def test_what_the_directory_before_refuses_is_not_said_of_the_new_one(
    hooks: Hooks, folder: Path
) -> None:
    program(folder, f"{APPEND}\nwhile [ ! -e go ]; do sleep 0.01; done")
    program(folder, APPEND, "unsafe")
    (folder / "unsafe").chmod(0o777)
    hooks.post([transition()])
    await until(lambda: lines(folder))
    other = folder.parent / "other.d"
    hooks.use(str(other))
    await hooks.look()
    (absent,) = hooks.troubles()
    (folder.parent / "go").touch()
    await until(lambda: hooks.results["done"])
    assert tuple(hooks.troubles()) == (absent,)
    assert str(other) in absent.error


async def test_there_is_one_look_at_a_time_and_one_for_all_that_were_asked_for_meanwhile(
    hooks: Hooks, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system hangs, further reloads take no further threads."""
    hangs = threading.Event()
    looked: list[Path] = []

    def programs(folder: Path, _owner: int) -> Programs:
        looked.append(folder)
        hangs.wait(LIMIT)
        return Programs(refused=(f"{folder}: no",))

    monkeypatch.setattr(hooks_module, "programs", programs)
    hooks.look_soon()
    await until(lambda: looked)
    other = folder.parent / "other.d"
    hooks.use(str(other))
    for _ in range(3):
        hooks.look_soon()
    await asyncio.to_thread(lambda: None)
    assert looked == [folder]
    hangs.set()
    await until(lambda: tuple(hooks.troubles()))
    assert looked == [folder, other]
    assert [one.error for one in hooks.troubles()] == [f"{other}: no"]


async def test_without_a_directory_nothing_is_run(hooks: Hooks, folder: Path) -> None:
    program(folder, APPEND)
    hooks.use(None)
    hooks.post([transition()])
    hooks.use(str(folder))
    hooks.post([transition("other")])
    await until(lambda: hooks.results["done"])
    assert [one["interface"] for one in lines(folder)] == ["other"]


async def test_stopping_ends_what_runs(folder: Path) -> None:
    hooks = Hooks(owner=os.geteuid())
    hooks.use(str(folder))
    program(folder, "echo $$ > pid\nexec sleep 1000")
    running = asyncio.create_task(hooks.run())
    hooks.post([transition()])
    pid = folder.parent / "pid"
    await until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    running.cancel()
    async with asyncio.timeout(LIMIT):
        await asyncio.wait({running})
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


async def test_the_loop_goes_on_while_programs_run(hooks: Hooks, folder: Path) -> None:
    program(folder, "sleep 0.3")
    hooks.post([transition()])
    turns = 0
    while not hooks.results["done"]:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


def test_a_document_names_when_it_happened() -> None:
    assert document(1.23456, transition())["time"] == 1.235


async def test_a_program_that_cannot_be_run_costs_itself_only(
    hooks: Hooks, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "hook").write_text("#!/bin/sh\n")
    (folder / "hook").chmod(0o755)

    def refused(_name: str) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refused)
    with capture_logs() as lines:
        hooks.post([transition()])
        async with asyncio.timeout(LIMIT):
            while not hooks.results["failed"]:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
    assert lines[-1]["detail"] == "cannot be run: Too many open files"


def test_no_more_wait_than_there_is_room_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks_module, "MOST", 3)
    found = Hooks(owner=os.geteuid())
    found.use(str(folder))
    found.post(transition(f"rw-{number}") for number in range(10))
    assert list(found._waiting) == ["rw-7", "rw-8", "rw-9"]
    assert found.results["superseded"] == 7
