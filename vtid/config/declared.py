"""Rules for interfaces that are declared before their SA, serve several peers, or are initiated.

Rules of this file: those of `checks`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vtid.config.types import ANY_REMOTE, family_of, is_static
from vtid.model.link import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vtid.config.checks import Finding
    from vtid.config.keys import Tunnel

_ALWAYS = 'presence = "always"'


def check_presence(tunnels: Mapping[int, Tunnel]) -> Iterator[Finding]:
    """Check what a tunnel says of the time before its SA, and of its peers."""
    for index, tunnel in tunnels.items():
        found = [*_check_remote(tunnel), *_check_initiate(tunnel), *_check_addresses(tunnel)]
        found += _check_always(tunnel) if tunnel.presence == "always" else _check_unused(tunnel)
        for key, message in found:
            yield ("tunnel", index, key), message


def _check_always(tunnel: Tunnel) -> Iterator[tuple[str, str]]:
    if not is_static(tunnel.interface):
        why = f"{tunnel.interface!r} is named after an SA, and {_ALWAYS} is there before it"
        yield "interface", f"{why}: write a plain name"
    for key in _keys_it_needs(tunnel):
        yield key, f"is missing: {_ALWAYS} {_NEEDED[key]}"
    if tunnel.on_down == "down":
        why = "only an interface that is up carries the packet that triggers a trap"
        yield "on_down", f'"down" and {_ALWAYS} exclude each other: {why}'
    if tunnel.local and tunnel.remote not in {None, ANY_REMOTE}:
        yield from _check_families(tunnel)


_NEEDED = {
    "mark": "needs the mark that swanctl.conf gives the child, as `mark` or `mark_in`/`mark_out`",
    "if_id": "needs the if_id that swanctl.conf gives the child",
    "local": "needs our outer address",
    "remote": f'needs the outer address of the peer, or "{ANY_REMOTE}"',
    "esp": "computes the MTU from it until ciphers are negotiated; or give `mtu` as a number",
}


def _keys_it_needs(tunnel: Tunnel) -> Iterator[str]:
    marks = tunnel.mark or (tunnel.mark_in and tunnel.mark_out)
    if tunnel.kind is Kind.VTI and not marks:
        yield "mark"
    if tunnel.kind is Kind.XFRM and not tunnel.if_id:
        yield "if_id"
    if not tunnel.local:
        yield "local"
    if not tunnel.remote:
        yield "remote"
    if tunnel.mtu == "auto" and not tunnel.esp:
        yield "esp"


def _check_families(tunnel: Tunnel) -> Iterator[tuple[str, str]]:
    if tunnel.local and tunnel.remote and family_of(tunnel.local) != family_of(tunnel.remote):
        yield "remote", f"{tunnel.remote} is not of the family of {tunnel.local}"


def _check_unused(tunnel: Tunnel) -> Iterator[tuple[str, str]]:
    """Refuse what the SA tells by itself; defaults may say more than one tunnel needs."""
    for key in ("mark", "mark_in", "mark_out", "if_id"):
        if getattr(tunnel, key) is not None:
            yield key, f"comes from the SA: leave it out, or write {_ALWAYS}"
    if tunnel.remote not in {None, ANY_REMOTE}:
        yield "remote", f'comes from the SA: write "{ANY_REMOTE}", leave it out, or write {_ALWAYS}'


def _check_remote(tunnel: Tunnel) -> Iterator[tuple[str, str]]:
    if tunnel.remote == ANY_REMOTE and not is_static(tunnel.interface):
        why = f"is one interface for all peers, and {tunnel.interface!r} is named after an SA"
        yield "remote", f'"{ANY_REMOTE}" {why}: write a plain name, or leave `remote` out'


def _check_addresses(tunnel: Tunnel) -> Iterator[tuple[str, str]]:
    """Check that addresses that an SA completes belong to an interface of one SA's peer."""
    templates = {
        "addresses": any("{" in address for address in tunnel.addresses),
        "bgp": any("{" in session.neighbor for session in tunnel.bgp),
    }
    for key in (key for key, there in templates.items() if there):
        if tunnel.presence == "always":
            yield key, f"an address that an SA completes is not known with {_ALWAYS}"
        if tunnel.remote == ANY_REMOTE:
            yield key, f'with `remote = "{ANY_REMOTE}"` there is no one SA to complete them'


def _check_initiate(tunnel: Tunnel) -> Iterator[tuple[str, str]]:
    if not tunnel.initiate:
        return
    for key in ("connection", "child"):
        pattern = getattr(tunnel, key)
        if re.search(r"[*?\[]", pattern):
            yield key, f"{pattern!r} is a pattern, and `initiate = true` needs the name itself"
