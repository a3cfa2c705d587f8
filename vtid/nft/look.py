"""Look at the ruleset of the present thread's namespace, and change nothing. An edge.

It has a context of its own, and blocks while nftables lists everything: it is for a process that
does nothing else (`vtid --doctor`).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vtid.nft.library import Nftables
from vtid.nft.others import read
from vtid.nft.table import Table

if TYPE_CHECKING:
    from vtid.model.facts import OtherClamp
    from vtid.model.link import Clamp


@dataclass(frozen=True, slots=True)
class Rules:
    """What sets TCP's maximum segment size."""

    ours: dict[str, Clamp] = field(default_factory=dict)
    others: tuple[OtherClamp, ...] = ()
    by_jump: tuple[str, ...] = ()
    """Chains of others whose rules are not among these: they are only reached by jumps."""
    has_iptables: bool = False
    """Whether iptables has rules that nft cannot read."""


def look() -> Rules:
    """Look; raises NftError or RulesetError."""
    with closing(Table()) as table, closing(Nftables()) as nftables:
        found = read(nftables.list("ruleset"))
        return Rules(dict(table.snapshot()), found.clamps, found.by_jump, found.has_iptables)
