"""IKE_SAs for operators, from what a real charon said, and from what none should say."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.vici.fake_charon import FakeCharon, event, response
from tests.vici.golden_files import recorded
from vtid.esp.algorithms import EspAlgorithms
from vtid.vici.channel import Limits, ViciError
from vtid.vici.codec import decode_packet
from vtid.vici.ike import parse_ike_sas
from vtid.vici.listing import ike_sas
from vtid.vici.sas import SaError

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_700_000_000.0


def listed() -> dict[str, Any]:
    """The first list-sa part of the recorded run that has a child with counters."""
    parts = (decode_packet(one.payload).message for one in recorded("a") if one.event == "list-sa")
    return copy.deepcopy(next(part for part in parts if b"bytes-in" in repr(part).encode()))


def test_what_a_real_charon_lists() -> None:
    (ike,) = parse_ike_sas(listed(), NOW)
    assert (ike.connection, ike.unique_id, ike.state) == ("four", 2, "ESTABLISHED")
    assert (ike.version, ike.initiator, ike.remote_host) == (2, True, "192.0.2.2")
    assert (ike.remote_port, ike.nat, ike.remote_id[-9:]) == (4500, ("remote",), "b.example")
    suite = ("AES_CBC-128", "HMAC_SHA2_256_128", "PRF_HMAC_SHA2_256", "MODP_2048")
    assert ike.algorithms == suite
    assert len(ike.initiator_spi) == len(ike.responder_spi) == 16
    assert (ike.established_at, ike.rekey_at, ike.reauth_at) == (NOW - 3, NOW + 13133, 0.0)
    child = ike.children[0]
    assert (child.state, child.mode, child.protocol) == ("INSTALLED", "TUNNEL", "ESP")
    assert child.esp == EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128")
    assert len(child.spi_in) == len(child.spi_out) == 8
    assert child.installed_at <= NOW < child.rekey_at < child.expires_at
    assert child.local_ts


def section(**ike: Any) -> dict[str, Any]:
    return {"site": {"uniqueid": b"9", **ike}}


def test_what_is_missing_is_left_empty() -> None:
    (ike,) = parse_ike_sas(section(state=b"CONNECTING", **{"tasks-queued": [b"IKE_INIT"]}), NOW)
    assert (ike.state, ike.tasks, ike.children) == ("CONNECTING", ("IKE_INIT",), ())
    assert (ike.established_at, ike.rekey_at, ike.local_port, ike.nat) == (0.0, 0.0, 0, ())


@pytest.mark.parametrize("word", [b"", b"x", b"1e3", b"\xd9\xa1", b"--1", b"-"])
def test_numbers_that_are_none(word: bytes) -> None:
    child = {"uniqueid": b"1", "bytes-in": word, "rekey-time": word}
    (ike,) = parse_ike_sas(section(**{"child-sas": {"a-1": child}, "local-port": word}), NOW)
    assert (ike.local_port, ike.children[0].bytes_in, ike.children[0].rekey_at) == (0, 0, 0.0)


def test_large_counters_and_a_rekey_that_is_due() -> None:
    child = {"uniqueid": b"1", "bytes-in": b"99999999999999", "rekey-time": b"-5"}
    (ike,) = parse_ike_sas(section(**{"child-sas": {"a-1": child}, "nat-local": b"yes"}), NOW)
    assert (ike.children[0].bytes_in, ike.children[0].rekey_at) == (99999999999999, NOW - 5)
    assert ike.nat == ("local",)


def test_words_of_a_peer_are_safe_to_show() -> None:
    (ike,) = parse_ike_sas(section(**{"remote-id": b"evil\x1b[2J", "local-id": b"\xff"}), NOW)
    assert (ike.remote_id[:8], ike.local_id) == ("evil\\x1b", "\\xff")


def test_an_sa_without_a_number_is_refused() -> None:
    with pytest.raises(SaError, match="uniqueid is missing"):
        parse_ike_sas({"site": {}}, NOW)


async def test_they_are_asked_for_once(tmp_path: Path) -> None:
    async def list_sas(charon: FakeCharon) -> None:
        charon.send(event("list-sa", section(state="ESTABLISHED")))
        charon.send(event("list-sa", {"broken": {"state": "x"}}))
        charon.send(response())

    async with FakeCharon.at(tmp_path / "vici") as charon:
        charon.handlers["list-sas"] = list_sas
        found, errors = await ike_sas(charon.path, "site")
    assert [one.connection for one in found] == ["site"]
    assert errors == ("broken: uniqueid is missing",)
    with pytest.raises(ViciError, match="is absent"):
        await ike_sas(str(tmp_path / "none"), limits=Limits(answer=0.5))
