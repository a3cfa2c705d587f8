"""News: which CHILD_SAs came, were rekeyed, moved or went, as lines of the log. Pure.

Rules of this file:

* What charon has when vtid starts is no news.
* A line is at level debug, because charon's log has the same. `vtictl events` shows it all the
  same: with many peers on one interface (`remote = "any"`), nothing else says who came and went.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.input import ChildRekeyed, IkeUpdated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vtid.core.sas import Changes, SaInput
    from vtid.core.tunnels import Tunnels
    from vtid.model.input import SaSnapshot
    from vtid.model.sa import ChildSa

    TunnelsOf = Mapping[int, tuple[str, ...]]


def tell_sas(
    tunnels: Tunnels,
    event: SaInput | SaSnapshot,
    changes: Changes,
    before: TunnelsOf,
    after: TunnelsOf,
) -> Iterator[None]:
    """Have a line logged for each tunnel of an SA that joined or left, in steps.

    `before` and `after` have the names of the tunnels of each SA, by its unique ID.
    """
    is_rekey = isinstance(event, ChildRekeyed)
    for sa in changes.joined:
        known, peer = before[sa.unique_id], sa.remote_host
        for name in after.get(sa.unique_id, ()):
            if is_rekey:
                tunnels.note("debug", "CHILD_SA rekeyed", name, _words(sa), peer)
            elif name not in known:
                tunnels.note("debug", "CHILD_SA installed", name, _words(sa), peer)
            elif isinstance(event, IkeUpdated):
                tunnels.note("debug", "endpoints moved", name, _words(sa), peer)
        yield
    if is_rekey:
        return
    for sa in changes.left:
        for name in before[sa.unique_id]:
            tunnels.note("debug", "CHILD_SA gone", name, _words(sa), sa.remote_host)
        yield


def _words(sa: ChildSa) -> str:
    return f"{sa} of {sa.remote_id}" if sa.remote_id else str(sa)
