"""How `vtictl` shows the daemon's JSON to a person. Pure.

Only a small part of the standard library is imported: `vtictl` has to start fast. Lines carry text
as the daemon sent it; `printable.escape` makes it safe for a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.units import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.ctl.client import Json


def place(tunnel: Json) -> str:
    """Write the interface of a tunnel, after its namespace."""
    return f"{tunnel['netns']}/{tunnel['interface']}" if tunnel["netns"] else tunnel["interface"]


def newest(tunnel: Json) -> Json | None:
    """Return the CHILD_SA of a tunnel that was installed last."""
    sas: list[Json] = tunnel["sas"]
    return max(sas, key=lambda sa: (sa["installed_at"], sa["unique_id"]), default=None)


def algorithms(sa: Json) -> str:
    """Write the ciphers of a CHILD_SA, and how its packets travel."""
    esp = sa["esp"]
    encr = f"{esp['encr']}-{esp['encr_keysize']}" if esp["encr_keysize"] else esp["encr"]
    words = [encr, esp["integ"], "ESN" if esp["esn"] else "", "UDP" if sa["encap"] else ""]
    return "/".join(word for word in words if word)


def _established(protocol: Json) -> bool:
    return str(protocol["info"]).split(" ", 1)[0] == "Established"


def bgp_summary(sessions: list[Json]) -> str:
    """Write how many sessions are up."""
    if not sessions:
        return "-"
    up = sum(map(_established, sessions))
    return "up" if up == len(sessions) else f"{up} of {len(sessions)} up"


def details(tunnel: Json, now: float) -> Iterator[str]:
    """Write what `vtictl show` shows."""
    since = f", for {span(now - tunnel['since'])}" if tunnel["since"] else ""
    rows = [("tunnel", tunnel["tunnel"]), ("state", f"{tunnel['state']}{since}")]
    if tunnel["mode"] != "managed":
        rows.append(("mode", f"{tunnel['mode']} by the operator"))
    rows += [("reason", tunnel["reason"]), ("error", tunnel["error"])]
    if tunnel["failures"]:
        rows.append(("failures", f"{tunnel['failures']} since the last success"))
    rows += [("policy", tunnel["policy"]), ("interface", _interface(tunnel))]
    rows += [("address", address) for address in tunnel["addresses"]]
    rows += [("route", _route(route)) for route in tunnel["routes"]]
    rows += list(_link_rows(tunnel))
    rows += list(_probe_rows(tunnel["probe"], now)) if tunnel["probe"] else []
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
    yield from _bound_rows(tunnel)
    if clamp:
        yield "mss", f"{clamp['mss4']} bytes for IPv4, {clamp['mss6']} for IPv6"
    if tunnel["underlay_mtu"]:
        yield "underlay", f"{tunnel['underlay_mtu']} bytes by {tunnel['underlay_interface']}"


def _bound_rows(tunnel: Json) -> Iterator[tuple[str, str]]:
    """Write each bound of the MTU, in order, and which one counts."""
    for one in tunnel["mtu_bounds"]:
        where = f", of {one['outside']} outside" if one["outside"] else ""
        counts = ", which counts" if one["bound"] == tunnel["mtu_limit"] else ""
        yield "  bound", f"{one['bound']} {one['inside']}{where}{counts}"


def _probe_rows(probe: Json, now: float) -> Iterator[tuple[str, str]]:
    """Write what probes found: sizes that pass, and whether the peer answers."""
    if probe["search"]:
        proven, computed = probe["proven_mtu"], probe["computed_mtu"]
        words = f"{proven} of {computed} bytes pass" if proven else "unverified"
        yield "proven", f"{words} ({probe['search']})"
    last = f", last {span(now - probe['answered_at'])} ago" if probe["answered"] else ""
    rtt = f" in {probe['rtt'] * 1000:.1f} ms" if probe["answered"] else ""
    silent = "; the peer is silent" if probe["alive"] is False else ""
    error = f"; {probe['error']}" if probe["error"] else ""
    counts = f"{probe['answered']} of {probe['sent']} answered"
    yield "probes", f"to {probe['peer']}: {counts}{last}{rtt}{silent}{error}"


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
    cpu = "" if sa["cpu"] is None else f" for CPU {sa['cpu']}"
    return (
        f"{sa['connection']}/{sa['child']}{{{sa['unique_id']}}} {sa['state']} {sa['mode']} "
        f"{algorithms(sa)}{cpu}, {sa['local_id']} → {sa['remote_id']}, {selectors}"
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


def reloaded(result: Json) -> Iterator[str]:
    """Write what a reload did."""
    if not result["ok"]:
        yield "configuration refused, the old one stays:"
        yield from result["errors"]
        return
    changes = result["changes"]
    yield f"configuration loaded, {'it differs in' if changes else 'nothing differs'}"
    yield from (f"  {line}" for line in changes[:_CHANGES_SHOWN])
    if len(changes) > _CHANGES_SHOWN:
        yield f"  … and {len(changes) - _CHANGES_SHOWN} more"
    yield f"{result['operations']} operations followed"
    yield from (f"warning: {line}" for line in result["warnings"])
    yield from (f"! {line}" for line in result["problems"])
    if not result["finished"]:
        yield "! not finished yet: `vtictl status` says what is wrong"


_CHANGES_SHOWN = 20
