"""BIRD's include files as `vtictl plan` and `vtictl bird render` show them: nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vtid.bird.client import Bird
from vtid.bird.render import HEADER
from vtid.daemon.bird_files import changes_of_birds, files_of_birds
from vtid.http.api import BirdChange
from vtid.model.bgp import BgpSession, BirdBlock, Secret, TunnelFacts
from vtid.model.operation import DeleteBird, PutBird

if TYPE_CHECKING:
    from pathlib import Path

ON: dict[str, str] = {"tunnel": "vti1", "reason": "up"}


def put(password: str, instance: str = "main") -> PutBird:
    session = BgpSession("a", "vti1", "10.0.0.2", 1, 2, password=Secret(password))
    return PutBird(**ON, block=BirdBlock(instance, "vti1", (session,), TunnelFacts("vti1")))


def bird(path: Path, template: str = "bgp") -> Bird:
    return Bird("main", str(path / "ctl"), str(path / "main.conf"), lambda _: None, template)


async def test_the_difference_that_operations_make_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "main.conf").write_text(HEADER)
    edges = {"main": bird(tmp_path)}
    (change,) = await changes_of_birds(edges, [put("hunter2")])
    assert (change.instance, change.path) == ("main", str(tmp_path / "main.conf"))
    assert '\n+# vtid begin "vti1"\n' in change.diff
    assert 'password "…"' in change.diff
    assert "hunter2" not in change.diff
    assert (tmp_path / "main.conf").read_text() == HEADER


async def test_a_block_that_goes(tmp_path: Path) -> None:
    edge = bird(tmp_path)
    await edge.execute([put("x")])
    (tmp_path / "main.conf").write_text((await edge.preview())[2])
    (change,) = await changes_of_birds({"main": edge}, [DeleteBird(**ON, instance="main")])
    assert '\n-# vtid begin "vti1"\n' in change.diff


async def test_only_birds_with_operations_are_looked_at(tmp_path: Path) -> None:
    assert await changes_of_birds({"main": bird(tmp_path)}, [put("x", "gone")]) == ()


@pytest.mark.parametrize("template", ["bgp", "/nowhere/own.j2"])
async def test_what_cannot_be_said_is_one_line(tmp_path: Path, template: str) -> None:
    (tmp_path / "main.conf").write_text("of another program" if template == "bgp" else HEADER)
    (change,) = await changes_of_birds({"main": bird(tmp_path, template)}, [put("x")])
    assert change == BirdChange("main", error=change.error)
    assert "main.conf is" in change.error or "/nowhere/own.j2" in change.error


@pytest.mark.parametrize(("passwords", "shown"), [(True, "hunter2"), (False, "…")])
async def test_the_whole_file_with_and_without_passwords(
    tmp_path: Path, *, passwords: bool, shown: str
) -> None:
    (tmp_path / "main.conf").write_text(HEADER)
    edge = bird(tmp_path)
    await edge.execute([put("hunter2")])
    (file,) = await files_of_birds({"main": edge}, passwords=passwords)
    assert (file.instance, file.path) == ("main", str(tmp_path / "main.conf"))
    assert f'password "{shown}"' in file.text
    assert f'password "{shown}"' in file.diff
    assert ("hunter2" in file.text + file.diff) == passwords
    assert (tmp_path / "main.conf").read_text() == HEADER


async def test_a_file_that_is_not_ours_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "main.conf").write_text("of another program")
    edges = {"main": bird(tmp_path), "new": Bird("new", "ctl", str(tmp_path / "n"), print)}
    foreign, new = await files_of_birds(edges, passwords=False)
    assert (foreign.path, foreign.text) == ("", "")
    assert "main.conf is" in foreign.error
    assert (new.text, new.error) == (HEADER, "")
