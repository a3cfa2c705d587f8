"""Rules for policies with `presence = "always"`, `remote` or `initiate = true`. Pure.

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
    from vtid.config.keys import Policy

_ALWAYS = 'presence = "always"'


def check_presence(policies: Mapping[int, Policy]) -> Iterator[Finding]:
    """Check the keys about the time before an SA, and about several peers."""
    for index, policy in policies.items():
        found = [*_check_remote(policy), *_check_initiate(policy), *_check_addresses(policy)]
        found += _check_always(policy) if policy.presence == "always" else _check_unused(policy)
        for key, message in found:
            yield ("tunnel", index, key), message


def _check_always(policy: Policy) -> Iterator[tuple[str, str]]:
    if not is_static(policy.interface):
        why = f"{policy.interface!r} is named after an SA, and {_ALWAYS} is there before it"
        yield "interface", f"{why}: write a plain name"
    for key in _keys_it_needs(policy):
        yield key, f"is missing: {_ALWAYS} {_NEEDED[key]}"
    if policy.on_down == "down":
        why = "only an interface that is up carries the packet that triggers a trap"
        yield "on_down", f'"down" and {_ALWAYS} exclude each other: {why}'
    if policy.on_loss == "withdraw":
        why = "without its routes, no packet triggers a trap"
        yield "on_loss", f'"withdraw" and {_ALWAYS} exclude each other: {why}'
    if policy.local and policy.remote not in {None, ANY_REMOTE}:
        yield from _check_families(policy)


_NEEDED = {
    "mark": "needs the mark that swanctl.conf gives the child, as `mark` or `mark_in`/`mark_out`",
    "if_id": "needs the if_id that swanctl.conf gives the child",
    "local": "needs our outer address",
    "remote": f'needs the outer address of the peer, or "{ANY_REMOTE}"',
    "esp": "computes the MTU from it until ciphers are negotiated; or give `mtu` as a number",
}


def _keys_it_needs(policy: Policy) -> Iterator[str]:
    marks = policy.mark or (policy.mark_in and policy.mark_out)
    if policy.kind is Kind.VTI and not marks:
        yield "mark"
    if policy.kind is Kind.XFRM and not policy.if_id:
        yield "if_id"
    if not policy.local:
        yield "local"
    if not policy.remote:
        yield "remote"
    if policy.mtu == "auto" and not policy.esp:
        yield "esp"


def _check_families(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.local and policy.remote and family_of(policy.local) != family_of(policy.remote):
        yield "remote", f"{policy.remote} is not of the family of {policy.local}"


def _check_unused(policy: Policy) -> Iterator[tuple[str, str]]:
    """Refuse keys whose values come from the SA, unless they come from `[defaults]`."""
    for key in ("mark", "mark_in", "mark_out", "if_id"):
        if getattr(policy, key) is not None:
            yield key, f"comes from the SA: leave it out, or write {_ALWAYS}"
    if policy.remote not in {None, ANY_REMOTE}:
        yield "remote", f'comes from the SA: write "{ANY_REMOTE}", leave it out, or write {_ALWAYS}'


def _check_remote(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.remote == ANY_REMOTE and not is_static(policy.interface):
        why = f"is one interface for all peers, and {policy.interface!r} is named after an SA"
        yield "remote", f'"{ANY_REMOTE}" {why}: write a plain name, or leave `remote` out'


def _check_addresses(policy: Policy) -> Iterator[tuple[str, str]]:
    """Check that an interface with address templates serves one peer only."""
    templates = {
        "addresses": any("{" in address for address in policy.addresses),
        "bgp": any("{" in session.neighbor for session in policy.bgp),
    }
    for key in (key for key, there in templates.items() if there):
        if policy.presence == "always":
            yield key, f"an address that an SA completes is not known with {_ALWAYS}"
        if policy.remote == ANY_REMOTE:
            yield key, f'with `remote = "{ANY_REMOTE}"` there is no one SA to complete them'


def _check_initiate(policy: Policy) -> Iterator[tuple[str, str]]:
    if not policy.initiate:
        return
    for key in ("connection", "child"):
        pattern = getattr(policy, key)
        if re.search(r"[*?\[]", pattern):
            yield key, f"{pattern!r} is a pattern, and `initiate = true` needs the name itself"
