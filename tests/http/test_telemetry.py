"""The daemon's own counters, as Prometheus reads them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from vtid.http.telemetry import Reading, Telemetry


def read(telemetry: Telemetry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(telemetry.expose().decode())
        for sample in family.samples
    }


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
    assert read(telemetry)["vtid_metric_errors_total", (("family", "vtid_bad"),)] >= 2
    assert [(entry["event"], entry["family"]) for entry in logs] == [
        ("metric is broken", "vtid_bad")
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
