"""Groups that are off, and collectors that fail: each costs its own series, and no other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.http.samples import FakeDaemon, exposed
from tests.prometheus.families import picture
from vtid.http import metrics
from vtid.http.exposition import Family, SplitFamily
from vtid.http.scrape import Scraper
from vtid.http.telemetry import Telemetry
from vtid.model.groups import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from vtid.http.exposition import AnyFamily
    from vtid.model.status import Status

WHOLE = exposed(picture())
FAMILIES = sorted(set(re.findall(r"^# TYPE (\S+)", WHOLE, re.MULTILINE)))


def samples(text: str) -> set[str]:
    return {line for line in text.splitlines() if not line.startswith("#")}


def names(lines: Collection[str]) -> set[str]:
    return {re.split(r"[{ ]", line)[0] for line in lines}


def lost_without(name: str) -> set[str]:
    """The samples that a collector writes, alone."""
    others = set(metrics.COLLECTORS) - {name}
    return samples(exposed(picture(), disabled=others))


def test_each_sample_has_one_collector() -> None:
    parts = [lost_without(name) for name in metrics.COLLECTORS]
    assert all(parts)
    assert sum(map(len, parts)) == len(samples(WHOLE))
    assert set().union(*parts) == samples(WHOLE)


@pytest.mark.parametrize("group", [one for one in Group if one in metrics.COLLECTORS])
def test_a_group_that_is_off_leaves_all_others(group: Group) -> None:
    text = exposed(picture(), disabled={group})
    assert samples(WHOLE) - samples(text) == lost_without(group)
    assert not names(lost_without(group)) & set(re.findall(r"# TYPE (\S+)", text))


@pytest.mark.parametrize("name", metrics.COLLECTORS)
def test_a_collector_that_fails_costs_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("defect")

    lost, told = lost_without(name), []
    monkeypatch.setitem(metrics.COLLECTORS, name, fail)
    text = exposed(picture(), broken=lambda *about: told.append(about[:2]))
    assert samples(WHOLE) - samples(text) == lost
    assert told == [(name, "")]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_that_fails_costs_itself(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def failing(write: Callable[..., list[str]]) -> Callable[..., list[str]]:
        def samples(one: AnyFamily[object], rows: Mapping[str, object]) -> list[str]:
            if one.name == family:
                raise RuntimeError("defect")
            return write(one, rows)

        return samples

    for kind in (Family, SplitFamily):
        monkeypatch.setattr(kind, "samples", failing(kind.samples))
    text = exposed(picture(), broken=lambda *about: told.append(about[1]))
    assert names(samples(WHOLE) - samples(text)) == {family}
    assert told == [family]


async def test_a_status_that_fails_costs_what_it_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> Status:
        raise RuntimeError("defect")

    daemon, telemetry = FakeDaemon(picture()), Telemetry()
    scraper = Scraper(daemon, telemetry)
    monkeypatch.setattr(daemon, "full_status", fail)
    text = b"".join((await scraper.exposition()).plain()).decode()
    assert 'vtid_metric_errors_total{collector="status",family=""} 1.0' in text
    assert "vtid_tunnel_up" not in text
    assert "process_resident_memory_bytes" in text


async def test_what_fails_is_counted_in_the_same_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("defect")

    monkeypatch.setitem(metrics.COLLECTORS, "bgp", fail)
    scraper = Scraper(FakeDaemon(picture()), Telemetry())
    text = b"".join((await scraper.exposition()).plain()).decode()
    assert 'vtid_metric_errors_total{collector="bgp",family=""} 1.0' in text
    assert "vtid_tunnel_up" in text
    assert "vtid_bgp_up" not in text
