"""Full collections stay short, however many objects live."""

import gc
from collections.abc import Iterator

import pytest

from vtid.daemon import collector
from vtid.daemon.collector import Collector


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(collector, "LONG", 0.0)  # any collection is long
    one = Collector()
    one.watch()
    yield one
    one.close()


def test_what_survived_a_long_collection_is_not_looked_at_again(watched: Collector) -> None:
    kept: list[list[object]] = [[] for _ in range(10_000)]
    gc.collect()
    assert watched.freezes == 1
    assert gc.get_freeze_count() >= len(kept)
    assert len(gc.get_objects(generation=2)) < len(kept)


def test_a_full_collection_soon_follows_a_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Collector()
    monkeypatch.setattr(collector, "LONG", 10.0)
    one.watch()
    kept: list[list[object]] = [[] for _ in range(400_000)]
    monkeypatch.setattr(collector, "LONG", 0.0)
    gc.collect()
    monkeypatch.setattr(collector, "LONG", 10.0)
    one.count_anew()
    before = gc.get_stats()[2]["collections"]
    kept += [[] for _ in range(60_000)]
    assert gc.get_stats()[2]["collections"] > before
    one.close()


def test_garbage_is_collected_before_the_rest_is_frozen(watched: Collector) -> None:
    gc.collect()
    cycle: list[object] = []
    cycle.append(cycle)
    frozen = gc.get_freeze_count()
    del cycle
    assert gc.collect() >= 1
    assert gc.get_freeze_count() < frozen + 1000
    assert watched.freezes == 2


def test_a_short_collection_freezes_nothing() -> None:
    one = Collector()
    one.watch()
    frozen = gc.get_freeze_count()
    gc.collect(0)
    assert (one.freezes, gc.get_freeze_count()) == (0, frozen)
    one.close()


def test_a_collector_that_is_closed_leaves_nothing_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "LONG", 0.0)
    callbacks = len(gc.callbacks)
    one = Collector()
    one.watch()
    gc.collect()
    assert gc.get_freeze_count() > 0
    one.close()
    assert (gc.get_freeze_count(), len(gc.callbacks)) == (0, callbacks)
