"""Rules between several keys or tables of a configuration. Pure.

Rules of this file:

* A check takes tables that are valid on their own, by their index in the file, and yields a path
  and a message for each broken rule.
* A path is as in the parsed configuration, not as in the text: a session always has an index.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from vtid.config.interface import REMOTE_TS, own_address
from vtid.config.types import (
    ANY_REMOTE,
    NEIGHBOR_TEMPLATES,
    ONE_FAMILY_TEMPLATE,
    family_of,
    is_static,
    session_name,
)
from vtid.esp.mtu import IPV6_MIN_MTU
from vtid.model.link import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vtid.config.bgp import Bgp, DefaultBgp
    from vtid.config.keys import Bird, Daemon, Defaults, Policy
    from vtid.config.metrics import Metrics
    from vtid.config.toml_lines import Path

Finding: TypeAlias = "tuple[Path, str]"

Naming: TypeAlias = "Callable[[str, int], str]"
"""Returns how a message calls another table, `tunnel[3]`, by its array and index."""


def check_daemon(daemon: Daemon) -> Iterator[Finding]:
    """Check that the read-only socket has a group, and a place of its own."""
    path, group = daemon.read_only_socket, daemon.read_only_group
    if path and not group:
        needs = "needs `read_only_group` beside it: the group whose members may read"
        yield ("daemon", "read_only_socket"), needs
    if group and not path:
        yield ("daemon", "read_only_group"), "needs `read_only_socket` beside it"
    if path == daemon.control_socket:
        yield ("daemon", "read_only_socket"), f"{path} is the control socket: choose another place"


def check_metrics(metrics: Metrics) -> Iterator[Finding]:
    """Check that keys of TLS that need each other are both there."""
    tls = metrics.tls_server_config
    needs = (
        ("cert_file", tls.cert_file, "key_file", tls.key_file),
        ("key_file", tls.key_file, "cert_file", tls.cert_file),
        ("client_ca_file", tls.client_ca_file, "cert_file", tls.cert_file),
    )
    for key, value, other, there in needs:
        if value and not there:
            yield ("metrics", "tls_server_config", key), f"needs `{other}` beside it"
    if tls.client_auth_type and (tls.client_auth_type == "NoClientCert") == bool(
        tls.client_ca_file
    ):
        path = ("metrics", "tls_server_config", "client_auth_type")
        wrong = f'"{tls.client_auth_type}" excludes `client_ca_file`'
        yield path, wrong if tls.client_ca_file else "needs `client_ca_file`, to verify clients by"


def check_birds(birds: Mapping[int, Bird], called: Naming) -> Iterator[Finding]:
    """Check that no two BIRDs share a name, a socket or an include file."""
    for key in ("name", "socket", "include"):
        seen: dict[str, int] = {}
        for index, bird in birds.items():
            value = getattr(bird, key)
            first = seen.setdefault(value, index)
            if first != index:
                yield ("bird", index, key), f"{value!r} is already that of {called('bird', first)}"


def check_tunnels(policies: Mapping[int, Policy], called: Naming) -> Iterator[Finding]:
    """Check that no two policies have the same SAs or interface, and check each policy."""
    patterns: dict[tuple[str, str], int] = {}
    interfaces: dict[tuple[str, str], int] = {}
    for index, policy in policies.items():
        here: Path = ("tunnel", index)
        first = patterns.setdefault((policy.connection, policy.child), index)
        if first != index:
            claim = f"connection {policy.connection!r} with child {policy.child!r}"
            yield (*here, "connection"), f"{claim} is already claimed by {called('tunnel', first)}"
        for key in ("interface", "interface_in"):
            name = getattr(policy, key)
            first = interfaces.setdefault((policy.netns, name), index) if name else index
            if first != index and is_static(name):
                yield (*here, key), f"{name!r} is already that of {called('tunnel', first)}"
        yield from _check_interface_in(policy, here)
        yield from _check_mtu(policy, here)
        yield from _check_addresses(policy, here)
        yield from _check_routes(policy, here)
        yield from _check_probe(policy, here)


def _check_interface_in(policy: Policy, here: Path) -> Iterator[Finding]:
    """Check that an inbound interface is one of its own, and of a kind that needs it."""
    if not policy.interface_in:
        return
    path: Path = (*here, "interface_in")
    if policy.kind is not Kind.XFRM:
        yield path, 'is for `kind = "xfrm"`: a VTI has marks for both directions'
    if policy.interface_in == policy.interface:
        yield path, f"{policy.interface!r} is the outbound interface: each needs a name of its own"
    if policy.presence == "always":
        yield path, '`presence = "always"` declares one if_id for both directions: leave it out'


def _check_mtu(policy: Policy, here: Path) -> Iterator[Finding]:
    if not isinstance(policy.mtu, int) or policy.mtu >= IPV6_MIN_MTU:
        return
    routes = (route.to for route in policy.routes if route.to != REMOTE_TS)
    inner = (*policy.addresses, *(session.neighbor for session in policy.bgp), *routes)
    for address in inner:
        if family_of(address) == "ipv6":
            why = f"an interface MTU below {IPV6_MIN_MTU} takes IPv6 away from the interface"
            yield (*here, "mtu"), f"{policy.mtu} is too small for {address}: {why}"
            return


def _check_addresses(policy: Policy, here: Path) -> Iterator[Finding]:
    seen: set[str] = set()
    for number, address in enumerate(policy.addresses):
        if address in seen:
            yield (*here, "addresses", number), f"{address} is there twice"
        seen.add(address)


def _check_routes(policy: Policy, here: Path) -> Iterator[Finding]:
    seen: set[tuple[object, ...]] = set()
    for number, route in enumerate(policy.routes):
        key = (route.to, route.metric, route.table)
        if key in seen:
            yield (*here, "routes", number, "to"), f"{route.to} is there twice"
        seen.add(key)


def _check_probe(policy: Policy, here: Path) -> Iterator[Finding]:
    probe, path = policy.probe, (*here, "probe")
    if probe.peer and policy.remote == ANY_REMOTE:
        yield (*path, "peer"), f'there is no one peer with `remote = "{ANY_REMOTE}"`: leave it out'
    if probe.peer in {own_address(address) for address in policy.addresses}:
        yield (*path, "peer"), f"{probe.peer} is this tunnel's own address"
    if probe.on_fail != "report" and probe.interval is None:
        why = "needs an `interval`: without, nobody looks for silence"
        yield (*path, "on_fail"), f'"{probe.on_fail}" {why}'
    if probe.interval is not None and probe.interval < probe.timeout:
        yield (*path, "interval"), f"is shorter than the `timeout` of {probe.timeout:g}s"


def check_sessions(policies: Mapping[int, Policy], called: Naming) -> Iterator[Finding]:
    """Check that sessions of one BIRD have names of their own and neighbours that are others."""
    yield from _check_session_names(policies, called)
    for index, policy in policies.items():
        ours = {own_address(address) for address in policy.addresses}
        neighbors: set[tuple[str, str]] = set()
        for number, session in enumerate(policy.bgp):
            here: Path = ("tunnel", index, "bgp", number)
            if session.neighbor in ours:
                yield (*here, "neighbor"), f"{session.neighbor} is this tunnel's own address"
            if (session.bird, session.neighbor) in neighbors:
                yield (*here, "neighbor"), f"{session.neighbor} has a session here already"
            neighbors.add((session.bird, session.neighbor))
            if session.present == "always" and not is_static(policy.interface):
                why = f"{policy.interface!r} is named after an SA, and is not known before it"
                yield (*here, "present"), f'"always" needs a plain `interface`: {why}'
            if session.neighbor in NEIGHBOR_TEMPLATES and session.present == "always":
                why = f"{session.neighbor} is not known before the SA"
                yield (*here, "present"), f'"always" needs an address as `neighbor`: {why}'
            for key, problem in _check_session(session):
                yield (*here, key), problem


def _check_session(session: Bgp) -> Iterator[tuple[str, str]]:
    """Check the keys of one session against each other."""
    if wrong := _both(session):
        yield "password_file", wrong
    if session.on_down and (session.on_down == "disable") != (session.present == "always"):
        yield "on_down", f'"{session.on_down}" and present = "{session.present}" exclude each other'
    neighbor = session.neighbor
    is_known = neighbor not in NEIGHBOR_TEMPLATES
    if session.multihop and is_known and ip_address(neighbor).is_link_local:
        yield "multihop", f"{neighbor} is on the link and never hops away: remove one of the two"
    for next_hop in session.next_hop:
        if family_of(next_hop) not in session.families:
            families = " and ".join(session.families)
            yield "next_hop", f"{next_hop} is {family_of(next_hop)}, and the session has {families}"
    if session.role and session.local_as == session.remote_as:
        yield "role", f"roles are for eBGP (RFC 9234), and both sides are AS {session.local_as}"
    if session.hold_time and (session.keepalive_time or 0) >= session.hold_time:
        yield "keepalive_time", f"has to be less than the hold time of {session.hold_time}s"
    if session.local_address and family_of(session.local_address) != family_of(session.neighbor):
        yield "local_address", f"{session.local_address} and {neighbor} are of two families"


def check_default_session(defaults: Defaults) -> Iterator[Finding]:
    """Check `[defaults.bgp]`, which no session may have yet."""
    if wrong := _both(defaults.bgp):
        yield ("defaults", "bgp", "password_file"), wrong


def _both(session: Bgp | DefaultBgp) -> str:
    if session.password is None or session.password_file is None:
        return ""
    return "and `password` exclude each other: remove one of the two"


def _check_session_names(policies: Mapping[int, Policy], called: Naming) -> Iterator[Finding]:
    """Check the names that BIRD will see: a session without a name is named after its interface.

    The interface of a template is not known yet, so its sessions are compared with each other only.
    A neighbour that stands there twice has its own message.
    """
    names: dict[tuple[str, str, int | None], tuple[int, str]] = {}
    for index, policy in policies.items():
        for number, session in enumerate(policy.bgp):
            name = session.name or session_name(policy.interface, session.neighbor)
            scope = None if session.name or is_static(policy.interface) else index
            here = (index, session.neighbor)
            first = names.setdefault((session.bird, name, scope), here)
            if first != here:
                hint = "" if session.name else "; give this one a `name`"
                path: Path = ("tunnel", index, "bgp", number, "name")
                other = called("tunnel", first[0])
                yield path, f"{name!r} is already a session of {other}{hint}"


def check_bird_names(policies: Mapping[int, Policy], birds: Sequence[str]) -> Iterator[Finding]:
    """Check that each session names one of the BIRDs that there are."""
    known = frozenset(birds)
    listed = ", ".join(repr(name) for name in birds)
    for index, policy in policies.items():
        for number, session in enumerate(policy.bgp):
            here: Path = ("tunnel", index, "bgp", number, "bird")
            if session.bird in known:
                continue
            if not birds:
                yield here, "there is no [[bird]] to hand this session to: add one"
            elif not session.bird:
                yield here, f"is missing, and there are several [[bird]]: name one of {listed}"
            else:
                yield here, f"{session.bird!r} is not a [[bird]]: name one of {listed}"


def check_one_family_daemons(
    policies: Mapping[int, Policy], birds: Mapping[int, Bird], called: Naming
) -> Iterator[Finding]:
    """Check that a daemon of BIRD 1.6 gets sessions of one family, that of their neighbours."""
    daemons = {bird.name for bird in birds.values() if bird.template == ONE_FAMILY_TEMPLATE}
    families: dict[str, tuple[str, int]] = {}
    for index, policy in policies.items():
        for number, session in enumerate(policy.bgp):
            if session.bird not in daemons:
                continue
            here: Path = ("tunnel", index, "bgp", number)
            family = family_of(session.neighbor)
            if session.families != (family,):
                why = f"BIRD 1.6 has one family per session: that of {session.neighbor}"
                yield (*here, "families"), f'{why}; write ["{family}"] or leave it out'
            if session.role:
                yield (*here, "role"), "BIRD 1.6 has no roles (RFC 9234): leave it out"
            if session.next_hop:
                yield (*here, "next_hop"), "BIRD 1.6 has no `next hop address`: leave it out"
            other, first = families.setdefault(session.bird, (family, index))
            if other != family:
                theirs = f"{called('tunnel', first)} has {other} there"
                why = f"{session.neighbor} is {family}, and {theirs}"
                yield (*here, "bird"), f"{why}: bird and bird6 are a [[bird]] each"
