"""Policies beside charon's connections, as series."""

from __future__ import annotations

from tests.http.samples import LOADED, UP, status
from tests.http.test_metrics import labels_of, read, value


def test_a_policy_without_connection_shows_0() -> None:
    series = read(status(UP, loaded=LOADED))
    place = {"netns": "", "interface": "vti50"}
    assert value(series, "vtid_policy_loaded", policy="V2-2/*", **place) == 0
    place = {"netns": "private", "interface": "vti42"}
    assert value(series, "vtid_policy_loaded", policy="V2-1/*", **place) == 1
    assert value(series, "vtid_policies") == 2
    assert value(series, "vtid_policies_unloaded") == 1


def test_children_without_policy_are_counted_and_named() -> None:
    series = read(status(loaded=LOADED))
    assert value(series, "vtid_charon_connections") == 3
    assert value(series, "vtid_charon_children") == 4
    assert value(series, "vtid_charon_children_unclaimed") == 2
    assert labels_of(series, "vtid_charon_child_unclaimed_info") == [
        {"connection": "roadwarrior", "child": "net"}
    ]


def test_what_is_not_known_has_no_series() -> None:
    names = {name for name, _ in read(status(UP))}
    assert not {name for name in names if "polic" in name or name.startswith("vtid_charon_c")}
