"""What an include file should say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vtid.bird.blocks import Blocks
from vtid.bird.content import Content
from vtid.bird.quote import RenderError
from vtid.bird.render import HEADER, compose, parse
from vtid.model.bgp import BgpSession, BirdBlock
from vtid.model.operation import DeleteBird, PutBird

if TYPE_CHECKING:
    from pathlib import Path


def block(tunnel: str, export: str = "all") -> BirdBlock:
    session = BgpSession(f"vtid_{tunnel}", tunnel, "10.0.0.2", 1, 2, export_filter=export)
    return BirdBlock("main", tunnel, (session,))


def content(template: str = "bgp") -> tuple[Content, Blocks]:
    blocks = Blocks()
    blocks.adopt(HEADER)
    return Content(template, blocks), blocks


def test_blocks_come_change_and_go() -> None:
    one, blocks = content()
    assert one.put(block("a"))
    assert not one.put(block("a"))
    assert one.put(block("a", "none"))
    assert "export none" in blocks.wanted["a"]
    assert list(one.sources) == [block("a", "none")]
    assert one.delete("a")
    assert not one.delete("a")
    assert (blocks.wanted, list(one.sources)) == ({}, [])


def test_what_a_file_would_be_after_operations() -> None:
    one, blocks = content()
    one.put(block("a"))
    on = {"reason": "test"}
    ops = [PutBird(tunnel="b", block=block("b"), **on), DeleteBird(tunnel="a", instance="m", **on)]
    assert parse(one.after(blocks.wanted, ops)).keys() == {"b"}
    assert one.after(blocks.wanted, []) == compose(blocks.wanted)
    assert blocks.wanted.keys() == {"a"}, "nothing was done"


async def test_a_template_of_the_operators_renders_again_what_it_changes(tmp_path: Path) -> None:
    own = tmp_path / "own.j2"
    own.write_text("# {{ sessions[0].name }}\n")
    one, blocks = content(str(own))
    with pytest.raises(RenderError, match="has not been read yet"):
        one.put(block("a"))
    assert not list(one.sources), "it changed nothing"
    assert await one.read_template() == ()
    one.put(block("a"))
    assert await one.read_template() == ()
    own.write_text("# other {{ sessions[0].name }}\n")
    assert await one.read_template() == ("a",)
    assert "# other" in blocks.wanted["a"]
    own.write_text("{{ nonsense }}")
    assert await one.read_template() == ()
    assert "# other" in blocks.wanted["a"]
    assert one.template.error
