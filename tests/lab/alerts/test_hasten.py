"""Durations of the rules become seconds of the lab."""

from __future__ import annotations

import re

from tests.lab.alerts.hasten import SHORTEST, hasten
from tests.lab.alerts.prometheus import INTERVAL
from tests.prometheus.trial import rules


def test_durations_are_divided_and_thresholds_are_not() -> None:
    rule = """
        expr: time() - vtid_tunnel_sa_installed_timestamp_seconds > 25 * 3600 and rate(a[10m]) > 1
        for: 5m
        summary: went down 3 times in 30 minutes
      - record: tunnel:vtid_receive_bytes:rate5m
        expr: rate(a[1d]) + rate(b[1h])
        for: 30s
"""
    assert hasten(rule) == rule.replace("[10m]", "[10s]").replace("for: 5m", "for: 7s").replace(
        "[1d]", "[1440s]"
    ).replace("[1h]", "[60s]").replace("for: 30s", "for: 7s")


def test_no_duration_of_the_rules_is_left() -> None:
    for file in rules():
        text = hasten(file.read_text())
        assert not re.findall(r"for: \d+[mhd]\b|\[\d+[mhd]\]", text)
        assert len(text.splitlines()) == len(file.read_text().splitlines())


def test_two_scrapes_fit_into_each_range() -> None:
    assert SHORTEST >= 2 * INTERVAL
    for range_ in ("5s", "1m"):
        assert hasten(f"rate(a[{range_}])") == f"rate(a[{SHORTEST}s])"


def test_one_scrape_that_fails_raises_no_alert() -> None:
    (held,) = re.findall(r"for: (\d+)s", hasten("for: 2m"))
    assert int(held) > INTERVAL
