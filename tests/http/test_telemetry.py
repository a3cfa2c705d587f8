"""The daemon's own counters, as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from vtid.http.exposition import END
from vtid.http.telemetry import Reading, Telemetry
from vtid.model.groups import Group

if TYPE_CHECKING:
    import pytest


def read(telemetry: Telemetry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(telemetry.expose().decode())
        for sample in family.samples
    }


def test_the_text_is_what_prometheus_client_writes() -> None:
    telemetry = Telemetry((Reading("gauge", "vtid_at_seconds", "When.", lambda: {(): 1.5}),))
    telemetry.disabled = {Group.PROCESS}  # differs from one look to the next
    telemetry.input("ChildUp")
    telemetry.op("CreateLink", "done")
    telemetry.waited(0.02)
    telemetry.broken("tunnels", 'a"b\\c\nd', ValueError())
    assert telemetry.expose() == generate_latest(telemetry.registry)
    whole = telemetry.expose(openmetrics=True) + END.encode()
    assert whole == generate_openmetrics(telemetry.registry)  # type: ignore[no-untyped-call]


def test_inputs_and_operations_are_counted() -> None:
    telemetry = Telemetry()
    telemetry.input("ChildUp")
    telemetry.input("ChildUp")
    telemetry.op("CreateLink", "done")
    telemetry.op("CreateLink", "failed")
    series = read(telemetry)
    assert series["vtid_inputs_total", (("type", "ChildUp"),)] == 2
    assert series["vtid_ops_total", (("op", "CreateLink"), ("result", "failed"))] == 1


def test_counts_of_the_edges_are_read_at_each_scrape() -> None:
    writes, reloads = [3], {"done": 1, "refused": 0}
    telemetry = Telemetry(
        (
            Reading("counter", "vtid_writes", "Writes.", lambda: {(): writes[0]}),
            Reading(
                "counter",
                "vtid_reloads",
                "Reloads.",
                lambda: {(k,): v for k, v in reloads.items()},
                ("result",),
            ),
        )
    )
    assert read(telemetry)["vtid_writes_total", ()] == 3
    writes[0], reloads["refused"] = 5, 2
    series = read(telemetry)
    assert series["vtid_writes_total", ()] == 5
    assert series["vtid_reloads_total", (("result", "done"),)] == 1
    assert series["vtid_reloads_total", (("result", "refused"),)] == 2


def test_a_pass_is_timed() -> None:
    telemetry = Telemetry()
    with telemetry.time_pass():
        pass
    assert read(telemetry)["vtid_pass_seconds_count", ()] == 1


def test_a_reading_that_is_broken_costs_its_own_series_only() -> None:
    def fail() -> dict[tuple[str, ...], float]:
        raise RuntimeError("no number")

    telemetry = Telemetry(
        (
            Reading("gauge", "vtid_bad", "Bad.", fail),
            Reading("gauge", "vtid_good", "Good.", lambda: {(): 1}),
        )
    )
    with capture_logs() as logs:
        first, second = read(telemetry), read(telemetry)
    assert first["vtid_good", ()] == second["vtid_good", ()] == 1
    assert ("vtid_bad", ()) not in second
    labels = (("collector", "daemon"), ("family", "vtid_bad"))
    assert read(telemetry)["vtid_metric_errors_total", labels] >= 2
    assert [(entry["event"], entry["collector"], entry["family"]) for entry in logs] == [
        ("metric is broken", "daemon", "vtid_bad")
    ]


def test_what_is_no_counter_keeps_its_name() -> None:
    telemetry = Telemetry((Reading("gauge", "vtid_at_seconds", "At.", lambda: {(): True}),))
    assert read(telemetry)["vtid_at_seconds", ()] == 1
    assert "# UNIT vtid_at_seconds seconds" in telemetry.expose(openmetrics=True).decode()


def test_each_histogram_takes_its_own() -> None:
    telemetry = Telemetry()
    telemetry.lag(0.3)
    telemetry.waited(0.2)
    telemetry.done(0.1)
    series = read(telemetry)
    assert series["vtid_loop_lag_seconds_sum", ()] == 0.3
    assert series["vtid_inbox_wait_seconds_sum", ()] == 0.2
    assert series["vtid_event_to_done_seconds_sum", ()] == 0.1


def test_the_process_is_there_and_nothing_twice() -> None:
    text = Telemetry().expose().decode()
    assert "process_resident_memory_bytes" in text
    assert "python_info" in text
    assert "_created" not in text


def test_each_telemetry_counts_for_itself() -> None:
    one, other = Telemetry(), Telemetry()
    one.input("ChildUp")
    assert ("vtid_inputs_total", (("type", "ChildUp"),)) in read(one)
    assert ("vtid_inputs_total", (("type", "ChildUp"),)) not in read(other)


def test_a_group_that_is_off_is_not_even_read() -> None:
    def fail() -> dict[tuple[str, ...], float]:
        raise AssertionError("read")

    telemetry = Telemetry((Reading("gauge", "vtid_off", "Off.", fail, group="charon"),))
    telemetry.disabled = {"charon", "process"}
    text = telemetry.expose().decode()
    assert "vtid_off" not in text
    assert "process_resident_memory_bytes" not in text
    assert not [name for name, _ in read(telemetry) if name == "vtid_metric_errors_total"]


def test_a_collector_of_the_process_that_is_broken_costs_itself_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_self: object) -> list[object]:
        raise OSError("no /proc")

    monkeypatch.setattr(ProcessCollector, "collect", fail)
    telemetry = Telemetry()
    read(telemetry)
    series = read(telemetry)
    labels = (("collector", "process"), ("family", ""))
    assert series["vtid_metric_errors_total", labels] >= 1
    assert [name for name, _ in series if name == "python_gc_collections_total"]
