"""Pushes to real BIRDs: what they do to the sessions and packets that are there, and how many."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from tests.bird.test_client_lab import (
    LEFT,
    Pair,
    established,
    kernel_route,
    pair,
    put,
    session,
    watched,
)
from tests.birds import Daemon, bird, declared
from vtid.bird import watch
from vtid.bird.include import IncludeError, IncludeFile
from vtid.bird.render import HEADER, compose, parse
from vtid.bird.template import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vtid.model.bgp import BgpSession
    from vtid.model.input import BirdState

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

__all__ = ["pair"]

FIRST, SECOND = compose({"a": "# first\n"}), compose({"a": "# second\n"})


def all_up(state: BirdState) -> bool:
    """Nothing is left to confirm, and the session is past the collision of both sides' attempts."""
    settled = all(time.time() - bgp.since_at > 2 for bgp in state.protocols)
    return established(state) and settled and not state.unconfirmed


async def test_push_that_takes_a_session_down_is_undone(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It brings a change of the main configuration into effect that was never tried."""
    monkeypatch.setattr(watch, "LIMIT", 8.0)
    left = pair.left
    main = left.config.read_text().replace("include ", "define FAR_AS = 65002;\ninclude ")
    left.config.write_text(main)
    left.ask("configure")
    path = tmp_path / "own.j2"
    text = files("vtid.bird").joinpath("templates", SHIPPED[pair.daemon.template]).read_text()
    path.write_text(text.replace("{{ session.remote_as }};", "FAR_AS;"))
    async with watched(left, str(path)) as vtid:
        vtid.edge.release()
        await vtid.until(lambda s: s.connected)
        await vtid.edge.execute([put("t1", pair.session())])
        await vtid.until(all_up)
        before = left.include.read_text()
        left.config.write_text(main.replace("FAR_AS = 65002", "FAR_AS = 65044"))
        await vtid.edge.execute(
            [put("t2", pair.session(name="vtid_t2", neighbor=pair.stranger, local_address=""))]
        )
        await vtid.until(lambda s: s.pushes == 2 and s.unconfirmed and not established(s))
        state = await vtid.until(lambda s: s.undos)
        assert "undone, 1 of 1 sessions did not come back: vtid_t1 (" in state.error
        assert "(tunnel 't2'; all others go on)" in state.error
        assert left.include.read_text() == before
        await vtid.until(established)
        assert "vtid_t2" not in left.ask("show protocols")
        assert (vtid.state.pushes, vtid.state.undos) == (2, 1)


async def test_bird_undoes_what_a_vtid_that_died_did_not_confirm(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtid.bird.push.UNDO_AFTER", 4)
    monkeypatch.setattr(watch, "SETTLE", 60.0)
    left = pair.left
    other = put("t2", pair.session(name="vtid_t2", neighbor=pair.stranger, local_address=""))
    async with watched(left) as vtid:
        await vtid.edge.execute([put("t1", pair.session())])
        vtid.edge.release()
        since = (await vtid.until(all_up)).protocols[0].since_at
        monkeypatch.setattr(vtid.edge._pusher, "leave", _nothing)
        await vtid.edge.execute([other])
        await vtid.until(lambda s: s.pushes == 2 and len(s.protocols) == 2)
    assert IncludeFile(str(left.include)).unfinished()
    async with asyncio.timeout(30):
        while "vtid_t2" in left.ask("show protocols"):  # noqa: ASYNC110 - a test
            await asyncio.sleep(0.2)

    monkeypatch.setattr(watch, "SETTLE", 0.0)
    async with watched(left) as vtid:
        await vtid.edge.execute([put("t1", pair.session()), other])
        vtid.edge.release()
        state = await vtid.until(lambda s: len(s.protocols) == 2 and not s.unconfirmed)
        assert (state.pushes, state.error) == (1, "")
        assert abs(state.protocols[0].since_at - since) <= 2


async def _nothing(_: str) -> None:
    pass


@contextmanager
def pinging(address: str) -> Iterator[list[str]]:
    """Ping a neighbour five times a second; the list has what it said, when it has ended."""
    command = ["ip", "netns", "exec", LEFT, "ping", "-i", "0.2", address]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            said.append(process.communicate()[0])


async def test_refused_template_leaves_routing_as_it_is(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "own.j2"
    good = files("vtid.bird").joinpath("templates", SHIPPED[pair.daemon.template]).read_text()
    path.write_text(good)
    prefix = pair.daemon.prefixes(2)[0]
    async with watched(pair.left, str(path)) as vtid:
        vtid.edge.release()
        await vtid.until(lambda s: s.connected)
        await vtid.edge.execute([put("t1", pair.session())])
        await vtid.until(lambda s: all_up(s) and kernel_route(prefix))
        route = kernel_route(prefix)
        with pinging(pair.neighbor) as said:
            path.write_text(good.replace("  direct;", "  indirect;"))
            vtid.edge.reload()
            state = await vtid.until(lambda s: s.refusals)
            assert "indirect" in state.error
            assert state.refusal is not None
            assert state.refusal.quoted == "indirect;"
            await vtid.next_poll(3)
            assert kernel_route(prefix) == route
            path.write_text(good.replace("  direct;", "  direct; # again"))
            vtid.edge.reload()
            await vtid.until(lambda s: s.pushes == 2 and not s.error and all_up(s))
            assert kernel_route(prefix) == route
        assert " 0% packet loss" in said[0]


MANY = 1000


@pytest.mark.parametrize("daemon", [d for d in declared() if "ipv6" in d.families], ids=str)
async def test_a_thousand_tunnels_cost_five_pushes_at_most(daemon: Daemon, tmp_path: Path) -> None:
    """They come up within 20 s; their neighbours are not there."""
    config = daemon.config(1, f'include "{tmp_path}/vtid.many*.conf";')
    with bird(config, tmp_path, "many", daemon=daemon) as real:
        async with watched(real) as vtid:
            vtid.edge.release()
            await vtid.until(lambda s: s.connected)
            for number in range(MANY):
                await vtid.edge.execute([put(f"t{number}", _unnumbered(daemon, number))])
                await asyncio.sleep(0.02)
            state = await vtid.until(lambda s: len(s.protocols) == MANY and not s.unconfirmed)
            assert state.pushes <= 5
            assert (state.error, len(parse(real.include.read_text()))) == ("", MANY)


def _unnumbered(daemon: Daemon, number: int) -> BgpSession:
    return session(
        daemon,
        1,
        name=f"vtid_{number}",
        interface=f"t{number}",
        neighbor="fe80::2",
        local_address="",
        export_filter="all",
    )


# --- the file ------------------------------------------------------------------------------------


@contextmanager
def mounted(directory: Path, options: str) -> Iterator[None]:
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def test_disk_that_is_full(tmp_path: Path) -> None:
    directory = tmp_path / "small"
    with mounted(directory, "size=16k"):
        file = IncludeFile(str(directory / "vtid.conf"))
        file.replace(FIRST)
        file.accept()
        with pytest.raises(IncludeError, match="No space left on device: make room in"):
            file.replace(compose({"a": "# much\n" * 10_000}))
        assert file.read() == FIRST
        assert [path.name for path in directory.iterdir()] == ["vtid.conf"]
        file.replace(SECOND)
        assert file.read() == SECOND


def test_directory_that_is_read_only(tmp_path: Path) -> None:
    directory = tmp_path / "fixed"
    with mounted(directory, "size=64k"):
        file = IncludeFile(str(directory / "vtid.conf"))
        file.replace(FIRST)
        file.accept()
        subprocess.run(["mount", "-o", "remount,ro", directory], check=True)
        with pytest.raises(IncludeError, match="is read-only for vtid; add ReadWritePaths="):
            file.replace(SECOND)
        assert file.read() == FIRST


def test_mode_and_owner_stay(tmp_path: Path) -> None:
    path = tmp_path / "vtid.conf"
    path.write_text(HEADER)
    path.chmod(0o640)
    os.chown(path, 4711, 4712)
    file = IncludeFile(str(path))
    file.replace(FIRST)
    assert _attributes(path) == (0o640, 4711, 4712)
    assert file.restore() == HEADER
    assert _attributes(path) == (0o640, 4711, 4712)


def _attributes(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mode & 0o777, found.st_uid, found.st_gid
