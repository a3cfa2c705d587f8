from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.bird import reply
from vtid.bird.reply import (
    Reply,
    ReplyError,
    ReplyParser,
    has_moved,
    printable,
    status_times,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

GOLDEN = Path(__file__).parent / "golden"


VERSIONS = ("1.6.8-bird", "1.6.8-bird6", "2.0.12", "2.17.5", "3.1.7")

every_version = pytest.mark.parametrize("version", VERSIONS)


def golden(name: str, version: str = "2.0.12") -> bytes:
    return (GOLDEN / version / f"{name}.txt").read_bytes()


def one(data: bytes) -> Reply:
    [found] = whole([data])
    return found


def whole(chunks: Iterable[bytes]) -> list[Reply]:
    """The replies that come in these chunks."""
    parser, replies, lines = ReplyParser(), [], b""
    for chunk in chunks:
        for piece in parser.receive(chunk):
            lines += piece.data
            if piece.ends:
                replies.append(Reply(lines))
                lines = b""
    return replies


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/*.txt")), ids=str)
def test_byte_by_byte_is_as_good_as_whole(path: Path) -> None:
    data = path.read_bytes()
    assert whole(bytes([byte]) for byte in data) == [one(data)]


@given(st.data())
def test_cut_anywhere_is_as_good_as_whole(data: st.DataObject) -> None:
    names = ("show-status", "show-protocols-all", "configure-timeout-300", "show-bfd-sessions")
    stream = b"".join(golden(name) for name in names)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=20)))
    chunks = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
    assert whole(chunks) == [one(golden(name)) for name in names]


def test_all_versions_are_there() -> None:
    assert {path.name for path in GOLDEN.iterdir() if path.is_dir()} == set(VERSIONS)


@every_version
def test_outcomes(version: str) -> None:
    codes = {
        "configure": reply.RECONFIGURED,
        "configure-check": {20},
        "configure-timeout-300": reply.RECONFIGURED,
        "configure-confirm": {reply.CONFIRMED},
        "configure-undo": reply.RECONFIGURED,
    }
    for name, good in codes.items():
        outcome = one(golden(name, version))
        assert (outcome.code in good, outcome.ok) == (True, True), name
    refused = one(golden("configure-check-refused", version))
    assert (refused.code, refused.ok) == (reply.CONFIGURATION_ERROR, False)
    assert re.match(r"/.+/vtid\.rec-a\.conf:\d+:\d+ [Ns]", refused.message)
    assert not one(golden("nonsense", version)).ok


@every_version
def test_status_times(version: str) -> None:
    reboot, reconfiguration = status_times(one(golden("show-status", version)))
    assert reboot.startswith("2026-")
    assert reconfiguration.startswith("2026-")


def test_status_without_times() -> None:
    assert status_times(one(b"0013 up\n")) == ("", "")


@every_version
def test_version(version: str) -> None:
    welcome = one(golden("welcome", version))
    assert reply.version(welcome) == version.partition("-")[0]


def test_version_of_another_daemon() -> None:
    for other in (b"0001 FRR ready.\n", b"0013 BIRD 2.0.12 ready.\n"):
        with pytest.raises(ReplyError, match="not BIRD"):
            reply.version(one(other))


def test_asynchronous_lines_are_dropped() -> None:
    assert one(b"+log line\n0013 up\n") == one(b"0013 up\n")


@pytest.mark.parametrize(
    "data",
    [
        b" continuation of nothing\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\n",
        b"0013\n",
        b"0013_up\n",
        "١٢٣٤ x\n".encode(),
        b"x" * (reply.MAX_LINE + 1),
    ],
)
def test_garbage(data: bytes) -> None:
    with pytest.raises(ReplyError):
        whole([data + b"0000 \n"])


def test_what_is_kept_is_a_line() -> None:
    parser = ReplyParser()
    for _ in range(1000):
        assert len(parser.receive(b"1006-xxxx\n 10")) == 1
        assert parser.receive(b"06-\n")[0].data == b" 1006-\n"


@given(st.lists(st.binary(max_size=100), max_size=4))
def test_any_bytes_parse_or_raise(chunks: list[bytes]) -> None:
    try:
        for found in whole(chunks):
            status_times(found)
    except ReplyError:
        pass


@given(st.text(max_size=600))
def test_printable_is_one_short_line(text: str) -> None:
    clean = printable(text)
    assert clean.isprintable()
    assert len(clean) <= reply.MAX_WORDS


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ("2026-11-22 17:15:21.859", "2026-11-22 17:15:21.860", False),
        ("2026-11-22 17:15:59.999", "2026-11-22 17:16:00.000", False),
        ("2026-11-22 17:15:16", "2026-11-22 17:15:15", False),
        ("2026-11-22 17:15:21.859", "2026-11-22 17:15:24.100", True),
        ("17:15", "17:15", False),
        ("17:15", "17:16", True),
        ("yesterday", "today", True),
        ("2026-11-22T17:00:00+0100", "2026-11-22T17:00:00+0100", False),
        ("2026-11-22T17:00:00+0100", "2026-11-22T17:00:09+0100", True),
        ("2026-11-22T17:00:00+0100", "2026-11-22 17:00:00", True),
    ],
)
def test_a_time_that_is_told_again_has_not_moved(before: str, after: str, *, moved: bool) -> None:
    assert has_moved(before, after) is moved
