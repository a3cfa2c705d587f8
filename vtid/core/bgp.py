"""BGP: the block of sessions that a tunnel has in each BIRD. Pure.

Rules of this file:

* A rekey changes nothing here: of the SA, only the fields of `SaFacts` reach BIRD.
"""

from __future__ import annotations

import ipaddress
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from vtid.config.bgp import Bgp
from vtid.config.interface import on_link, own_address
from vtid.config.types import session_name
from vtid.model.bgp import BgpSession, BirdBlock, SaFacts, TunnelFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vtid.config.keys import Policy
    from vtid.model.sa import ChildSa

_DERIVED = {"name", "local_address", "password", "graceful_restart"}
_UNCHANGED = tuple(
    one.name
    for one in fields(BgpSession)
    if one.name in {key.name for key in fields(Bgp)} and one.name not in _DERIVED
)
"""Keys of a session that go to BIRD unchanged."""

_OF_THE_SA = tuple(one.name for one in fields(SaFacts) if one.name not in {"mark_in", "mark_out"})

_SWITCH: dict[bool | str | None, str] = {True: "on", False: "off", "aware": "aware"}


def blocks(
    tunnel: str, interface: str, policy: Policy, sa: ChildSa | None = None, mtu: int = 0
) -> tuple[BirdBlock, ...]:
    """Return the blocks of a tunnel that is up, one for each BIRD with sessions over it.

    `sa` is the newest SA of the tunnel, None for several peers; `mtu` is that of its
    interface in bytes.
    """
    if not policy.bgp:
        return ()
    facts = TunnelFacts(
        interface=interface,
        netns=policy.netns,
        addresses=policy.addresses,
        mtu=mtu,
        sa=_facts(sa) if sa else None,
        vars=policy.vars,
    )
    return _blocks(tunnel, policy, policy.bgp, facts, up=True)


def blocks_down(
    tunnel: str, interface: str, policy: Policy, there: Iterable[BirdBlock]
) -> tuple[BirdBlock, ...]:
    """Return the blocks of a tunnel that is down: only sessions with `present = "always"`.

    The facts of the last SA stay, so that a tunnel that flaps does not change BIRD's configuration.
    """
    if not policy.bgp:
        return ()
    facts = TunnelFacts(interface, policy.netns, policy.addresses, vars=policy.vars)
    before = {block.instance: block.facts for block in there if block.facts}
    always = [bgp for bgp in policy.bgp if bgp.present == "always"]
    return tuple(
        replace(block, facts=replace(facts, mtu=known.mtu, sa=known.sa))
        if (known := before.get(block.instance))
        else block
        for block in _blocks(tunnel, policy, always, facts, up=False)
    )


def _blocks(
    tunnel: str, policy: Policy, sessions: Sequence[Bgp], facts: TunnelFacts, *, up: bool
) -> tuple[BirdBlock, ...]:
    of_bird: dict[str, list[Bgp]] = {}
    for bgp in sessions:
        of_bird.setdefault(bgp.bird, []).append(bgp)
    return tuple(
        BirdBlock(
            instance=instance,
            tunnel=tunnel,
            sessions=tuple(_session(facts.interface, policy, bgp) for bgp in mine),
            facts=facts,
            switched=tuple(
                (name_of(facts.interface, bgp), up or bgp.on_down != "disable")
                for bgp in mine
                if bgp.on_down == "disable" or policy.on_loss == "withdraw"
            ),
        )
        for instance, mine in sorted(of_bird.items())
    )


def name_of(interface: str, bgp: Bgp) -> str:
    """Return the name of a session's protocol in BIRD."""
    return bgp.name or session_name(interface, bgp.neighbor)


def _facts(sa: ChildSa) -> SaFacts:
    return SaFacts(
        mark_in=sa.mark_in.value if sa.mark_in else 0,
        mark_out=sa.mark_out.value if sa.mark_out else 0,
        **{name: getattr(sa, name) for name in _OF_THE_SA},
    )


def _session(interface: str, policy: Policy, bgp: Bgp) -> BgpSession:
    return BgpSession(
        name=name_of(interface, bgp),
        interface=interface,
        vrf=policy.vrf,
        local_address=bgp.local_address or _local_address(policy.addresses, bgp.neighbor),
        password=bgp.password,
        graceful_restart=_SWITCH.get(bgp.graceful_restart),
        **{name: getattr(bgp, name) for name in _UNCHANGED},
    )


def _local_address(addresses: Iterable[str], neighbor: str) -> str:
    """Return our address on the neighbour's network, empty if there is none."""
    peer = ipaddress.ip_address(neighbor)
    return next((own_address(one) for one in addresses if peer in on_link(one)), "")
