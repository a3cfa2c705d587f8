"""How `vtictl` shows the daemon's JSON to a person. Pure.

Only a small part of the standard library is imported: `vtictl` has to start fast. Lines carry text
as the daemon sent it; `printable.escape` makes it safe for a terminal.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from vtid.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vtid.ctl.client import Json

# --- what is in trouble --------------------------------------------------------------------------


def troubles(status: Json) -> Iterator[str]:
    """Yield everything that needs attention, one line each with the way out."""
    if status["config_error"]:
        yield f"configuration refused, an older one is in use: {status['config_error']}"
    if not status["vici_connected"]:
        yield f"charon: {status['vici_error'] or 'not connected'}"
    yield from (
        f"namespace {name or '(own)'}: {error}" for name, error in status["namespaces"] if error
    )
    for bird in status["birds"]:
        if bird["error"] or not bird["connected"]:
            yield f"bird {bird['instance']}: {bird['error'] or 'not connected'}"
    for one in status["initiations"]:
        if one["error"]:
            yield f"{one['tunnel']}: {one['error']}"
    yield from status["problems"]
    for tunnel in status["tunnels"]:
        if tunnel["error"] and tunnel["error"] not in status["problems"]:
            yield f"{tunnel['tunnel']}: {tunnel['error']}"


# --- how it looks --------------------------------------------------------------------------------

_COLUMNS = ("TUNNEL", "INTERFACE", "STATE", "LOCAL → REMOTE", "ESP", "MTU", "MSS", "BGP", "SINCE")


def overview(status: Json, found: list[str], now: float) -> Iterator[str]:
    """Write what `vtictl tunnels` shows."""
    yield f"vtid {status['version']}, up {span(now - status['started_at'])}, " + (
        "ready" if status["ready"] else f"waiting for {', '.join(status['waiting_for'])}"
    )
    yield f"charon  {'connected' if status['vici_connected'] else 'NOT CONNECTED'}"
    for bird in status["birds"]:
        yield f"bird    {_bird(bird)}"
    for one in status["initiations"]:
        if not one["up"]:
            yield f"charon  {_initiation(one, now)}"
    if status["tunnels"]:
        yield ""
        yield from table(_COLUMNS, [_tunnel_row(tunnel, now) for tunnel in status["tunnels"]])
    if status["patterns"]:
        yield ""
        yield from (_pattern(one) for one in status["patterns"])
    if found:
        yield ""
        yield from (f"! {line}" for line in found)


def _pattern(one: Json) -> str:
    tunnels = "1 tunnel" if one["tunnels"] == 1 else f"{one['tunnels']} tunnels"
    return f"policy  {one['policy']} ({one['interface']}): {tunnels}, {one['up']} up"


def _initiation(one: Json, now: float) -> str:
    asked = f"asked {one['asked']} times to initiate {one['connection']}/{one['child']}"
    return asked + (f", next in {span(one['next_at'] - now)}" if one["next_at"] > now else "")


def _bird(bird: Json) -> str:
    up = sum(_established(protocol) for protocol in bird["protocols"])
    state = f"connected, BIRD {bird['version']}" if bird["connected"] else "NOT CONNECTED"
    waits = ", file not confirmed yet" if bird["unconfirmed"] else ""
    sessions = f"{up} of {len(bird['protocols'])} BGP sessions up"
    return f"{bird['instance']}: {state}, {sessions}{waits}"


def _tunnel_row(tunnel: Json, now: float) -> list[str]:
    return [
        tunnel["tunnel"],
        _place(tunnel),
        tunnel["state"],
        _endpoints(tunnel),
        _esp(tunnel),
        str(tunnel["link"]["mtu"]) if tunnel["link"] else "-",
        "{mss4}/{mss6}".format(**tunnel["clamp"]) if tunnel["clamp"] else "-",
        _bgp_summary(tunnel["bgp"]),
        span(now - tunnel["since"]) if tunnel["since"] else "-",
    ]


def _place(tunnel: Json) -> str:
    return f"{tunnel['netns']}/{tunnel['interface']}" if tunnel["netns"] else tunnel["interface"]


def _newest(tunnel: Json) -> Json | None:
    sas: list[Json] = tunnel["sas"]
    return max(sas, key=lambda sa: (sa["installed_at"], sa["unique_id"]), default=None)


def _endpoints(tunnel: Json) -> str:
    sa, link = _newest(tunnel), tunnel["link"]
    if sa:
        return f"{sa['local_host']} → {sa['remote_host']}"
    return f"{link['local']} → {link['remote']}" if link else "-"


def _esp(tunnel: Json) -> str:
    sa = _newest(tunnel)
    return _algorithms(sa) if sa else "-"


def _algorithms(sa: Json) -> str:
    esp = sa["esp"]
    encr = f"{esp['encr']}-{esp['encr_keysize']}" if esp["encr_keysize"] else esp["encr"]
    words = [encr, esp["integ"], "ESN" if esp["esn"] else "", "UDP" if sa["encap"] else ""]
    return "/".join(word for word in words if word)


def _established(protocol: Json) -> bool:
    return str(protocol["info"]).split(" ", 1)[0] == "Established"


def _bgp_summary(sessions: list[Json]) -> str:
    if not sessions:
        return "-"
    up = sum(map(_established, sessions))
    return "up" if up == len(sessions) else f"{up} of {len(sessions)} up"


def details(tunnel: Json, now: float) -> Iterator[str]:
    """Write what `vtictl show` shows."""
    since = f", for {span(now - tunnel['since'])}" if tunnel["since"] else ""
    rows = [("tunnel", tunnel["tunnel"]), ("state", f"{tunnel['state']}{since}")]
    rows += [("reason", tunnel["reason"]), ("error", tunnel["error"])]
    if tunnel["failures"]:
        rows.append(("failures", f"{tunnel['failures']} since the last success"))
    rows += [("policy", tunnel["policy"]), ("interface", _interface(tunnel))]
    rows += [("address", address) for address in tunnel["addresses"]]
    rows += [("route", _route(route)) for route in tunnel["routes"]]
    rows += list(_link_rows(tunnel))
    rows += [("CHILD_SA", _sa(sa)) for sa in tunnel["sas"]]
    rows += [row for session in tunnel["bgp"] for row in _session_rows(session)]
    yield from (f"{name:<10}{value}" for name, value in rows if value)
    if tunnel["history"]:
        yield ""
        yield "last operations"
        yield from (_past(op, now) for op in reversed(tunnel["history"]))


def _past(op: Json, now: float) -> str:
    what = f"{op['op']} {op['subject']}".strip()
    error = f": {op['error']}" if op["error"] else ""
    return f"{span(now - op['at']):>7} ago  {op['result']:<9}  {what} ({op['reason']}){error}"


def _interface(tunnel: Json) -> str:
    place = f" in namespace {tunnel['netns']}" if tunnel["netns"] else ""
    index = f", index {tunnel['ifindex']}" if tunnel["ifindex"] else ", absent"
    return f"{tunnel['interface']}{place}{index}"


def _link_rows(tunnel: Json) -> Iterator[tuple[str, str]]:
    link, clamp = tunnel["link"], tunnel["clamp"]
    if link:
        vrf = f", in VRF {link['vrf']}" if link["vrf"] else ""
        yield "link", f"{link['kind']} {_keys(link)}, {'up' if link['up'] else 'down'}{vrf}"
        smaller = 0 < tunnel["path_mtu"] < link["mtu"]
        fits = f", of which {tunnel['path_mtu']} fit into the SA" if smaller else ""
        yield "mtu", f"{link['mtu']} bytes{fits}"
    if clamp:
        yield "mss", f"{clamp['mss4']} bytes for IPv4, {clamp['mss6']} for IPv6"
    if tunnel["underlay_mtu"]:
        yield "underlay", f"{tunnel['underlay_mtu']} bytes by {tunnel['underlay_interface']}"


def _route(route: Json) -> str:
    return f"{route['to']} metric {route['metric']} table {route['table']}"


def _keys(link: Json) -> str:
    """Write what the kernel tells the link's SAs by."""
    if link["if_id"]:
        return f"if_id {link['if_id']}"
    ends = f"{link['local']} → {link['remote']}"
    return f"{ends}, marks in {link['ikey']:#x} out {link['okey']:#x}"


