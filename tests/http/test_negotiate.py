"""Which format and coding a client gets, by the headers that clients really send."""

from __future__ import annotations

import pytest

from vtid.http.negotiate import accepts_gzip, wants_openmetrics

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        ("application/openmetrics-text", True),
        ("text/plain, application/openmetrics-text", True),
        ("Application/OpenMetrics-Text; Version=1.0.0 , text/plain;q=0.9", True),
        ("text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.3", False),
        ("application/openmetrics-text;q=0.3, text/*;q=0.5, */*;q=0.1", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=lots", False),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("text/plain", False),
        (FIREFOX, False),
        ("*/*", False),
        ("", False),
        (";;,=;q", False),
    ],
)
def test_accept(header: str, wanted: bool) -> None:  # noqa: FBT001
    assert wants_openmetrics(header) is wanted


@pytest.mark.parametrize(
    ("header", "accepts"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("identity", False),
        ("", False),
    ],
)
def test_accept_encoding(header: str, accepts: bool) -> None:  # noqa: FBT001
    assert accepts_gzip(header) is accepts
