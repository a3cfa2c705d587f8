from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bird.test_reply import every_version, golden, one
from vtid.bird import protocols
from vtid.bird.protocols import (
    BfdSession,
    Clock,
    ProtocolReader,
    bfd_sessions,
    clock,
    with_bfd,
)
from vtid.bird.reply import ReplyError
from vtid.model.bgp import BgpChannel, BgpState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NOON = Clock(datetime(2026, 11, 22, 12, 0, 0))  # noqa: DTZ001 - as BIRD shows it


def read(chunks: Iterable[bytes], family: str = "") -> ProtocolReader:
    reader = ProtocolReader("private", NOON, family)
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader


def sessions(name: str, version: str) -> dict[str, BgpState]:
    family = {"1.6.8-bird": "ipv4", "1.6.8-bird6": "ipv6"}.get(version, "")
    return {bgp.protocol: bgp for bgp in read([golden(name, version)], family).bgp}


def families(version: str) -> tuple[str, ...]:
    return {"1.6.8-bird": ("ipv4",), "1.6.8-bird6": ("ipv6",)}.get(version, ("ipv6", "ipv4"))


def last_family(version: str) -> str:
    return families(version)[-1]


def up(version: str) -> str:
    return "" if version.startswith("1.") else "UP"


@every_version
def test_established(version: str) -> None:
    first = sessions("show-protocols-all", version)["vtid_t1"]
    over_ipv4 = version == "1.6.8-bird"
    assert first == BgpState(
        protocol="vtid_t1",
        state="up",
        info="Established",
        since=first.since,
        since_at=datetime.fromisoformat(first.since).timestamp(),
        neighbor="169.254.2.1" if over_ipv4 else "2001:db8:ff::1",
        interface="" if version.startswith("1.") else "t1",
        channels=tuple(
            BgpChannel(
                family,
                up(version),
                1,
                None,
                1,
                1,
                import_updates=(1, 0, 0, 0, 1),
                import_withdraws=(0, 0, 0, 0),
                export_updates=(2, 1, 0, 1),
                export_withdraws=(0, 0),
            )
            for family in families(version)
        ),
        bird="private",
    )
    assert first.established


@every_version
def test_not_established(version: str) -> None:
    nobody = sessions("show-protocols-all", version)["nobody"]
    absent = "169.254.1.9" if version == "1.6.8-bird" else "fe80::9"
    assert (nobody.state, nobody.info, nobody.neighbor) == ("start", "Idle", absent)
    assert not nobody.established
    if not version.startswith("1."):
        assert nobody.channels == (BgpChannel("ipv6", "DOWN"),)


@every_version
def test_limits_and_filtered_routes(version: str) -> None:
    found = sessions("show-protocols-all", version)
    (limited,) = found["limited"].channels
    counts = limited.imported, limited.filtered, limited.exported, limited.preferred
    assert (limited.family, limited.state) == (last_family(version), up(version))
    assert (counts, limited.limits_hit) == ((1, 2, 0, 1), ("import",))
    # BIRD 3 counts elsewhere what its limit refused
    ignored = 0 if version.startswith("3.") else 1
    assert limited.import_updates == (3, 0, 1, ignored, 1)
    assert limited.export_updates[0] == sum(limited.export_updates[1:]) > 0
    assert len(limited.export_withdraws) == 2
    halted = found["halted"]
    assert (halted.state, halted.info) == ("down", halted.last_error)
    assert halted.last_error == "Automatic shutdown: Route limit exceeded"
    assert halted.channels[0].limits_hit == ("receive",)
    assert halted.channels[0].imported is None


@every_version
def test_session_with_an_error_and_one_that_is_disabled(version: str) -> None:
    found = sessions("show-protocols-all", version)
    stranger, paused = found["stranger"], found["paused"]
    assert (stranger.state, stranger.info) == ("start", "Idle BGP Error: Bad peer AS")
    assert stranger.last_error == "BGP Error: Bad peer AS"
    assert (paused.state, paused.info, paused.last_error) == ("down", "", "")


@every_version
def test_session_that_went_down(version: str) -> None:
    state = sessions("show-protocols-all-down", version)["vtid_t1"]
    assert state.info == "Active Received: Administrative shutdown"
    assert state.last_error == "Received: Administrative shutdown"
    assert not state.established
    assert not any(channel.imported for channel in state.channels)


@every_version
@pytest.mark.parametrize(("suffix", "state"), [("", "Up"), ("-down", "Down"), ("-disabled", "")])
def test_bfd(version: str, suffix: str, state: str) -> None:
    reader = read([golden("show-protocols-all", version)])
    assert reader.bfd == ["bfd1"]
    found = list(bfd_sessions(one(golden(f"show-bfd-sessions{suffix}", version)), NOON))
    joined = {bgp.protocol: bgp for bgp in with_bfd(reader.bgp, found)}
    assert (joined["limited"].bfd, joined["vtid_t1"].bfd) == (state, "")
    if state == "Up":
        limited = joined["limited"]
        assert (limited.bfd_interval, limited.bfd_timeout) == (0.2, 1.0)
        assert datetime.fromtimestamp(limited.bfd_since_at).date() == NOON.shows.date()  # noqa: DTZ006


def test_bfd_in_a_format_of_time_that_cannot_be_read() -> None:
    shown = "1020-b:\n fe80::1  t1  Up  Sunday noon  0.300  1.500\n fe80::2  t2  Init  x\n0000 \n"
    found = list(bfd_sessions(one(shown.encode()), NOON))
    assert found == [
        BfdSession("fe80::1", "t1", "Up", 0.0, 0.3, 1.5),
        BfdSession("fe80::2", "t2", "Init"),
    ]


