"""What Prometheus reads of a gateway, checked with Prometheus's own parser for Python."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.http.samples import (
    AWAITED,
    DOWN,
    ESTABLISHED,
    FULL,
    PATTERN,
    REPLACED,
    UP,
    exposed,
    link,
    sa,
    status,
)
from vtid.http.exposition import END, escape, labels
from vtid.model.bgp import BgpState
from vtid.model.bounds import Bound
from vtid.model.status import Status, TunnelState

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def families(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))


def read(picture: Status) -> Series:
    """All samples by name and labels; none may come twice."""
    samples = [
        ((sample.name, frozenset(sample.labels.items())), float(sample.value))
        for family in families(exposed(picture))
        for sample in family.samples
    ]
    assert len(dict(samples)) == len(samples)
    return dict(samples)


def value(series: Series, name: str, **wanted: str) -> float | None:
    return series.get((name, frozenset(wanted.items())))


def labels_of(series: Series, name: str, **wanted: str) -> list[dict[str, str]]:
    """Label sets of a metric that have all of `wanted`."""
    return [dict(found) for known, found in series if known == name and found >= wanted.items()]


def test_a_tunnel_that_is_down_shows_0_and_stays() -> None:
    series = read(FULL)
    assert value(series, "vtid_tunnel_up", tunnel="private/vti42") == 1
    assert value(series, "vtid_tunnel_up", tunnel="vti50") == 0
    assert value(series, "vtid_tunnel_up", tunnel="private/vti43") == 0


def test_a_tunnel_that_never_came_up_shows_0() -> None:
    series = read(status(AWAITED))
    assert value(series, "vtid_tunnel_up", tunnel="V2-4") == 0
    assert value(series, "vtid_tunnel_state", tunnel="V2-4", state="down") == 1


def test_the_mtu_of_the_path_is_apart_from_that_of_the_interface() -> None:
    series = read(status(replace(UP, path_mtu=1246)))
    assert value(series, "vtid_tunnel_path_mtu_bytes", tunnel="private/vti42") == 1246
    assert value(series, "vtid_tunnel_mtu_bytes", tunnel="private/vti42") == 1446
    assert not labels_of(read(status(DOWN)), "vtid_tunnel_path_mtu_bytes")


def test_an_interface_that_was_replaced_has_no_series() -> None:
    series = read(status(UP, replace(REPLACED, bgp=(ESTABLISHED,))))
    assert value(series, "vtid_tunnel_up", tunnel="private/vti42") == 1
    assert not [labels for _, labels in series if ("tunnel", "vti51") in labels]


def test_a_pattern_shows_how_many_tunnels_it_has() -> None:
    series = read(status(patterns=(PATTERN,)))
    place = {"policy": "site-*/*", "netns": "", "interface": "vti{mark}"}
    assert value(series, "vtid_pattern_tunnels", **place) == 3
    assert value(series, "vtid_pattern_tunnels_up", **place) == 2


@pytest.mark.parametrize("state", TunnelState)
def test_exactly_one_state_holds(state: TunnelState) -> None:
    series = read(status(replace(UP, state=state)))
    states = {
        word: value(series, "vtid_tunnel_state", tunnel=UP.tunnel, state=word)
        for word in TunnelState
    }
    assert states == {word: float(word is state) for word in TunnelState}


def test_a_change_in_place_is_no_outage() -> None:
    pending = replace(UP, state=TunnelState.PENDING)
    assert value(read(status(pending)), "vtid_tunnel_up", tunnel=UP.tunnel) == 1
    for unfinished in (
        replace(pending, link=None),
        replace(pending, link=link(up=False)),
        replace(pending, sas=()),
    ):
        assert value(read(status(unfinished)), "vtid_tunnel_up", tunnel=UP.tunnel) == 0


def test_a_rekey_makes_no_new_series() -> None:
    rekeyed = replace(UP, sas=(sa(8, installed_at=2000.0),))
    during = replace(UP, sas=(*UP.sas, *rekeyed.sas))
    before, between, after = (read(status(picture)) for picture in (UP, during, rekeyed))
    assert before.keys() == between.keys() == after.keys()
    assert value(between, "vtid_tunnel_child_sas", tunnel=UP.tunnel) == 2
    assert value(between, "vtid_tunnel_up", tunnel=UP.tunnel) == 1


def test_the_newest_sa_counts() -> None:
    two = replace(UP, sas=(sa(9, encap=True, installed_at=2000.0), sa(7)))
    series = read(status(two))
    assert value(series, "vtid_tunnel_sa_installed_timestamp_seconds", tunnel=UP.tunnel) == 2000
    assert labels_of(series, "vtid_tunnel_info", tunnel=UP.tunnel, encap="udp")


def test_info_says_what_the_tunnel_is() -> None:
    (info,) = labels_of(read(FULL), "vtid_tunnel_info", tunnel="private/vti42")
    assert info == {
        "tunnel": "private/vti42",
        "policy": "V2-1/*",
        "netns": "private",
        "interface": "vti42",
        "kind": "vti",
        "local": "192.0.2.1",
        "remote": "192.0.2.2",
        "esp": "AES_GCM_16-256",
        "encap": "none",
    }


def test_sizes() -> None:
    series = read(FULL)
    name = UP.tunnel
    assert value(series, "vtid_tunnel_mtu_bytes", tunnel=name) == 1446
    assert value(series, "vtid_tunnel_underlay_mtu_bytes", tunnel=name) == 1500
    assert value(series, "vtid_tunnel_mss_bytes", tunnel=name, family="ipv4") == 1406
    assert value(series, "vtid_tunnel_mss_bytes", tunnel=name, family="ipv6") == 1386


def test_one_bound_counts() -> None:
    series = read(FULL)
    found = {
        bound: value(series, "vtid_tunnel_mtu_limited", tunnel=UP.tunnel, bound=bound)
        for bound in Bound
    }
    assert found == {bound: int(bound is Bound.PROVEN) for bound in Bound}


def test_what_is_not_known_has_no_sample() -> None:
    series = read(status(DOWN))
    for name in (
        "vtid_tunnel_mtu_limited",
        "vtid_tunnel_mtu_bytes",
        "vtid_tunnel_underlay_mtu_bytes",
        "vtid_tunnel_mss_bytes",
        "vtid_tunnel_state_changed_timestamp_seconds",
        "vtid_tunnel_sa_installed_timestamp_seconds",
        "vtid_tunnel_receive_bytes_total",
    ):
        assert labels_of(series, name) == []


def test_what_happened_is_counted() -> None:
    series = read(FULL)
    names = ("ups", "downs", "rekeys", "retries")
    up = [value(series, f"vtid_tunnel_{name}_total", tunnel=UP.tunnel) for name in names]
    down = [value(series, f"vtid_tunnel_{name}_total", tunnel="vti50") for name in names]
    assert (up, down) == ([3, 2, 7, 1], [0, 0, 0, 0])


def test_counters() -> None:
    series = read(FULL)
    found = {
        name: value(series, f"vtid_tunnel_{name}_total", tunnel="private/vti42")
        for name in ("receive_bytes", "transmit_bytes", "receive_packets", "transmit_packets",
                     "receive_errors", "transmit_errors", "receive_drops", "transmit_drops",
                     "transmit_carrier_errors")
    }  # fmt: skip
    assert list(found.values()) == [1000, 2000, 10, 20, 1, 2, 3, 4, 5]


def test_bgp() -> None:
    series = read(FULL)
    up = {"tunnel": "private/vti42", "bird": "private", "protocol": "vtid_vti42"}
    assert value(series, "vtid_bgp_up", **up) == 1
    assert value(series, "vtid_bgp_state_changed_timestamp_seconds", **up) == 1700
    assert value(series, "vtid_bgp_bfd_up", **up) == 1
    words = ("routes_imported", "routes_filtered", "routes_exported", "routes_preferred",
             "limit_reached")  # fmt: skip
    for family, found in {"ipv4": [12, 2, 3, 11, 0], "ipv6": [0, None, 0, 0, 1]}.items():
        assert [value(series, f"vtid_bgp_{w}", **up, family=family) for w in words] == found
    missing = {"tunnel": "private/vti43", "bird": "private", "protocol": "vtid_vti43"}
    assert value(series, "vtid_bgp_up", **missing) == 0
    assert value(series, "vtid_bgp_state", **missing, state="missing") == 1
    assert value(series, "vtid_bgp_bfd_up", **missing) is None
    assert labels_of(series, "vtid_bgp_routes_imported") == [
        {**up, "family": family} for family in ("ipv4", "ipv6")
    ]


def test_changes_of_routes() -> None:
    series = read(FULL)
    channel = {
        "tunnel": "private/vti42",
        "bird": "private",
        "protocol": "vtid_vti42",
        "family": "ipv4",
    }
    found = labels_of(series, "vtid_bgp_changes_total", **channel)
    values = {
        (one["direction"], one["change"], one["result"]): value(
            series, "vtid_bgp_changes_total", **one
        )
        for one in found
    }
    assert len(values) == 15
    assert values["import", "update", "received"] == 20
    assert values["import", "update", "filtered"] == 2
    assert values["import", "withdraw", "ignored"] == 1
    assert values["export", "update", "accepted"] == 3
    assert values["export", "withdraw", "accepted"] == 7
    assert not labels_of(series, "vtid_bgp_changes_total", family="ipv6")


def test_bfd_times() -> None:
    session = {"tunnel": "private/vti42", "bird": "private", "protocol": "vtid_vti42"}
    series = read(FULL)
    assert value(series, "vtid_bgp_bfd_interval_seconds", **session) == 0.2
    assert value(series, "vtid_bgp_bfd_timeout_seconds", **session) == 1
    assert value(series, "vtid_bgp_bfd_state_changed_timestamp_seconds", **session) == 1710


def test_protocols_of_one_name_in_two_birds() -> None:
    """As the daemons of BIRD 1.6 have them for the two families of a tunnel."""
    other = replace(ESTABLISHED, bird="private4", state="start", info="Active")
    series = read(status(replace(UP, bgp=(ESTABLISHED, other))))
    same = {"tunnel": "private/vti42", "protocol": "vtid_vti42"}
    assert value(series, "vtid_bgp_up", **same, bird="private") == 1
    assert value(series, "vtid_bgp_up", **same, bird="private4") == 0


@pytest.mark.parametrize(
    ("state", "info", "word"),
    [
        ("up", "Established", "established"),
        ("start", "Active        Socket: Connection refused", "active"),
        ("start", "Passive", "active"),
        ("start", "OpenConfirm", "open_confirm"),
        ("start", "OpenSent", "open_sent"),
        ("start", "Connect", "connect"),
        ("start", "Idle          BGP Error: Bad peer AS", "idle"),
        ("stop", "Close", "idle"),
        ("down", "", "down"),
        ("", "", "missing"),
    ],
)
def test_bgp_state_is_a_word_of_the_rfc(state: str, info: str, word: str) -> None:
    session = BgpState("p", state, info, "")
    series = read(status(replace(UP, bgp=(session,))))
    holding = [
        found["state"]
        for found in labels_of(series, "vtid_bgp_state", protocol="p")
        if value(series, "vtid_bgp_state", **found) == 1
    ]
    assert holding == [word]


def test_the_daemon() -> None:
    series = read(FULL)
    assert value(series, "vtid_ready") == 1
    assert value(series, "vtid_vici_up") == 1
    assert value(series, "vtid_problems") == 1
    assert value(series, "vtid_config_reload_failed") == 0
    assert value(series, "vtid_config_loaded_timestamp_seconds") == 950
    assert value(series, "vtid_build_info", version="0.1.0") == 1
    assert value(series, "vtid_netlink_up", netns="private") == 1
    assert value(series, "vtid_bird_up", bird="main") == 1
    assert value(series, "vtid_bird_reconfigurations_total", bird="main") == 5
    assert value(series, "vtid_bird_refusals_total", bird="main") == 1
    assert value(series, "vtid_bird_undos_total", bird="main") == 2
    assert value(series, "vtid_bird_unconfirmed", bird="main") == 1
    assert value(series, "vtid_bird_push_seconds", bird="main") == 0.25
    assert value(series, "vtid_bird_last_success_timestamp_seconds", bird="main") == 1800
    assert value(series, "vtid_bird_start_timestamp_seconds", bird="main") == 1750
    assert value(series, "vtid_bird_reconfigured_timestamp_seconds", bird="main") == 1790
    why = "/etc/bird/vtid.conf:7:3 syntax error"
    assert value(series, "vtid_bird_refusal_info", bird="main", message=why) == 1


def test_trouble_shows() -> None:
    series = read(
        status(
            vici_connected=False,
            vici_error="refused",
            config_error="line 3: unknown key",
            ready=False,
            namespaces=(("private", "missing"),),
            birds=(),
        )
    )
    for name in ("vtid_vici_up", "vtid_ready"):
        assert value(series, name) == 0
    assert value(series, "vtid_netlink_up", netns="private") == 0
    assert value(series, "vtid_config_reload_failed") == 1


def test_a_name_that_comes_twice_does_not_lose_the_scrape() -> None:
    twice = replace(UP, bgp=(ESTABLISHED, ESTABLISHED))
    assert value(read(status(twice, twice)), "vtid_tunnel_up", tunnel=UP.tunnel) == 1


def test_names_follow_the_conventions() -> None:
    """The rules of `promtool check metrics`, and what the units of a name promise."""
    for family in families(exposed(FULL)):
        assert re.fullmatch(r"vtid_[a-z0-9_]+", family.name)
        assert family.documentation.endswith(".")
        assert family.type in {"counter", "gauge"}
        assert not re.search(r"_(gauge|counter|milliseconds|minutes|kilobytes)(_|$)", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            if "_timestamp" in family.name:
                assert sample.name.endswith("_timestamp_seconds")
            if family.name.endswith("_info"):
                assert sample.value == 1


def test_openmetrics_has_the_same_series_with_units() -> None:
    text = exposed(FULL, openmetrics=True)
    found = list(openmetrics(text + END))  # type: ignore[no-untyped-call]
    same = {
        ((sample.name, frozenset(sample.labels.items())), float(sample.value))
        for family in found
        for sample in family.samples
    }
    assert same == set(read(FULL).items())
    for family in found:
        last = family.name.rpartition("_")[2]
        assert family.unit == (last if last in {"seconds", "bytes"} else "")


def test_a_help_needs_no_escape() -> None:
    """The two formats do not agree on how a quote is written."""
    texts = [family.documentation for family in families(exposed(FULL))]
    assert not [text for text in texts if set(text) & set('\\"\n')]


def test_a_broken_family_costs_its_own_samples_only() -> None:
    told: list[tuple[str, str]] = []
    wrong = replace(UP, clamp="none")  # type: ignore[arg-type]

    def broken(collector: str, family: str, _error: Exception) -> None:
        told.append((collector, family))

    text = exposed(status(wrong), broken=broken)
    assert told == [("mtu", "vtid_tunnel_mss_bytes")]
    found = {sample.name for family in families(text) for sample in family.samples}
    assert {"vtid_tunnel_up", "vtid_tunnel_info", "vtid_bgp_up"} <= found
    assert "vtid_tunnel_mss_bytes" not in found


def test_each_family_is_in_one_piece() -> None:
    """HELP, TYPE, then all samples: a second piece of a family is an error to Prometheus."""
    text = exposed(FULL)
    assert text.endswith("\n")
    headings = Counter(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert set(headings.values()) == {1}
    assert list(headings) == re.findall(r"^# HELP (\S+)", text, re.MULTILINE)
    current = ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            current = line.split()[2]
        elif not line.startswith("#"):
            assert re.split(r"[{ ]", line)[0] == current


ANYTHING = st.lists(st.characters() | st.characters(categories=("Cs", "Cc"))).map("".join)
"""Text with many controls and lone surrogates, of which st.text() has next to none."""

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@given(ANYTHING)
def test_a_hostile_value_stays_in_its_quotes(hostile: str) -> None:
    line = f"vtid_x{{{labels(name=hostile)}}} 1\n"
    line.encode()  # no lone surrogates
    (family,) = families(line)
    (sample,) = family.samples
    assert sample.labels == {"name": CONTROL.sub("\ufffd", hostile)}


@given(st.lists(ANYTHING, min_size=4, max_size=4))
def test_hostile_names_everywhere(names: list[str]) -> None:
    tunnel, policy, protocol, bird = names
    picture = status(
        replace(UP, tunnel=tunnel, policy=policy, bgp=(replace(ESTABLISHED, protocol=protocol),)),
        birds=(replace(FULL.birds[0], instance=bird, version=policy),),
        namespaces=((protocol, "x"),),
    )
    series = read(picture)
    clean = CONTROL.sub("\ufffd", tunnel)
    assert value(series, "vtid_tunnel_up", tunnel=clean) == 1
    assert value(series, "vtid_tunnel_receive_bytes_total", tunnel=clean) == 1000


def test_escapes_of_the_format() -> None:
    assert escape('a\\b"c\nd') == r"a\\b\"c\nd"
    assert escape("Zürich → 2") == "Zürich → 2"
