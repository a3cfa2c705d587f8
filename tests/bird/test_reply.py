from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.bird import reply
from vtid.bird.reply import (
    Reply,
    ReplyError,
    ReplyParser,
    bgp_states,
    has_moved,
    printable,
    status_times,
)
from vtid.model import BgpState

GOLDEN = Path(__file__).parent / "golden"


VERSIONS = ("1.6.8-bird", "1.6.8-bird6", "2.0.12", "2.17.5", "3.1.7")

every_version = pytest.mark.parametrize("version", VERSIONS)


def golden(name: str, version: str = "2.0.12") -> bytes:
    return (GOLDEN / version / f"{name}.txt").read_bytes()


def one(data: bytes) -> Reply:
    [found] = ReplyParser().receive(data)
    return found


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/*.txt")), ids=str)
def test_byte_by_byte_is_as_good_as_whole(path: Path) -> None:
    data = path.read_bytes()
    parser = ReplyParser()
    found = [r for byte in data for r in parser.receive(bytes([byte]))]
    assert found == [one(data)]


def test_all_versions_are_there() -> None:
    assert {path.name for path in GOLDEN.iterdir() if path.is_dir()} == set(VERSIONS)


@every_version
def test_established_and_not(version: str) -> None:
    first, second, third = bgp_states(one(golden("show-protocols-all", version)), "private")
    routes = 1 if version.startswith("1.") else 2
    over_ipv4 = version == "1.6.8-bird"
    assert first == BgpState(
        protocol="vtid_t1",
        state="up",
        info="Established",
        since=first.since,
        neighbor="169.254.2.1" if over_ipv4 else "2001:db8:ff::1",
        imported=routes,
        exported=routes,
        bird="private",
    )
    assert re.fullmatch(r"2026-\d\d-\d\d \d\d:\d\d:\d\d", first.since)
    assert (second.protocol, second.established, second.imported) == ("t1-ibgp.4", True, 0)
    absent = "169.254.1.9" if over_ipv4 else "fe80::9"
    assert (third.state, third.info, third.neighbor) == ("start", "Idle", absent)
    assert not third.established


@every_version
def test_session_that_went_down(version: str) -> None:
    state = bgp_states(one(golden("show-protocols-all-down", version)))[0]
    assert state.info == "Active Received: Administrative shutdown"
    assert state.last_error == "Received: Administrative shutdown"
    assert (state.established, state.imported, state.exported) == (False, 0, 0)


def test_short_time_format() -> None:
    text = b"1002-x          BGP        ---        up     16:18:53.834  Established   \n0000 \n"
    [state] = bgp_states(one(text))
    assert (state.since, state.info) == ("16:18:53.834", "Established")


def test_import_keep_filtered_adds_a_number() -> None:
    text = (
        b"1002-x BGP --- up 16:18  Established\n"
        b"1006-    Routes:         7 imported, 5 filtered, 3 exported, 2 preferred\n"
        b"         Routes:         10 imported, 1 exported, 2 preferred\n0000 \n"
    )
    [state] = bgp_states(one(text))
    assert (state.imported, state.exported) == (17, 4)


@every_version
def test_outcomes(version: str) -> None:
    codes = {
        "configure": 3,
        "configure-check": 20,
        "configure-timeout-300": 3,
        "configure-confirm": 18,
        "configure-undo": 3,
    }
    for name, code in codes.items():
        outcome = one(golden(name, version))
        assert (outcome.code, outcome.ok) == (code, True), name
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
        b"1002-x BGP\n",
        "١٢٣٤ x\n".encode(),
        b"x" * (reply.MAX_LINE + 1),
    ],
)
def test_garbage(data: bytes) -> None:
    with pytest.raises(ReplyError):
        bgp_states(one(data + b"0000 \n"))


def test_endless_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "MAX_REPLY", 1000)
    with pytest.raises(ReplyError, match="over"):
        ReplyParser().receive(b"1006-xxxx\n" * 101)


def test_limit_counts_one_reply_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "MAX_REPLY", 30)
    parser = ReplyParser()
    for _ in range(10):
        assert len(parser.receive(b"0013 up and running\n")) == 1


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_raise(data: bytes) -> None:
    try:
        for found in ReplyParser().receive(data):
            bgp_states(found)
            status_times(found)
    except ReplyError:
        pass


@given(st.text(max_size=600))
def test_printable_is_one_short_line(text: str) -> None:
    clean = printable(text)
    assert clean.isprintable()
    assert len(clean) <= reply.MAX_WORDS


def test_hostile_shutdown_message() -> None:
    text = b"1002-x BGP --- start 1:2  Active  Received: \x1b[2J\xff\x00bye\n0000 \n"
    [state] = bgp_states(one(text))
    assert state.info == "Active Received: \ufffd[2J\ufffd\ufffdbye"


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
    ],
)
def test_a_time_that_is_told_again_has_not_moved(before: str, after: str, *, moved: bool) -> None:
    assert has_moved(before, after) is moved
