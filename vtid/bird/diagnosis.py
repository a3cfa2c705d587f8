"""What to tell an operator about a BIRD that answers but does not fit its `[[bird]]`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.bird.template import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.model.bgp import BgpSession


def wrong_template(name: str, template: str, version: str) -> str:
    """Say so where a template that comes with vtid is for another version of BIRD."""
    wanted = "bgp-1.6" if version.startswith("1.") else "bgp"
    if not version or template not in SHIPPED or template == wanted:
        return ""
    return f'BIRD {name!r} is version {version}: write `template = "{wanted}"` under its [[bird]]'


def wrong_family(name: str, family: str, version: str, sessions: Iterable[BgpSession]) -> str:
    """Say so where a daemon of one family got a neighbour of the other."""
    for session in sessions:
        if family and (":" in session.neighbor) != (family == "ipv6"):
            return (
                f"BIRD {name!r} is the {family} daemon of version {version}: "
                f"give {session.neighbor} on {session.interface} to the [[bird]] of the other"
            )
    return ""


def not_included(name: str, include: str) -> str:
    """Say how BIRD gets to know the file."""
    return (
        f"BIRD {name!r} has none of the sessions in {include}: "
        f'add `include "{include}";` to its main configuration and reconfigure it'
    )


def restricted(socket: str) -> str:
    """Say that the control socket may be read from only (`restrict`, reply code 8007)."""
    return (
        f"BIRD at {socket} lets vtid look but not reconfigure (access denied): name a control "
        "socket that is not restricted with `socket = ` under [[bird]]"
    )
