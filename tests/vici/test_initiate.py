"""Asking charon to initiate, and leaving alone what is in progress."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.vici.fake_charon import FakeCharon, response
from tests.vici.test_client import following, sa
from vtid.model.input import OpDone, OpFailed
from vtid.model.operation import Initiate, Rekey
from vtid.vici.client import ViciClient
from vtid.vici.initiate import initiate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def wanted(connection: str = "gw", child: str = "net") -> Initiate:
    return Initiate(tunnel="vti1", reason="", connection=connection, child=child)


def ike(state: str = "CONNECTING", **more: Any) -> dict[str, Any]:
    return {"gw": {"uniqueid": 1, "state": state, "child-sas": {}, **more}}


def with_child(state: str) -> dict[str, Any]:
    part = sa(1)
    part["gw"]["child-sas"]["net-1"]["state"] = state
    return part


@pytest.fixture
async def charon(tmp_path: Path) -> AsyncIterator[FakeCharon]:
    async with FakeCharon.at(tmp_path / "vici") as fake:
        yield fake


async def asked(charon: FakeCharon, *ops: Initiate) -> list[OpDone | OpFailed]:
    async with following(charon.path) as (client, inbox):
        await inbox.next()
        return await initiate(client, ops)


async def say_yes(fake: FakeCharon) -> None:
    fake.send(response(success="yes"))


async def test_what_is_not_there_is_asked_for(charon: FakeCharon) -> None:
    charon.handlers["initiate"] = say_yes
    assert await asked(charon, wanted()) == [OpDone(wanted())]
    assert charon.asked[-2:] == ["list-sas", "initiate"]


@pytest.mark.parametrize(
    "part",
    [
        ike("CONNECTING"),
        ike("ESTABLISHED", **{"tasks-active": ["CHILD_CREATE"]}),
        ike("ESTABLISHED", **{"tasks-queued": ["IKE_REAUTH"]}),
        with_child("INSTALLED"),
        with_child("INSTALLING"),
        with_child("RETRYING"),
    ],
)
async def test_what_is_in_progress_is_left_alone(charon: FakeCharon, part: dict[str, Any]) -> None:
    charon.sas = [part]
    assert await asked(charon, wanted()) == [OpDone(wanted(), changed=False)]
    assert "initiate" not in charon.asked


@pytest.mark.parametrize("part", [ike("ESTABLISHED"), with_child("DELETED"), with_child("REKEYED")])
async def test_what_ends_is_not_in_progress(charon: FakeCharon, part: dict[str, Any]) -> None:
    charon.handlers["initiate"] = say_yes
    charon.sas = [part]
    assert await asked(charon, wanted()) == [OpDone(wanted())]


async def test_one_child_of_a_connection_at_a_time(charon: FakeCharon) -> None:
    charon.handlers["initiate"] = say_yes
    ops = [wanted(), wanted(child="six"), wanted("other")]
    results = await asked(charon, *ops)
    assert results == [OpDone(ops[0]), OpDone(ops[1], changed=False), OpDone(ops[2])]
    assert charon.asked.count("list-sas") == 2


async def test_a_refusal_says_what_to_compare(charon: FakeCharon) -> None:
    async def refuse(fake: FakeCharon) -> None:
        fake.send(response(success="no", errmsg="CHILD_SA config 'net' not found"))

    charon.handlers["initiate"] = refuse
    (result,) = await asked(charon, wanted())
    assert isinstance(result, OpFailed)
    assert "'net' not found; compare `connection` and `child` with swanctl.conf" in result.error


async def test_a_rekey_names_the_sa_and_lists_none(charon: FakeCharon) -> None:
    charon.handlers["rekey"] = say_yes
    op = Rekey(tunnel="vti1", reason="", unique_id=7)
    async with following(charon.path) as (client, inbox):
        await inbox.next()
        assert await initiate(client, [op]) == [OpDone(op)]
    assert charon.asked[-1] == "rekey"
    assert charon.asked.count("list-sas") == 1


async def test_a_rekey_that_is_refused_says_why(charon: FakeCharon) -> None:
    async def refuse(fake: FakeCharon) -> None:
        fake.send(response(success="no", errmsg="no matching SAs to rekey found"))

    charon.handlers["rekey"] = refuse
    op = Rekey(tunnel="vti1", reason="", unique_id=7)
    async with following(charon.path) as (client, inbox):
        await inbox.next()
        (result,) = await initiate(client, [op])
    assert isinstance(result, OpFailed)
    assert "does not rekey CHILD_SA 7: no matching SAs" in result.error


async def test_without_charon_each_is_answered(tmp_path: Path) -> None:
    client = ViciClient(str(tmp_path / "vici"), lambda _: None)
    results = await asyncio.wait_for(initiate(client, [wanted(), wanted("b")]), 5)
    assert [type(result) for result in results] == [OpFailed, OpFailed]
