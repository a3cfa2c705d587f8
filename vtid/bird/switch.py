"""Switching sessions off and on without a reconfiguration: what to tell BIRD, and what it knows.

Rules of this file:

* Pure. Each session is told once; after BIRD was away all are told again, for BIRD has forgotten.
* What an administrator switches meanwhile stays as it is until the tunnel changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.bird.reply import Reply

REASON = "vtid: the tunnel is down"
"""What BIRD shows as the session's message, and tells the neighbour (RFC 9003)."""


class Switches:
    """The sessions of one BIRD that are switched."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[str, bool]] = {}
        self._told: dict[str, bool] = {}
        self.due: dict[str, bool] = {}
        """Sessions that BIRD has yet to be told of, and whether they are to be on."""

    def change(self, tunnel: str, switched: Iterable[tuple[str, bool]] = ()) -> bool:
        """Say which sessions of a tunnel are to be on; return whether BIRD is to be told."""
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
        """Note that BIRD has done it; a session that it does not have yet is told again."""
        if reply.ok:
            self._told[name] = on
            self.due.pop(name, None)


def command(name: str, *, on: bool) -> str:
    """Return the command for BIRD's control socket."""
    return f"enable '{name}'" if on else f"disable '{name}' \"{REASON}\""
