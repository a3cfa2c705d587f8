"""Desired: what one tunnel should look like, and the reason in words. Pure.

Rules of this file:

* Policy, SAs and the paths to the peers go in, a `Desired` comes out.
* While several SAs serve a tunnel (a rekey, a duplicate), the newest gives endpoints and keys, and
  the smallest MTU counts, so that packets fit into each SA in use.
* What probes proved bounds the MTU, whatever it is else.
* An interface with IPv6 never gets an MTU below 1280 (RFC 8200, section 5): the kernel would take
  IPv6 away from it. The MSS still follows what fits into the SA. Larger IPv4 packets without DF are
  fragmented, and those with DF answered with the size that fits; IPv6 packets up to 1280 are lost,
  because no sender goes below (docs/measured/small-outer-mtu.md).
* An SA that cannot have an interface raises `PolicyError`: one line that names it and the way out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING

from vtid.config.types import ANY_REMOTE, family_of
from vtid.core.alias import alias_of
from vtid.core.bgp import blocks
from vtid.core.naming import (
    IF_ID_ADVICE,
    MARK_ADVICE,
    PolicyError,
    addresses,
    interface_name,
    sessions,
)
from vtid.core.presence import ANY_HOST, DECLARED
from vtid.core.routes import needs_link_local
from vtid.esp.algorithms import EspAlgorithms
from vtid.esp.mtu import (
    IPV4_TCP_HEADERS,
    IPV6_MIN_MTU,
    IPV6_TCP_HEADERS,
    UnknownAlgorithm,
    ah_mtu,
    tunnel_mtu,
)
from vtid.model.bounds import Bound, MtuBound
from vtid.model.link import Clamp, Desired, Kind, Link, tunnel_name
from vtid.model.sa import AH, SaMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vtid.config.keys import Policy
    from vtid.core.members import Members, Way
    from vtid.core.route_book import RouteBook
    from vtid.core.underlay import Path, Underlay
    from vtid.model.sa import ChildSa

SMALLEST_MTU = 68
"""Bytes; every IPv4 link carries packets of this size unfragmented (RFC 791, section 3.2)."""

ASSUMED_UNDERLAY_MTU = 1500
"""Bytes, for a peer without route: Ethernet."""

_LARGEST_OVERHEAD = EspAlgorithms(encr="AES_CBC", encr_keysize=256, integ="HMAC_SHA2_512_256")
"""Stands in for algorithms that the MTU arithmetic does not know: no known one costs more."""

_PEERS_NAMED = 2
"""Peers that one line names."""

_RP_FILTER = "ipv4.rp_filter"
"""The one sysctl with a field of its own: traffic through tunnels is often asymmetric."""

NOTHING = Desired(reason="no CHILD_SA")


@dataclass(frozen=True, slots=True)
class _Mtu:
    link: int
    path: int
    """What fits into the SA and passes, in bytes; the MSS follows from it."""
    computed: int
    """The same, whatever probes proved."""
    why: str
    bounds: tuple[MtuBound, ...]


def refusal(sa: ChildSa, kind: Kind = Kind.VTI) -> str:
    """Return why an SA cannot have an interface of a kind, and the way out; empty if it can."""
    if sa.mode is not SaMode.TUNNEL:
        what = "a VTI" if kind is Kind.VTI else "an XFRM interface"
        return (
            f"{sa} is in {sa.mode.lower()} mode, and {what} carries tunnel mode only; remove "
            f"`mode = {sa.mode.lower()}` from connections.{sa.connection}.children.{sa.child} of "
            "swanctl.conf and establish the SA again"
        )
    if sa.ipcomp and kind is Kind.VTI:
        return (
            f"{sa} has IPComp, and a VTI drops what arrives by it (XfrmInStateModeError); remove "
            f"`ipcomp = yes` from connections.{sa.connection}.children.{sa.child} of swanctl.conf, "
            'or use `kind = "xfrm"`, which carries IPv4 by it'
        )
    return _no_marks(sa) if kind is Kind.VTI else _no_if_id(sa)


def _no_marks(sa: ChildSa) -> str:
    if sa.mark_in is None or sa.mark_out is None:
        advice = MARK_ADVICE.format(connection=sa.connection, child=sa.child)
        missing = "inbound " if sa.mark_out else "outbound " if sa.mark_in else ""
        return f"{sa} has no {missing}mark, and a VTI finds its SA by marks; {advice}"
    return ""


def _no_if_id(sa: ChildSa) -> str:
    advice = IF_ID_ADVICE.format(connection=sa.connection, child=sa.child)
    if not sa.if_id_in or not sa.if_id_out:
        missing = "inbound " if sa.if_id_out else "outbound " if sa.if_id_in else ""
        return f"{sa} has no {missing}if_id, and an XFRM interface finds its SA by it; {advice}"
    if sa.if_id_in != sa.if_id_out:
        return (
            f"{sa} has if_id_in = {sa.if_id_in} and if_id_out = {sa.if_id_out}, and an XFRM "
            "interface has one if_id; give the inbound direction an interface of its own with "
            f"`interface_in = `, or {advice}"
        )
    return ""


def tunnel_of(policy: Policy, sa: ChildSa) -> tuple[str, str]:
    """Return the names of tunnel and interface for an SA of a policy.

    Raises PolicyError where the SA cannot have one.
    """
    if why := refusal(sa, policy.kind):
        raise PolicyError(why)
    interface = interface_name(policy, sa)
    addresses(policy, sa)
    sessions(policy, sa)
    return tunnel_name(policy.netns, interface), interface


def with_addresses(policy: Policy, sa: ChildSa) -> Policy:
    """Return the policy with the templates of addresses and neighbours filled in from an SA."""
    filled = (addresses(policy, sa), sessions(policy, sa))
    if filled == (policy.addresses, policy.bgp):
        return policy
    return replace(policy, addresses=filled[0], bgp=filled[1])


def desire(
    tunnel: str,
    policy: Policy,
    members: Members,
    known: Mapping[Path, Underlay],
    routes: RouteBook,
    *,
    proven: int = 0,
) -> Desired:
    """Return what a tunnel should look like for one or more SAs, and the routes in its book.

    Its reason begins with `cause_of` the newest SA. While a path is not `known`, the answer only
    asks for its lookup. `proven` is the largest packet that passes, in bytes, if probes found that
    larger ones do not; else 0.
    """
    sa, interface = members.newest, tunnel.rpartition("/")[2]
    why = cause_of(sa)
    if unknown := members.unknown(known):
        peers = [remote for _, remote in unknown[: _PEERS_NAMED + 1]]
        if len(peers) > _PEERS_NAMED:
            peers = [*peers[:_PEERS_NAMED], "…"]
        what = f"its MTU needs the path to {', '.join(peers)}"
        return Desired(reason=f"{why}; {what}", probes=unknown)
    policy = with_addresses(policy, sa)
    has_ipv6 = needs_link_local(policy) or routes.wants_ipv6
    least = IPV6_MIN_MTU if has_ipv6 else SMALLEST_MTU
    mtu = _mtu(policy, members.ways(known), least, proven)
    return Desired(
        reason="; ".join(filter(None, (f"{why}: {mtu.why}", routes.why))),
        link=_link(tunnel, interface, policy, sa, mtu.link),
        addresses=policy.addresses,
        routes_revision=routes.revision,
        path_mtu=mtu.path,
        computed_mtu=mtu.computed,
        bounds=mtu.bounds,
        clamp=_clamp(mtu.path) if policy.mss_clamp else None,
        birds=blocks(tunnel, interface, policy, _sa_for_bird(policy, sa), mtu.link),
    )


def cause_of(sa: ChildSa) -> str:
    """Return what makes an interface be as an SA asks for, in words."""
    return f"{sa} is up" if sa.unique_id != DECLARED else "no CHILD_SA; the policy declares one"


def _sa_for_bird(policy: Policy, sa: ChildSa) -> ChildSa | None:
    """Return the SA for BIRD's templates; None for many peers and for a declared SA."""
    return None if policy.remote == ANY_REMOTE or sa.unique_id == DECLARED else sa


