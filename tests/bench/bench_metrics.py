"""How long a scrape of 10,000 tunnels takes, beside the same samples by prometheus_client.

    python -m tests.bench.bench_metrics [TUNNELS]

Both are measured in one run on one machine; the ratio is what can be compared.
"""

from __future__ import annotations

import gzip
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tests.http.samples import UP, link, status
from vtid.http.encode import encode
from vtid.http.metrics import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.core import Metric

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
    """Shortest of some runs, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    tunnels = [
        replace(UP, tunnel=f"private/vti{i}", interface=f"vti{i}", link=link(f"vti{i}"))
        for i in range(count)
    ]
    picture = status(*tunnels)
    text = render(picture)
    registry = CollectorRegistry()
    registry.register(Samples(list(text_string_to_metric_families(text))))

    direct = best(lambda: render(picture))
    collected = best(lambda: generate_latest(registry))
    squeezed = best(lambda: gzip.compress(text.encode(), compresslevel=1))
    as_json = best(lambda: encode(picture))
    series = sum(not line.startswith("#") for line in text.splitlines())
    print(f"{count} tunnels, {series} series, {len(text) / 1e6:.1f} MB")
    print(f"render             {direct:.3f} s")
    print(f"prometheus_client  {collected:.3f} s, {collected / direct:.1f} times as long")
    print(f"gzip level 1       {squeezed:.3f} s")
    print(f"/v1/status JSON    {as_json:.3f} s")


if __name__ == "__main__":
    main()
