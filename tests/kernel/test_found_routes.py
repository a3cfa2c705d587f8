"""What a route's message says of who made it and how it differs from one of vtid's."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.dumps import read_found_routes
from vtid.model.link import PROTOCOL, Route
from vtid.model.present import FoundRoute

BOOT, KERNEL, BIRD = 3, 2, 12
TABLE = 254
TO = ("10.9.0.0/16", "2001:db8:9::/48")


def read(to: str, more: bytes = b"", **fields: int) -> FoundRoute | None:
    """Read the message of a route as vtid makes one, with other fields and more attributes."""
    body = asks.new_route(7, Route(to, 5, TABLE)).body
    names = ["family", "length", "source", "tos", "table", "protocol", "scope", "kind", "flags"]
    header = dict(zip(names, nl.ROUTE.unpack(body[: nl.ROUTE.size]), strict=True)) | fields
    changed = nl.ROUTE.pack(*header.values()) + body[nl.ROUTE.size :] + more
    message = nl.Request(nl.RTM_NEWROUTE, 0, changed).encode(1)
    return next(read_found_routes([message]), None)


@pytest.mark.parametrize("to", TO)
def test_who_made_it(to: str) -> None:
    plain = FoundRoute(Route(to, 5, TABLE))
    assert read(to, protocol=BOOT) == plain
    assert read(to, protocol=PROTOCOL) == replace(plain, ours=True)
    assert read(to, protocol=BIRD) == replace(plain, daemon=True)
    assert read(to, protocol=KERNEL) is None
    assert read(to, protocol=BOOT, table=nl.RT_TABLE_LOCAL) is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (nl.attribute(nl.RTA_GATEWAY, bytes(4)), "a gateway"),
        (nl.attribute(nl.RTA_PREFSRC, bytes(4)), "a source address (`src`)"),
        (nl.attribute(nl.RTA_METRICS, b""), "an `mtu` or other metrics"),
        (nl.attribute(nl.RTA_MULTIPATH, b""), "several next hops"),
        (nl.attribute(99, b""), "an attribute that vtid's routes have not"),
        (
            nl.attribute(nl.RTA_GATEWAY, bytes(4)) + nl.attribute(nl.RTA_PREFSRC, bytes(4)),
            "a gateway and a source address (`src`)",
        ),
    ],
)
def test_what_else_it_has(more: bytes, words: str) -> None:
    found = read(TO[0], more, protocol=BOOT)
    assert found
    assert found.unlike == words


@pytest.mark.parametrize("field", ["source", "tos", "scope", "kind"])
def test_another_sort_of_route(field: str) -> None:
    found = read(TO[0], b"", protocol=BOOT, **{field: 9})
    assert found
    assert found.unlike == "another type, scope, source or TOS than vtid's"


def test_a_message_that_is_cut_is_skipped() -> None:
    assert list(read_found_routes([struct.pack("=IHHII", 18, nl.RTM_NEWROUTE, 0, 1, 0)])) == []