def _sa(sa: Json) -> str:
    selectors = f"{' '.join(sa['local_ts'])} === {' '.join(sa['remote_ts'])}"
    return (
        f"{sa['connection']}/{sa['child']}{{{sa['unique_id']}}} {sa['state']} {sa['mode']} "
        f"{_algorithms(sa)}, {sa['local_id']} → {sa['remote_id']}, {selectors}"
    )


def _session_rows(session: Json) -> Iterator[tuple[str, str]]:
    name = f"{session['protocol']} {session['neighbor']}".strip()
    if not session["state"]:
        yield "BGP", f"{name}: BIRD has no such session"
        return
    words = [f"{session['info'] or session['state']} since {session['since']}"]
    words += [f"BFD {session['bfd']}"] if session["bfd"] else []
    words += [f"last error: {session['last_error']}"] if session["last_error"] else []
    yield "BGP", f"{name}: {', '.join(words)}"
    for channel in session["channels"]:
        yield f"  {channel['family']}", _channel(channel)


def _channel(channel: Json) -> str:
    counts = [
        f"{channel[word]} {word}"
        for word in ("imported", "filtered", "preferred", "exported")
        if channel[word] is not None
    ]
    routes = f"routes {', '.join(counts)}" if counts else "no routes"
    return ", ".join([routes, *(f"{name} limit reached" for name in channel["limits_hit"])])


def operation(op: Json) -> str:
    """Write one operation of a plan, with its reason."""
    facts = [_fact(key, value) for key, value in op.items() if key not in _SAID_ELSEWHERE]
    return f"{op['tunnel']}: {' '.join([op['op'], *facts])} ({op['reason']})"


_SAID_ELSEWHERE = {"op", "tunnel", "reason"}


def _fact(key: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    if key == "link":
        return f"{value['kind']} {value['name']} mtu {value['mtu']}"
    if key == "block":
        return f"{value['instance']}: {', '.join(s['name'] for s in value['sessions'])}"
    if key == "route":
        return _route(value)
    if key == "clamp":
        return f"mss {value['mss4']}/{value['mss6']}"
    if isinstance(value, str):
        return f"{key}={value}"
    return f"{key}={json.dumps(value, separators=(',', ':'))}"


_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def span(seconds: float) -> str:
    """Write a time span with its two largest units: `3d4h`, `2m10s`, `0s`."""
    rest = max(0, int(seconds))
    for (size, unit), (smaller, minor) in pairwise(_UNITS):
        if rest >= size:
            count = rest % size // smaller
            return f"{rest // size}{unit}" + (f"{count}{minor}" if count else "")
    return f"{rest}s"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align columns to the left, two spaces apart."""
    cells = [[escape(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(
            f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()
