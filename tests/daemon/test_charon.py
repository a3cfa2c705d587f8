"""What charon says of itself, as series; nothing while it does not answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from vtid.config.load import load
from vtid.daemon import charon as module
from vtid.daemon.charon import CharonWatch
from vtid.model.charon import Certificate, CharonFacts, CharonStats, Pool
from vtid.vici.channel import ViciError

if TYPE_CHECKING:
    import pytest

FACTS = CharonFacts(
    CharonStats(workers=16, workers_idle=0, queued=(("low", 3),), half_open=2),
    (Certificate("12", "gw-a", 5000.0),),
    connections=2,
    children=(("site", "net"), ("other", "net")),
    pools=(Pool("four", 254, 3, 1),),
)
CONFIG = load("""
[vici]
socket = "/run/charon.vici"
[[tunnel]]
connection = "site"
interface = "vti1"
""")


def series(watch: CharonWatch) -> dict[str, float]:
    return {
        f"{one.name.removeprefix('vtid_charon_')} {' '.join(labels)}".strip(): value
        for one in watch.readings()
        for labels, value in one.read().items()
    }


async def test_what_is_not_known_has_no_series(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[CharonFacts | None] = [FACTS, None]

    async def look(socket: str) -> CharonFacts:
        assert socket == "/run/charon.vici"
        if found := answers.pop(0):
            return found
        raise ViciError("it is away")

    monkeypatch.setattr(module, "look", look)
    watch = CharonWatch(lambda: CONFIG)
    assert series(watch) == {}
    assert watch.loaded is None
    await watch.look()
    assert watch.loaded
    assert watch.loaded.unclaimed_names == (("other", "net"),)
    assert [one.loaded for one in watch.loaded.policies] == [True]
    assert series(watch) == {
        "workers": 16,
        "workers_idle": 0,
        "jobs_queued low": 3,
        "ike_sas_half_open": 2,
        "certificate_expiry_timestamp_seconds 12 gw-a": 5000,
        "pool_addresses four": 254,
        "pool_addresses_online four": 3,
        "pool_addresses_offline four": 1,
    }
    await watch.look()
    assert series(watch) == {}
    assert watch.loaded is None


async def test_a_reload_asks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: asyncio.Queue[str] = asyncio.Queue()

    async def look(socket: str) -> CharonFacts:
        looks.put_nowait(socket)
        return FACTS

    monkeypatch.setattr(module, "look", look)
    monkeypatch.setattr(module, "FIRST", 0.0)
    configs = [CONFIG]
    watch = CharonWatch(lambda: configs[-1])
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(5):
        assert await looks.get() == "/run/charon.vici"
        configs.append(load('[vici]\nsocket = "/run/other.vici"'))
        watch.look_soon()
        assert await looks.get() == "/run/other.vici"
    task.cancel()
