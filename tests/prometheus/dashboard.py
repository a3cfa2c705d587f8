"""The dashboard for Grafana, etc/grafana/vtid.json, written from a table of panels.

    python -m tests.prometheus.dashboard

A row of the table is a panel: title, unit, and a query for each legend. Grafana's format is as
Grafana 9 and later read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / "etc" / "grafana" / "vtid.json"

OF = 'job=~"$job",instance=~"$instance"'
TUNNEL = f'{OF},tunnel=~"$tunnel"'
RATE = "$__rate_interval"
WIDTH, HEIGHT, ACROSS = 24, 8, 3

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One panel: `queries` are PromQL by legend."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    text: str = ""


def _counter(name: str, labels: str = TUNNEL) -> str:
    return f"rate({name}{{{labels}}}[{RATE}])"


def _states(name: str, labels: str) -> str:
    return f"sum by (state) ({name}{{{labels}}})"


ROWS: dict[str, tuple[Panel, ...]] = {
    "Overview": (
        Panel("Tunnels up", {"": f"sum(vtid_tunnel_up{{{OF}}})"}, kind="stat"),
        Panel(
            "Tunnels down", {"": f"count(vtid_tunnel_up{{{OF}}} == 0) or vector(0)"}, kind="stat"
        ),
        Panel(
            "BGP sessions down", {"": f"count(vtid_bgp_up{{{OF}}} == 0) or vector(0)"}, kind="stat"
        ),
        Panel(
            "Tunnels by state",
            {"{{state}}": _states("vtid_tunnel_state", TUNNEL)},
            text="pending: operations are under way; holding: waits for an SA to come back.",
        ),
        Panel(
            "Share of the last day that a tunnel was up: the ten worst",
            {"{{tunnel}}": f"bottomk(10, tunnel:vtid_tunnel_up:avg1d{{{TUNNEL}}})"},
            "percentunit",
        ),
        Panel(
            "Firing alerts",
            {
                "{{alertname}}": "sum by (alertname) "
                '(ALERTS{alertname=~"Vtid.*",alertstate="firing"})'
            },
        ),
    ),
    "Tunnels and SAs": (
        Panel(
            "Traffic",
            {
                "{{tunnel}} in": f"8 * {_counter('vtid_tunnel_receive_bytes_total')}",
                "{{tunnel}} out": f"-8 * {_counter('vtid_tunnel_transmit_bytes_total')}",
            },
            "bps",
        ),
        Panel(
            "Packets",
            {
                "{{tunnel}} in": _counter("vtid_tunnel_receive_packets_total"),
                "{{tunnel}} out": f"-{_counter('vtid_tunnel_transmit_packets_total')}",
            },
            "pps",
        ),
        Panel(
            "Errors and drops",
            {
                "{{tunnel}} in": f"{_counter('vtid_tunnel_receive_errors_total')}"
                f" + {_counter('vtid_tunnel_receive_drops_total')}",
                "{{tunnel}} out": f"{_counter('vtid_tunnel_transmit_errors_total')}"
                f" + {_counter('vtid_tunnel_transmit_drops_total')}",
                "{{tunnel}} out, no SA": _counter("vtid_tunnel_transmit_carrier_errors_total"),
            },
            "pps",
        ),
        Panel(
            "Came up, went down",
            {
                "{{tunnel}} up": f"increase(vtid_tunnel_ups_total{{{TUNNEL}}}[{RATE}])",
                "{{tunnel}} down": f"-increase(vtid_tunnel_downs_total{{{TUNNEL}}}[{RATE}])",
            },
        ),
        Panel(
            "Rekeyings",
            {"{{tunnel}}": f"increase(vtid_tunnel_rekeys_total{{{TUNNEL}}}[{RATE}])"},
        ),
        Panel(
            "Age of the newest CHILD_SA",
            {"{{tunnel}}": f"time() - vtid_tunnel_sa_installed_timestamp_seconds{{{TUNNEL}}}"},
            "s",
        ),
        Panel(
            "Until the newest CHILD_SA is rekeyed",
            {"{{tunnel}}": f"vtid_tunnel_sa_rekey_timestamp_seconds{{{TUNNEL}}} - time()"},
            "s",
        ),
        Panel(
            "Policies that charon has no connection for",
            {"{{policy}}": f"vtid_policy_loaded{{{OF}}} == 0"},
        ),
        Panel(
            "Virtual IPs in use",
            {
                "{{pool}}": f"vtid_charon_pool_addresses_online{{{OF}}} "
                f"/ vtid_charon_pool_addresses{{{OF}}}"
            },
            "percentunit",
        ),
        Panel("CHILD_SAs", {"{{tunnel}}": f"vtid_tunnel_child_sas{{{TUNNEL}}}"}),
        Panel(
            "Dropped by IPsec",
            {
                "{{netns}} {{reason}}": "sum by (netns, reason) "
                f"({_counter('vtid_xfrm_drops_total', OF)}) > 0"
            },
            "pps",
        ),
        Panel(
            "Errors that charon met",
            {"{{type}}": f"sum by (type) (increase(vtid_charon_alerts_total{{{OF}}}[{RATE}])) > 0"},
        ),
        Panel(
            "To be initiated and not there",
            {"{{connection}}/{{child}}": f"vtid_initiate_up{{{OF}}} == 0"},
        ),
    ),
    "MTU and MSS": (
        Panel("MTU in force", {"{{tunnel}}": f"vtid_tunnel_mtu_bytes{{{TUNNEL}}}"}, "bytes"),
        Panel(
            "MTU computed and proven",
            {
                "{{tunnel}} computed": f"vtid_tunnel_mtu_computed_bytes{{{TUNNEL}}}",
                "{{tunnel}} proven": f"vtid_tunnel_mtu_proven_bytes{{{TUNNEL}}}",
            },
            "bytes",
        ),
        Panel(
            "What fits into the CHILD_SA",
            {"{{tunnel}}": f"vtid_tunnel_path_mtu_bytes{{{TUNNEL}}}"},
            "bytes",
        ),
        Panel(
            "MTU of the underlay",
            {"{{tunnel}}": f"vtid_tunnel_underlay_mtu_bytes{{{TUNNEL}}}"},
            "bytes",
        ),
        Panel(
            "MSS in force",
            {"{{tunnel}} {{family}}": f"vtid_tunnel_mss_bytes{{{TUNNEL}}}"},
            "bytes",
        ),
        Panel(
            "Handshakes that the clamp held",
            {"{{netns}} {{family}} {{direction}}": _counter("vtid_nft_clamped_packets_total", OF)},
            "pps",
        ),
        Panel(
            "Round-trip time of probes",
            {"{{tunnel}}": f"vtid_tunnel_probe_rtt_seconds{{{TUNNEL}}}"},
            "s",
        ),
    ),
    "BGP and failover": (
        Panel("Sessions by state", {"{{state}}": _states("vtid_bgp_state", TUNNEL)}),
        Panel(
            "Session up",
            {
                "{{protocol}}": f"vtid_bgp_up{{{TUNNEL}}}",
                "{{protocol}} BFD": f"vtid_bgp_bfd_up{{{TUNNEL}}}",
            },
        ),
        Panel(
            "Routes that are the best ones",
            {"{{protocol}} {{family}}": f"vtid_bgp_routes_preferred{{{TUNNEL}}}"},
            text="In a failover, the lines of the two tunnels change places.",
        ),
        Panel(
            "Routes imported",
            {"{{protocol}} {{family}}": f"vtid_bgp_routes_imported{{{TUNNEL}}}"},
        ),
        Panel(
            "Routes exported",
            {"{{protocol}} {{family}}": f"vtid_bgp_routes_exported{{{TUNNEL}}}"},
        ),
        Panel(
            "Updates and withdraws",
            {
                "{{direction}} {{change}}": "sum by (direction, change) "
                f'(rate(vtid_bgp_changes_total{{{TUNNEL},result="received"}}[{RATE}]))'
            },
            "ops",
        ),
        Panel(
            "Pushes to BIRD",
            {
                f"{{{{bird}}}} {what}": f"increase(vtid_bird_{what}_total{{{OF}}}[{RATE}])"
                for what in ("reconfigurations", "refusals", "undos")
            },
        ),
    ),
    "vtid itself": (
        Panel(
            "Peers",
            {
                "charon": f"vtid_vici_up{{{OF}}}",
                "namespace {{netns}}": f"vtid_netlink_up{{{OF}}}",
                "nftables in {{netns}}": f"vtid_nft_up{{{OF}}}",
                "BIRD {{bird}}": f"vtid_bird_up{{{OF}}}",
            },
        ),
        Panel(
            "Since the last answer",
            {
                "charon": f"time() - vtid_vici_last_success_timestamp_seconds{{{OF}}}",
                "namespace {{netns}}": "time() - "
                f"vtid_netlink_last_success_timestamp_seconds{{{OF}}}",
                "nftables in {{netns}}": "time() - "
                f"vtid_nft_last_success_timestamp_seconds{{{OF}}}",
                "BIRD {{bird}}": f"time() - vtid_bird_last_success_timestamp_seconds{{{OF}}}",
            },
            "s",
        ),
        Panel(
            "From event to done",
            {
                name: f"histogram_quantile({share}, sum by (le) "
                f"(rate(vtid_event_to_done_seconds_bucket{{{OF}}}[{RATE}])))"
                for name, share in {"half": 0.5, "95 of 100": 0.95, "99 of 100": 0.99}.items()
            },
            "s",
        ),
        Panel(
            "Event loop",
            {
                "99 of 100 turns": "histogram_quantile(0.99, sum by (le) "
                f"(rate(vtid_loop_lag_seconds_bucket{{{OF}}}[{RATE}])))",
                "time that inputs wait": "histogram_quantile(0.99, sum by (le) "
                f"(rate(vtid_inbox_wait_seconds_bucket{{{OF}}}[{RATE}])))",
            },
            "s",
        ),
        Panel(
            "Operations",
            {"{{op}} {{result}}": f"sum by (op, result) ({_counter('vtid_ops_total', OF)})"},
            "ops",
        ),
        Panel(
            "Inputs",
            {"{{type}}": f"sum by (type) ({_counter('vtid_inputs_total', OF)})"},
            "ops",
        ),
        Panel(
            "Threads and jobs of charon",
            {
                "idle threads": f"vtid_charon_workers_idle{{{OF}}}",
                "{{priority}} waits": f"vtid_charon_jobs_queued{{{OF}}}",
                "half-open IKE_SAs": f"vtid_charon_ike_sas_half_open{{{OF}}}",
            },
        ),
        Panel(
            "Until certificates end",
            {"{{name}}": f"vtid_charon_certificate_expiry_timestamp_seconds{{{OF}}} - time()"},
            "s",
        ),
        Panel("Inputs that wait", {"{{instance}}": f"vtid_inbox_inputs{{{OF}}}"}),
        Panel(
            "Reconnects, lists, overruns",
            {
                "connections to charon": f"increase(vtid_vici_connections_total{{{OF}}}[{RATE}])",
                "lists of charon": f"increase(vtid_vici_listings_total{{{OF}}}[{RATE}])",
                "dumps of {{netns}}": f"increase(vtid_netlink_dumps_total{{{OF}}}[{RATE}])",
                "overruns of {{netns}}": f"increase(vtid_netlink_overruns_total{{{OF}}}[{RATE}])",
            },
        ),
        Panel(
            "Processor and memory",
            {
                "processors": f"rate(process_cpu_seconds_total{{{OF}}}[{RATE}])",
                "GB": f"process_resident_memory_bytes{{{OF}}} / 1e9",
            },
        ),
    ),
}


def queries() -> list[str]:
    """All queries, those of the variables included."""
    panels = [panel for row in ROWS.values() for panel in row]
    return [query for panel in panels for query in panel.queries.values()]


def text() -> str:
    """Return the file."""
    return json.dumps(_dashboard(), indent=1, ensure_ascii=False) + "\n"


def _dashboard() -> dict[str, object]:
    panels: list[dict[str, object]] = []
    y = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place})
        y += 1
        for number, panel in enumerate(row):
            width = WIDTH // ACROSS
            at = {"x": number % ACROSS * width, "y": y, "w": width, "h": HEIGHT}
            panels.append(_panel(len(panels) + 1, panel, at))
            if number % ACROSS == ACROSS - 1 or number == len(row) - 1:
                y += HEIGHT
    return {
        "title": "vtid",
        "uid": "vtid",
        "tags": ["vtid", "ipsec", "bgp"],
        "schemaVersion": 37,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "graphTooltip": 1,
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, object]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": query, "legendFormat": name}
            for at, (name, query) in enumerate(panel.queries.items())
        ],
    }


def _variables() -> list[dict[str, object]]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource"}
    asked = {
        "job": "label_values(vtid_build_info, job)",
        "instance": 'label_values(vtid_build_info{job=~"$job"}, instance)',
        "tunnel": f"label_values(vtid_tunnel_up{{{OF}}}, tunnel)",
    }
    return [
        {**source, "query": "prometheus"},
        *(
            {
                "name": name,
                "type": "query",
                "datasource": SOURCE,
                "query": {"query": query, "refId": name},
                "refresh": 2,
                "sort": 1,
                "multi": True,
                "includeAll": True,
                "current": {"text": ["All"], "value": ["$__all"]},
            }
            for name, query in asked.items()
        ),
    ]


if __name__ == "__main__":
    FILE.write_text(text())
