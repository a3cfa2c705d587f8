"""Server-sent events, taken apart as the standard says."""

from __future__ import annotations

from vtid.ctl.stream import Message, parsed


def test_messages() -> None:
    text = (
        ": a comment\n\nretry: 1000\nid: a-0\n\n"
        "id: a-1\ndata: {}\n\nevent: gap\nid:a-2\ndata: one\ndata: two\n\n"
    )
    assert list(parsed(text.splitlines())) == [
        Message("a-0"),
        Message("a-1", "", "{}"),
        Message("a-2", "gap", "one\ntwo"),
    ]


def test_what_is_cut_off_is_left_out() -> None:
    assert list(parsed(["id: a-1", "data: {}", "", "id: a-2", "data: {"])) == [
        Message("a-1", "", "{}")
    ]
