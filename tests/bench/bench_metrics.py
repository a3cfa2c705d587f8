"""How long a scrape of 10,000 tunnels takes, beside the same samples by prometheus_client.

    python -m tests.bench.bench_metrics [TUNNELS]

Both are measured in one run on one machine; the ratio is what can be compared. It also tells how
long the event loop waits for the interpreter meanwhile, and what each group of metrics takes.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tests.http.samples import UP, FakeDaemon, exposed, link, status
from vtid.http import metrics
from vtid.http.encode import encode
from vtid.http.scrape import Scraper
from vtid.http.telemetry import Telemetry
from vtid.model.groups import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.core import Metric

    from vtid.model.status import Status

Family = GaugeMetricFamily | CounterMetricFamily


class Samples(Collector):
    """A custom collector in the usual style: families and label values made at each scrape."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Family]:
        for metric in self._metrics:
            names = list(metric.samples[0].labels) if metric.samples else []
            kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.documentation, labels=names)
            for sample in metric.samples:
                family.add_metric([sample.labels[name] for name in names], sample.value)
            yield family


def best(work: Callable[[], object], rounds: int = 3) -> float:
    """Least processor time of some runs, in seconds: other load does not count."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


async def held(work: Callable[[], object]) -> float:
    """Longest time between two turns of an event loop while a worker thread is at something.

    It is processor time of both threads.
    """
    longest, last = 0.0, time.process_time()
    working = asyncio.create_task(asyncio.to_thread(work))
    while not working.done():
        await asyncio.sleep(0)
        now = time.process_time()
        longest, last = max(longest, now - last), now
    return longest


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    tunnels = [
        replace(UP, tunnel=f"private/vti{i}", interface=f"vti{i}", link=link(f"vti{i}"))
        for i in range(count)
    ]
    picture = status(*tunnels)
    scraper = Scraper(FakeDaemon(picture), Telemetry())
    before = _peak()
    scraper._text(picture, openmetrics=False)
    grown = _peak() - before  # first, because a peak never falls
    text = exposed(picture)
    series = sum(not line.startswith("#") for line in text.splitlines())
    print(f"{count} tunnels, {series} series, {len(text) / 1e6:.1f} MB; seconds of processor time")

    written = best(lambda: metrics.write(picture, lambda _: None))
    scraped = best(lambda: scraper._text(picture, openmetrics=False))
    registry = CollectorRegistry()
    registry.register(Samples(list(text_string_to_metric_families(text))))
    collected = best(lambda: generate_latest(registry))
    turn = min(
        asyncio.run(held(lambda: scraper._text(picture, openmetrics=False))) for _ in range(3)
    )
    as_json = best(lambda: encode(picture))
    print(f"text               {written:.3f} s, {written / series * 1e6:.2f} µs a series")
    print(f"text and gzip      {scraped:.3f} s, {scraped / series * 1e6:.2f} µs a series")
    print(f"loop held at most  {turn * 1000:.1f} ms")
    print(f"memory grows by    {grown / 1024:.0f} MiB")
    print(f"prometheus_client  {collected:.3f} s, {collected / written:.1f} times the text")
    print(f"/v1/status JSON    {as_json:.3f} s")
    print("what each group takes:")
    for group in Group:
        if group in metrics.COLLECTORS:
            _group(picture, group, text)


def _peak() -> int:
    """Most memory that the process had so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _group(picture: Status, group: Group, text: str) -> None:
    """Print what a group costs."""
    alone = set(metrics.COLLECTORS) - {group}
    part = exposed(picture, disabled=alone)
    took = best(lambda: metrics.write(picture, lambda _: None, disabled=alone))
    series = sum(not line.startswith("#") for line in part.splitlines())
    print(f"{group:18} {took:.3f} s, {series} series, {len(part) / len(text):.0%} of the text")


if __name__ == "__main__":
    main()
