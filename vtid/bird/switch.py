"""Sessions that are enabled and disabled without a reconfiguration. Pure.

Rules of this file:

* Each session is switched once. After BIRD was away, all are switched again: BIRD has forgotten.
* A session that an administrator switches stays as it is until its tunnel changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.bird.reply import Reply

REASON = "vtid: the tunnel is down"
"""BIRD shows it with the session, and sends it to the neighbour (RFC 9003)."""


class Switches:
    """The sessions of one BIRD that are switched."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[str, bool]] = {}
        self._told: dict[str, bool] = {}
        self.due: dict[str, bool] = {}
        """Sessions to switch, and whether on or off."""

    def change(self, tunnel: str, switched: Iterable[tuple[str, bool]] = ()) -> bool:
        """Set which sessions of a tunnel should be on; return whether any has to be switched."""
        wanted = dict(switched)
        for name in self._wanted.pop(tunnel, {}).keys() - wanted.keys():
            self._told.pop(name, None)
            self.due.pop(name, None)
        new = {name: on for name, on in wanted.items() if self._told.get(name) is not on}
        for name in wanted:
            self.due.pop(name, None)
        self.due |= new
        if wanted:
            self._wanted[tunnel] = wanted
        return bool(new)

    def forget(self) -> None:
        """BIRD may have been started again: tell it all."""
        self._told.clear()
        self.due = {name: on for one in self._wanted.values() for name, on in one.items()}

    def answered(self, name: str, reply: Reply, *, on: bool) -> None:
        """File BIRD's answer; a session that it does not have yet stays due."""
        if reply.ok:
            self._told[name] = on
            self.due.pop(name, None)


def command(name: str, *, on: bool) -> str:
    """Return the command for BIRD's control socket."""
    return f"enable '{name}'" if on else f"disable '{name}' \"{REASON}\""
