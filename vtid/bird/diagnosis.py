"""Diagnosis: why a BIRD that answers does not fit its `[[bird]]`, and the way out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.bird.template import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.model.bgp import BgpSession


def wrong_template(name: str, template: str, version: str) -> str:
    """Return an error if the shipped template is for another version of BIRD; else empty."""
    wanted = "bgp-1.6" if version.startswith("1.") else "bgp"
    if not version or template not in SHIPPED or template == wanted:
        return ""
    return f'BIRD {name!r} is version {version}: write `template = "{wanted}"` under its [[bird]]'


def wrong_family(name: str, family: str, version: str, sessions: Iterable[BgpSession]) -> str:
    """Return an error if a daemon of one family has a neighbour of the other; else empty."""
    for session in sessions:
        if family and (":" in session.neighbor) != (family == "ipv6"):
            return (
                f"BIRD {name!r} is the {family} daemon of version {version}: "
                f"give {session.neighbor} on {session.interface} to the [[bird]] of the other"
            )
    return ""


def not_included(name: str, include: str) -> str:
    """Return how to include the file in BIRD's configuration."""
    return (
        f"BIRD {name!r} has none of the sessions in {include}: "
        f'add `include "{include}";` to its main configuration and reconfigure it'
    )


def restricted(socket: str) -> str:
    """Return the error for a restricted control socket (`restrict`, reply code 8007)."""
    return (
        f"BIRD at {socket} lets vtid look but not reconfigure (access denied): name a control "
        "socket that is not restricted with `socket = ` under [[bird]]"
    )