def test_bfd_of_one_link_local_address_on_two_interfaces() -> None:
    one_of = BgpState("a", "up", "", "", neighbor="fe80::1", interface="t1")
    states = [one_of, replace(one_of, interface="t2"), replace(one_of, interface="t3")]
    found = [BfdSession("fe80::1", "t1", "Up"), BfdSession("fe80::1", "t2", "Down")]
    assert [bgp.bfd for bgp in with_bfd(states, found)] == ["Up", "Down", ""]


@given(st.data())
def test_pieces_are_as_good_as_the_whole(data: st.DataObject) -> None:
    lines = golden("show-protocols-all").splitlines(keepends=True)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(lines)), max_size=20)))
    chunks = [b"".join(lines[a:b]) for a, b in pairwise([0, *cuts, len(lines)])]
    assert read(chunks).bgp == read([b"".join(lines)]).bgp


@given(st.binary(max_size=300))
def test_any_lines_are_read_or_refused(data: bytes) -> None:
    with suppress(ReplyError):
        read([b"1002-" + data, b"1002-x BGP t up 16:18:11  Established\n" + data])


@pytest.mark.parametrize("cells", ["1 2", "1 2 3 4 5 6", "1 2 3 x 5", "9" * 9000 + " 2 3 4 5", ""])
def test_changes_that_cannot_be_read_are_left_out(cells: str) -> None:
    rows = f"       Import updates:  {cells}\n       Export withdraws: 1 --- --- --- 4\n"
    text = f"1002-x BGP --- up 16:18  Established\n1006-  Channel ipv4\n{rows}"
    (channel,) = read([text.encode()]).bgp[0].channels
    six = cells.startswith("1 2 3 4 5 6")
    assert channel.import_updates == ((1, 2, 3, 4, 6) if six else ())
    assert channel.export_withdraws == (1, 4)


def test_a_number_of_any_length_is_read() -> None:
    routes = b" imported, 0 exported\n"
    channel = b"1006-  Channel ipv4\n     Routes:         " + b"9" * 9000 + routes
    assert read([b"1002-x BGP --- up 16:18  Established\n" + channel]).bgp[0].channels


@pytest.mark.parametrize("name", ["b\xe9", "x'", "\u202e", '"'])
def test_no_command_is_made_of_a_name_that_is_none(name: str) -> None:
    assert read([f"1002-{name} BFD --- up 16:18\n".encode()]).bfd == []


_TIMES = st.datetimes().map(lambda moment: moment.isoformat(" ", "seconds"))


@given(_TIMES, _TIMES, st.sampled_from(["", "+0100", "Z", "+00:00"]))
def test_no_time_is_too_much(shown: str, told: str, zone: str) -> None:
    """`timeformat base "%FT%T%z"` has a zone."""
    status = one(f"1011-Current server time is {shown}{zone}\n0013 up\n".encode())
    for text in (told, told.partition(" ")[2]):
        clock(status, time.time()).unix(text)


def test_not_a_protocol() -> None:
    with pytest.raises(ReplyError, match="without a state"):
        read([b"1002-x BGP\n0000 \n"])


def test_protocol_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "MAX_SECTION", 1000)
    with pytest.raises(ReplyError, match="over 1000"):
        read([b"1006-" + b"x" * 20 + b"\n"] * 100)


def test_what_is_kept_is_one_protocol() -> None:
    reader = ProtocolReader("private", NOON)
    for number in range(1000):
        reader.feed(b"1002-x%d BGP --- up 16:18  Active\n1006-" % number + b"y" * 1000 + b"\n")
    assert len(reader.bgp) == 999
    assert len(reader._rest) < 1100


def test_hostile_shutdown_message() -> None:
    reader = read([b"1002-x BGP --- start 1:2  Active  Received: \x1b[2J\xff\x00bye\n0000 \n"])
    assert reader.bgp[0].info == "Active Received: \ufffd[2J\ufffd\ufffdbye"


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22 11:59:59", "2026-11-22 11:59:59"),
        ("2026-11-22 11:59:59.250", "2026-11-22 11:59:59.250"),
        ("11:59:59.250", "2026-11-22 11:59:59.250"),
        ("12:00:01", "2026-11-22 12:00:01"),
        ("12:00:02", "2026-11-21 12:00:02"),
        ("2026-11-22", ""),
        ("11:59", ""),
        ("2026-13-99 99:99:99", ""),
        ("", ""),
    ],
)
def test_times(text: str, moment: str) -> None:
    assert NOON.unix(text) == (datetime.fromisoformat(moment).timestamp() if moment else 0)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    del os.environ["TZ"]
    time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("shows", "text"),
    [
        ("2026-11-22 13:00:00.100", "2026-11-22 12:30:00"),
        ("2026-11-22 13:00:00.100", "2026-10-25 01:30:00"),
        ("2026-11-22 11:59:59", "2026-11-22 11:30:00"),
        ("2026-11-22 17:45:00", "2026-11-22 17:15:00"),
        ("a quarter past five", "2026-11-22 12:30:00"),
    ],
    ids=["ours", "before the clocks changed", "UTC", "India", "unknown"],
)
def test_time_zone_of_bird(shows: str, text: str) -> None:
    noon = 1795348800.0  # 2026-11-22 12:00 UTC
    at = clock(one(f"1011-x\n Current server time is {shows}\n0013 up\n".encode()), noon)
    summer = 1792884600.0  # 2026-10-24 23:30 UTC
    assert at.unix(text) == (summer if "-10-" in text else noon - 1800)
