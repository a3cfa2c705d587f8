"""What a reload would do: told without a trace, and with the errors that the reload would have."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from tests.core.world import LAB, LAB_TEXT, World, sa
from tests.daemon.test_bird_files import bird
from vtid.core.rehearsal import Rehearsal
from vtid.daemon.daemon import Daemon
from vtid.daemon.rehearse import Rehearser
from vtid.model.input import UnderlaySeen
from vtid.model.operation import CreateLink, DeleteLink, ProbeUnderlay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vtid.bird.client import Bird

MORE = """
[[tunnel]]
connection = "new"
child = "net"
interface = "new0"
netns = "blue"
initiate = true

[[tunnel]]
connection = "later"
child = "net"
interface = "later0"
initiate = true
"""


@pytest.fixture
def world() -> World:
    return World(config=LAB).start(
        [sa(1), sa(2, "V2-2", 4), sa(3, "new", 5, remote_host="2001:db8:2::3")]
    )


def rehearser(world: World, edges: dict[str, Bird] | None = None, mtu: int = 1400) -> Rehearser:
    async def look_up(ops: Sequence[ProbeUnderlay]) -> list[UnderlaySeen]:
        return [UnderlaySeen(op.local, op.remote, mtu, "eth0") for op in ops] if mtu else []

    async def whole() -> None:
        """Nobody else works on it."""

    return Rehearser(world.state, lambda: (LAB.daemon, LAB), look_up, edges or {}, whole)


async def test_nothing_would_be_done_with_the_same(world: World) -> None:
    plan = await rehearser(world).plan(LAB_TEXT, "vtid.toml")
    assert (plan.ok, plan.ops, plan.changes, plan.birds) == (True, (), (), ())
    assert plan.warnings == ()


async def test_the_state_does_not_notice(world: World) -> None:
    before = repr(world.state.memory()), world.state.preview(world.now)
    plan = await rehearser(world).plan(MORE, "vtid.toml")
    assert {op.name for op in plan.ops if isinstance(op, DeleteLink)} == {"vti3", "fixed0"}
    assert (repr(world.state.memory()), world.state.preview(world.now)) == before
    policies = world.state._assignment.policies
    assert policies
    assert policies.all == LAB.policies


async def test_what_is_new_is_planned_with_its_path(world: World) -> None:
    plan = await rehearser(world).plan(LAB_TEXT + MORE, "vtid.toml")
    (created,) = [op for op in plan.ops if isinstance(op, CreateLink)]
    assert (created.link.name, created.link.netns, created.link.mtu) == ("new0", "blue", 1326)
    assert plan.changes == ("[[tunnel]] later/net added", "[[tunnel]] new/net added")
    assert plan.warnings == (
        "namespace blue is not watched yet: the plan takes it for empty",
        "charon will be asked to initiate later",
    )


async def test_where_the_kernel_cannot_be_asked_the_lookup_is_the_plan(world: World) -> None:
    plan = await rehearser(world, mtu=0).plan(LAB_TEXT + MORE, "vtid.toml")
    assert [type(op) for op in plan.ops] == [ProbeUnderlay]


async def test_the_errors_are_those_of_a_reload(world: World, tmp_path: Path) -> None:
    file = tmp_path / "vtid.toml"
    text = '[[tunnel]]\nconnection = 3\n[[bird]]\nname = ""\n'
    file.write_text(text)
    plan = await rehearser(world).plan(text, str(file))
    assert not plan.ok
    assert plan.errors == (await Daemon(LAB, file).reload()).errors
    own = LAB_TEXT + 'template = "/nowhere/own.j2"\n'
    file.write_text(own)
    plan = await rehearser(world).plan(own, str(file))
    assert plan.errors == (await Daemon(LAB, file).reload()).errors


async def test_a_bird_with_another_file_has_all_blocks_in_it(world: World, tmp_path: Path) -> None:
    moved = LAB_TEXT.replace("/etc/bird/vtid.private.conf", str(tmp_path / "new.conf"))
    plan = await rehearser(world, {"private": bird(tmp_path)}).plan(moved, "vtid.toml")
    (change,) = plan.birds
    assert (plan.ops, change.path) == ((), str(tmp_path / "new.conf"))
    assert '+# vtid begin "private/vti3"' in change.diff


async def test_a_template_that_is_not_in_use_shows_no_file(world: World, tmp_path: Path) -> None:
    """Else whoever may plan could read what vtid can read."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    plan = await rehearser(world).plan(f'{LAB_TEXT}template = "{secret}"\n', "vtid.toml")
    (change,) = plan.birds
    assert (plan.ok, change.diff) == (True, "")
    assert f"what {secret} makes of it" in change.error
    assert "hunter2" not in repr(plan)


async def test_a_restart_that_is_needed_is_told(world: World) -> None:
    text = '[daemon]\nmetrics = []\n[vici]\nsocket = "/other"\n' + LAB_TEXT
    first, second = (await rehearser(world).plan(text, "vtid.toml")).warnings
    assert first.startswith("daemon.metrics takes effect at the next start")
    assert second.startswith("[vici] changed")


async def test_a_rehearsal_leaves_nothing_to_collect(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many tunnels, a full collection would stop the loop."""
    gone, loop = asyncio.Event(), asyncio.get_running_loop()
    begin = Rehearsal.__init__

    def noted(self: Rehearsal, *facts: Any) -> None:
        weakref.finalize(self, loop.call_soon_threadsafe, gone.set)
        assert not gc.isenabled()
        begin(self, *facts)

    monkeypatch.setattr(Rehearsal, "__init__", noted)
    await rehearser(world).plan(MORE, "vtid.toml")
    assert gc.isenabled()
    gc.disable()
    try:
        await asyncio.wait_for(gone.wait(), 10)
    finally:
        gc.enable()


async def test_files_of_conf_d_come_with_it_and_errors_name_them(world: World) -> None:
    plan = await rehearser(world).plan(LAB_TEXT + "\n\0file: conf.d/a.toml\n" + MORE, "vtid.toml")
    assert plan.changes == ("[[tunnel]] later/net added", "[[tunnel]] new/net added")
    wrong = "\n\0file: conf.d/a.toml\n\nx = 1\n"
    plan = await rehearser(world).plan(LAB_TEXT + wrong, "vtid.toml")
    assert len(plan.errors) == 1
    assert plan.errors[0].startswith("conf.d/a.toml:2")
