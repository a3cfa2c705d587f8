"""Telemetry: the daemon's counters of its own work, kept by prometheus_client. An edge.

These are few series, touched at every input, whatever the number of tunnels. What the daemon
knows of its tunnels is written by `metrics` instead.
"""

from __future__ import annotations

from collections import Counter as Counts
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

from vtid.http.admission import Reason
from vtid.http.exposition import UNITS, labels
from vtid.model.groups import Group
from vtid.model.levels import Subsystem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from contextlib import AbstractContextManager

    from prometheus_client.metrics_core import Metric

log = structlog.get_logger(Subsystem.HTTP)

_SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)

CONTROL, READ_ONLY, METRICS = LISTENERS = ("control", "read-only", "metrics")
"""Names of the listeners: the two sockets, and all metrics addresses together."""

_DONE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Reading:
    """What another object keeps: `read` returns its values by those of `labels`.

    The name of a counter is without its `_total`.
    """

    kind: str
    """`counter` or `gauge`."""
    name: str
    text: str
    read: Callable[[], Mapping[tuple[str, ...], float]]
    labels: tuple[str, ...] = ()
    group: str = "daemon"
    """Collector that it belongs to."""


class Telemetry:
    """Counters of inputs, operations, writes and scrapes, and where the loop's time goes.

    `readings` are read at each scrape: the edges count in plain integers of their own.
    """

    def __init__(self, readings: Iterable[Reading] = ()) -> None:
        # An additional series for each counter, which is of no use. The function has no types.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.disabled: Collection[str] = ()
        """Groups that are left out, here and by whoever writes the rest."""
        nowhere = CollectorRegistry()
        for one in (
            ProcessCollector(registry=nowhere),
            PlatformCollector(registry=nowhere),
            GCCollector(registry=nowhere),
        ):
            self.registry.register(_Guarded(self, Group.PROCESS, one))
        # prometheus_client's counters take longer than the rest of what is done for an input here
        self._inputs: Counts[tuple[str]] = Counts()
        self._ops: Counts[tuple[str, str]] = Counts()
        for name, text, counts, label_names in (
            ("vtid_inputs", "Inputs that the loop applied.", self._inputs, ("type",)),
            ("vtid_ops", "Operations that were executed.", self._ops, ("op", "result")),
        ):
            reading = Reading("counter", name, text, partial(dict, counts), label_names)
            self.registry.register(_Read(reading))
        self._passes = Histogram(
            "vtid_pass",
            "Time from an input to its operations, in the loop.",
            unit="seconds",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._wait = Histogram(
            "vtid_inbox_wait",
            "Time that the oldest input of a pass had waited for it.",
            unit="seconds",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._done = Histogram(
            "vtid_event_to_done",
            "Time from an event until nothing was left to do for a tunnel.",
            unit="seconds",
            buckets=_DONE_SECONDS,
            registry=self.registry,
        )
        self._lag = Histogram(
            "vtid_loop_lag",
            "Time that each turn of the event loop kept what was due waiting.",
            unit="seconds",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._connections = Gauge(
            "vtid_http_connections",
            "Connections that a listener has.",
            ["listener"],
            registry=self.registry,
        )
        self._refused = Counter(
            "vtid_http_refused_total",
            "Connections and requests that a listener refused or ended.",
            ["listener", "reason"],
            registry=self.registry,
        )
        for listener in LISTENERS:
            self._connections.labels(listener)
            for reason in Reason:
                self._refused.labels(listener, reason)
        self._errors = Counter(
            "vtid_metric_errors_total",
            "Times that samples of a family could not be written.",
            ["collector", "family"],
            registry=self.registry,
        )
        self._told: set[tuple[str, str]] = set()
        for reading in readings:
            self.registry.register(_Guarded(self, reading.group, _Read(reading), reading.name))

    def input(self, name: str) -> None:
        """Count an input by its class name."""
        self._inputs[name,] += 1

    def op(self, name: str, result: str) -> None:
        """Count an operation by its class name and its result: `done`, `unchanged`, `failed`."""
        self._ops[name, result] += 1

    def time_pass(self) -> AbstractContextManager[object]:
        """Measure one pass of the loop, as a context manager."""
        return self._passes.time()

    def waited(self, seconds: float) -> None:
        """Note how long the oldest input of a pass had waited."""
        self._wait.observe(seconds)

    def done(self, seconds: float) -> None:
        """Note how long it took from an event until its tunnel was as desired."""
        self._done.observe(seconds)

    def lag(self, seconds: float) -> None:
        """Note how long a turn of the event loop took."""
        self._lag.observe(seconds)

    def connections(self, listener: str, count: int) -> None:
        """Note how many connections a listener has."""
        self._connections.labels(listener).set(count)

    def refused(self, listener: str, reason: Reason) -> None:
        """Count a connection or a request that a listener refused or ended."""
        self._refused.labels(listener, reason).inc()

    def broken(self, collector: str, family: str, error: Exception) -> None:
        """Count that samples could not be written; log it the first time.

        `family` is empty where the collector failed before it came to one.
        """
        self._errors.labels(collector, family).inc()
        if (collector, family) not in self._told:
            self._told.add((collector, family))
            log.error("metric is broken", collector=collector, family=family, exc_info=error)

    def expose(self, *, openmetrics: bool = False) -> bytes:
        """Write all of it in the text format; or as OpenMetrics, without its end."""
        lines: list[str] = []
        for family in self.registry.collect():
            is_counter = family.type == "counter" and not openmetrics
            name = f"{family.name}_total" if is_counter else family.name
            lines += [f"# HELP {name} {family.documentation}", f"# TYPE {name} {family.type}"]
            if openmetrics and family.unit:
                lines.append(f"# UNIT {name} {family.unit}")
            for one in family.samples:
                known = f"{{{labels(**dict(sorted(one.labels.items())))}}}" if one.labels else ""
                value = floatToGoString(one.value)  # type: ignore[no-untyped-call]
                lines.append(f"{one.name}{known} {value}")
        return "\n".join((*lines, "")).encode()


class _Guarded(Collector):
    """A collector that costs itself only where it fails, and nothing where its group is off."""

    def __init__(
        self, telemetry: Telemetry, group: str, collector: Collector, family: str = ""
    ) -> None:
        self._telemetry = telemetry
        self._group = group
        self._collector = collector
        self._family = family

    def collect(self) -> Iterable[Metric]:
        """Collect, unless the group is off."""
        if self._group in self._telemetry.disabled:
            return []
        try:
            return list(self._collector.collect())
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go out
            self._telemetry.broken(self._group, self._family, error)
            return []


class _Read(Collector):
    """A family whose values another object keeps."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterable[Metric]:
        """Read the values."""
        family = self._family()
        for words, value in self._reading.read().items():
            family.add_metric(words, value)
        return [family]

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        one = self._reading
        kind = CounterMetricFamily if one.kind == "counter" else GaugeMetricFamily
        unit = one.name.rpartition("_")[2]
        return kind(one.name, one.text, labels=one.labels, unit=unit if unit in UNITS else "")