def _link(tunnel: str, interface: str, policy: Policy, sa: ChildSa, mtu: int) -> Link:
    vti, sysctls = policy.kind is Kind.VTI, policy.sysctls.all()
    return Link(
        netns=policy.netns,
        name=interface,
        kind=_kind(policy.kind, sa),
        local=sa.local_host if vti else "",
        remote=_remote(policy, sa) if vti else "",
        ikey=sa.mark_in.value if vti and sa.mark_in else 0,
        okey=sa.mark_out.value if vti and sa.mark_out else 0,
        mtu=mtu,
        alias=alias_of(tunnel, policy),
        if_id=0 if vti else sa.if_id_out,
        vrf=policy.vrf,
        link_local=needs_link_local(policy),
        rp_filter=dict(sysctls).get(_RP_FILTER, 0),
        sysctls=tuple(pair for pair in sysctls if pair[0] != _RP_FILTER),
    )


def _remote(policy: Policy, sa: ChildSa) -> str:
    return ANY_HOST[family_of(sa.remote_host)] if policy.remote == ANY_REMOTE else sa.remote_host


def _kind(kind: Kind, sa: ChildSa) -> str:
    if kind is Kind.XFRM:
        return "xfrm"
    return "vti6" if _is_v6(sa.remote_host) else "vti"


