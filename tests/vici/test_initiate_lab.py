"""Asking real charons to initiate: what they do with it, and what they are busy with meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.charon import pair
from tests.vici.record import conf
from tests.vici.test_real_charon import following, swanctl
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp, OpDone, OpFailed
from vtid.model.operation import Initiate, Rekey
from vtid.vici.initiate import initiate

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]


def wanted(child: str = "net") -> Initiate:
    return Initiate(tunnel="vti1", reason="", connection="six", child=child)


async def test_a_refused_child_comes_when_the_peer_has_loaded_its_connections() -> None:
    with pair(conf(1, 2, "192.0.2.2"), "") as (a, b):
        async with following(a) as one:
            await one.listed()
            assert await initiate(one.client, [wanted()]) == [OpDone(wanted())]
            while await initiate(one.client, [wanted()]) != [OpDone(wanted())]:
                pass  # in progress, until the refusal is here
            assert "NO_PROPOSAL_CHOSEN" in a.log
            (b.directory / "swanctl.conf").write_text(conf(2, 1, "%any"))
            b.load()
            while await initiate(one.client, [wanted()]) != [OpDone(wanted())]:
                pass
            up = await one.until(ChildUp)
            assert (up.sa.connection, up.sa.child) == ("six", "net")
            assert await initiate(one.client, [wanted()]) == [OpDone(wanted(), changed=False)]
            await swanctl(a, "--terminate", "--ike", "six")
            await one.until(ChildDown)


async def test_what_is_on_its_way_is_not_asked_for_twice() -> None:
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (a, b):
        async with following(a) as one:
            await one.listed()
            b.freeze()
            assert await initiate(one.client, [wanted()]) == [OpDone(wanted())]
            assert await initiate(one.client, [wanted()]) == [OpDone(wanted(), changed=False)]
            b.thaw()
            await one.until(ChildUp)
            assert a.swanctl("--list-sas").count("INSTALLED") == 1


async def test_a_rekey_makes_a_new_sa() -> None:
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (a, _):
        async with following(a) as one:
            await one.listed()
            assert await initiate(one.client, [wanted()]) == [OpDone(wanted())]
            up = await one.until(ChildUp)
            op = Rekey(tunnel="vti1", reason="", unique_id=up.sa.unique_id)
            assert await initiate(one.client, [op]) == [OpDone(op)]
            rekeyed = await one.until(ChildRekeyed)
            assert rekeyed.sa.unique_id > up.sa.unique_id
            (gone,) = await initiate(one.client, [replace(op, unique_id=999)])
            assert isinstance(gone, OpFailed)
            assert "no matching SAs to rekey found" in gone.error


async def test_a_child_that_is_not_loaded_is_told() -> None:
    with pair(conf(1, 2, "192.0.2.2"), "") as (a, _):
        async with following(a) as one:
            await one.listed()
            (result,) = await initiate(one.client, [wanted("nowhere")])
            assert isinstance(result, OpFailed)
            assert "CHILD_SA config 'nowhere' not found" in result.error
