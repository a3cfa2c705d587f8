"""Look at the ruleset of the present thread's namespace, and change nothing. An edge.

It has a context of its own, and blocks while nftables lists everything: it is for a process that
does nothing else (`vtid --doctor`).
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from vtid.nft.library import Nftables
from vtid.nft.others import has_iptables, others
from vtid.nft.table import Table

if TYPE_CHECKING:
    from vtid.model.facts import OtherClamp
    from vtid.model.link import Clamp


def look() -> tuple[dict[str, Clamp], tuple[OtherClamp, ...], bool]:
    """Return our clamps, those of others, and whether iptables has rules that nft cannot read.

    Raises NftError or RulesetError.
    """
    with closing(Table()) as table, closing(Nftables()) as nftables:
        text = nftables.list("ruleset")
        return dict(table.snapshot()), others(text), has_iptables(text)
