from __future__ import annotations

from vtid.bird.blocks import Blocks, difference
from vtid.bird.render import HEADER, compose


def bgp(*names: str, word: str = "") -> str:
    return "".join(f"protocol bgp {name} {{\n  {word}\n}}\n" for name in names)


def text(blocks: Blocks, good: str = HEADER) -> str:
    return blocks.draft().text(good)


def test_changes_before_and_after_the_file_is_known() -> None:
    blocks = Blocks()
    assert blocks.change("t1", "new\n")
    assert blocks.adopt(compose({"t1": "old\n", "t2": "old\n"})) == ("t1", "t2")
    assert not blocks.change("t1", "new\n")
    assert not blocks.change("t2", "old\n")
    assert not blocks.change("t3", None)
    assert blocks.change("t2", None)
    assert text(blocks) == compose({"t1": "new\n"})


def test_what_is_held_back_stays_as_it_was() -> None:
    good = compose({"t1": "good\n"})
    blocks = Blocks()
    blocks.adopt(good)
    for tunnel in ("t1", "t2", "t3"):
        blocks.change(tunnel, "bad\n")
    blocks.draft()
    assert blocks.hold(["t1", "t2", "gone"])
    assert not blocks.hold(["gone"])
    assert text(blocks, good) == compose({"t1": "good\n", "t3": "bad\n"})
    blocks.change("t2", "better\n")
    assert text(blocks, good) == compose({"t1": "good\n", "t2": "better\n", "t3": "bad\n"})
    assert blocks.held
    blocks.forget_held()
    assert text(blocks, good) == compose({"t1": "bad\n", "t2": "better\n", "t3": "bad\n"})


def test_difference() -> None:
    before = compose({"same": bgp("a"), "gone": bgp("b"), "other": bgp("c", "d")})
    after = compose({"same": bgp("a"), "new": bgp("e"), "other": bgp("c", "f")})
    found = difference(before, after)
    assert found.tunnels == {"gone", "new", "other"}
    assert found.touched == {"b", "c", "d", "e", "f"}
    assert found.same == {"a"}
    assert found.protocols == {"same": {"a"}, "new": {"e"}, "other": {"c", "f"}}


def test_equal_files_have_no_difference() -> None:
    same = compose({"t": bgp("a")})
    found = difference(same, same)
    assert (found.tunnels, found.touched) == (frozenset(), frozenset())