def _mtu(policy: Policy, ways: Iterable[Way], least: int, proven: int) -> _Mtu:
    """Return the MTU of the interface, `least` bytes or more, and of the path inside the SA."""
    fits = ((*_fits(one, policy.underlay_mtu), one) for one in ways)
    path, outer, why, way = min(fits, key=itemgetter(0, 1, 2))
    bounds = (*_outer_bounds(policy, way, outer, path), *_inner_bounds(policy, proven))
    if policy.mtu == "auto":
        wanted, how = path, f"MTU {path} from {why}"
    else:
        wanted = outer if policy.mtu == "underlay" else policy.mtu
        how = f"MTU {wanted} configured ({path} from {why})"
    computed = min(max(wanted, least), path)
    if 0 < proven < computed:
        wanted = path = proven
        how = f"MTU {proven} proven by probes, instead of {how}"
    link = max(wanted, least)
    if wanted < least:
        lost = f"IPv6 packets of {path + 1} to {least} bytes are lost" if path < least else ""
        how = "; ".join(filter(None, (f"MTU {link}, the minimum for IPv6", lost, how)))
    # an interface MTU below it bounds the MSS as well
    return _Mtu(link, min(link, path), computed, how, bounds)


def _outer_bounds(policy: Policy, way: Way, outer: int, path: int) -> tuple[MtuBound, ...]:
    """Return what bounds the outer MTU, whether it counts or not; `path` fits into `outer`."""
    underlay = way.underlay
    if not (policy.underlay_mtu or underlay.learnt or underlay.device):
        return (MtuBound(Bound.CIPHERS, path, outer),)
    route = underlay.mtu or ASSUMED_UNDERLAY_MTU
    found = {
        Bound.CIPHERS: underlay.device or route,
        Bound.ROUTE: route if underlay.device else 0,
        Bound.LEARNT: underlay.learnt,
        Bound.UNDERLAY_MTU: policy.underlay_mtu or 0,
    }
    return tuple(
        MtuBound(bound, max(_cipher_mtu(way, outside)[0], SMALLEST_MTU), outside)
        for bound, outside in found.items()
        if outside
    )


def _inner_bounds(policy: Policy, proven: int) -> tuple[MtuBound, ...]:
    configured = (MtuBound(Bound.CONFIGURED, policy.mtu),) if isinstance(policy.mtu, int) else ()
    return (*configured, MtuBound(Bound.PROVEN, proven)) if proven else configured


def _fits(way: Way, most: int | None) -> tuple[int, int, str]:
    """Return the MTU inside an SA, the MTU outside, `most` bytes or less, and the reason."""
    underlay = way.underlay
    outer = underlay.mtu or ASSUMED_UNDERLAY_MTU
    where = f" on {underlay.interface}" if underlay.interface else ""
    if not underlay.mtu:
        where = f" assumed ({underlay.error})"
    elif underlay.learnt:
        outer, where = underlay.learnt, f" learnt, instead of {outer}{where}"
    if most and most < outer:
        outer, where = most, f" configured, instead of {outer}{where}"
    mtu, why = _cipher_mtu(way, outer)
    return max(mtu, SMALLEST_MTU), outer, f"{why}, outer MTU {outer}{where}"


def _cipher_mtu(way: Way, outer: int) -> tuple[int, str]:
    family, encap = way.family, way.encap
    how = f"in IPv{family}{' with NAT-T' if encap else ''}"
    try:
        if way.protocol == AH:
            return ah_mtu(way.esp.integ, family, underlay=outer), f"AH {way.esp.integ} {how}"
        mtu = tunnel_mtu(way.esp, family, encap=encap, underlay=outer).mtu
    except UnknownAlgorithm as error:
        mtu = tunnel_mtu(_LARGEST_OVERHEAD, family, encap=encap, underlay=outer).mtu
        return mtu, f"the largest overhead {how} ({error})"
    return mtu, f"{way.esp} {how}"


@lru_cache(maxsize=64)
def _clamp(mtu: int) -> Clamp:
    """Return the clamp for an MTU, of which thousands of tunnels have the same."""
    return Clamp(mss4=mtu - IPV4_TCP_HEADERS, mss6=mtu - IPV6_TCP_HEADERS)


def _is_v6(address: str) -> bool:
    return ":" in address
