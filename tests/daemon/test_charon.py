"""What charon says of itself, as series; nothing while it does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.daemon import charon as module
from vtid.daemon.charon import CharonWatch
from vtid.model.charon import Certificate, CharonFacts, CharonStats
from vtid.vici.channel import ViciError

if TYPE_CHECKING:
    import pytest

FACTS = CharonFacts(
    CharonStats(workers=16, workers_idle=0, queued=(("low", 3),), half_open=2),
    (Certificate("12", "gw-a", 5000.0),),
)


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
    watch = CharonWatch(lambda: "/run/charon.vici")
    assert series(watch) == {}
    await watch.look()
    assert series(watch) == {
        "workers": 16,
        "workers_idle": 0,
        "jobs_queued low": 3,
        "ike_sas_half_open": 2,
        "certificate_expiry_timestamp_seconds 12 gw-a": 5000,
    }
    await watch.look()
    assert series(watch) == {}
