from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.bird import reply
from vtid.bird.reply import Reply, ReplyError, ReplyParser, bgp_states, printable, status_times
from vtid.model import BgpState

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> bytes:
    return (GOLDEN / f"bird2-{name}.txt").read_bytes()


def one(data: bytes) -> Reply:
    [found] = ReplyParser().receive(data)
    return found


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_byte_by_byte_is_as_good_as_whole(path: Path) -> None:
    data = path.read_bytes()
    parser = ReplyParser()
    found = [r for byte in data for r in parser.receive(bytes([byte]))]
    assert found == [one(data)]


def test_established_and_not() -> None:
    first, second, third = bgp_states(one(golden("show-protocols-all")))
    assert first == BgpState(
        protocol="vtid_t1",
        state="up",
        info="Established",
        since=first.since,
        neighbor="2001:db8:ff::1",
        imported=2,
        exported=2,
    )
    assert first.since.startswith("2026-")
    assert len(first.since) == len("2026-11-22 16:36:56.025")
    assert (second.protocol, second.established, second.imported) == ("t1-ibgp.4", True, 0)
    assert (third.state, third.info, third.neighbor) == ("start", "Idle", "fe80::9")
    assert not third.established


def test_session_that_went_down() -> None:
    state = bgp_states(one(golden("show-protocols-all-down")))[0]
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


def test_outcomes() -> None:
    assert one(golden("configure")).ok
    refused = one(golden("configure-check-refused"))
    assert (refused.code, refused.ok) == (reply.CONFIGURATION_ERROR, False)
    assert refused.message.endswith("syntax error, unexpected CF_SYM_UNDEFINED")
    assert not one(golden("nonsense")).ok


def test_status_times() -> None:
    reboot, reconfiguration = status_times(one(golden("show-status")))
    assert reboot.startswith("2026-")
    assert reconfiguration.startswith("2026-")
    assert status_times(one(b"0013 up\n")) == ("", "")


def test_version() -> None:
    assert reply.version(one(b"0001 BIRD 2.0.12 ready.\n")) == "2.0.12"
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
