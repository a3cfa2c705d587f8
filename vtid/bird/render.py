"""BIRD's include file: sessions to text, and text to the tunnels it names.

Rules of this file:

* A template sees `Session`s, whose values have been through `vtid.bird.quote`.
* A file is a header line and one block per tunnel between two marker lines, sorted by tunnel, so
  that equal sets of blocks are equal files. What does not begin with the header is not vtid's.
* A tunnel is rendered when it changes; the file is the blocks joined.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from vtid.bird.quote import (
    RenderError,
    Word,
    address,
    interface,
    number,
    policy,
    quoted,
    symbol,
)
from vtid.bird.template import shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtid.bird.template import Template
    from vtid.model import BgpSession, BirdBlock

HEADER = "# Written by vtid from its sessions; do not edit, the next change replaces it.\n"
OWNED = "# Written by vtid "
"""How any file of ours begins, whichever version wrote it."""

BEGIN = "# vtid begin "
END = "# vtid end "

PROTOCOL = re.compile(
    r"^\s*protocol\s+bgp\s+'?([\w.:-]+)'?\s*(?:from\s+\S+\s*)?\{", re.ASCII | re.MULTILINE
)
"""How a BGP protocol begins; an operator's template may derive it from a template of BIRD's."""

MAX_AS = 0xFFFFFFFF
MAX_PREFERENCE = 0xFFFF
MAX_HOLD_TIME = 0xFFFF
FAMILIES = frozenset({"ipv4", "ipv6"})


@dataclass(frozen=True, slots=True)
class Channel:
    """One address family of a session, as the template sees it."""

    family: Word
    extended_next_hop: bool


@dataclass(frozen=True, slots=True)
class Session:
    """One BGP session, as the template sees it: every value can go into the text as it is."""

    name: Word
    description: Word
    interface: Word
    local: Word | None
    local_as: int
    neighbor: Word
    link_local: bool
    """The neighbour's address is in fe80::/10 and says nothing without the interface."""
    remote_as: int
    internal: bool
    hold_time: int | None
    preference: int | None
    import_policy: Word
    export_policy: Word
    channels: tuple[Channel, ...]


def _session(tunnel: str, session: BgpSession) -> Session:
    neighbor = address(session.neighbor)
    hold_time, preference = session.hold_time, session.preference
    return Session(
        name=symbol(session.name),
        description=quoted(f"{tunnel} on {session.interface}"),
        interface=interface(session.interface),
        local=address(session.local_address) if session.local_address else None,
        local_as=number("AS", session.local_as, MAX_AS),
        neighbor=neighbor,
        link_local=":" in neighbor and ip_address(neighbor).is_link_local,
        remote_as=number("AS", session.remote_as, MAX_AS),
        internal=session.local_as == session.remote_as,
        hold_time=None if hold_time is None else number("hold time", hold_time, MAX_HOLD_TIME),
        preference=None if preference is None else number("preference", preference, MAX_PREFERENCE),
        import_policy=policy(session.import_filter),
        export_policy=policy(session.export_filter),
        channels=tuple(_channel(family, neighbor) for family in session.families),
    )


def _channel(family: str, neighbor: str) -> Channel:
    if family not in FAMILIES:
        raise RenderError(f"{family!r} is no address family: ipv4 or ipv6")
    return Channel(Word(family), extended_next_hop=family == "ipv4" and ":" in neighbor)


def render(block: BirdBlock, template: Template | None = None) -> str:
    """Return the text of one tunnel's sessions, for BIRD 2 and 3 if no template is given.

    Raises RenderError, naming the tunnel.
    """
    template = template or shipped("bgp")
    try:
        sessions = tuple(_session(block.tunnel, session) for session in block.sessions)
        text = template.fill(sessions=sessions)
    except RenderError as error:
        raise RenderError(f"tunnel {block.tunnel!r}: BIRD configuration: {error}") from error
    if any(line.startswith((BEGIN, END)) for line in text.splitlines()):
        raise RenderError(f"tunnel {block.tunnel!r}: {template}: a line begins like a mark of vtid")
    return text.strip("\n") + "\n"


def compose(blocks: Mapping[str, str]) -> str:
    """Return a whole include file from the text of each tunnel."""
    return HEADER + "".join(_marked(tunnel, blocks[tunnel]) for tunnel in sorted(blocks))


def _marked(tunnel: str, text: str) -> str:
    name = json.dumps(tunnel)
    return f"\n{BEGIN}{name}\n{text}{END}{name}\n"


def parse(text: str) -> dict[str, str]:
    """Return the text of each tunnel in an include file of ours: `parse(compose(x)) == x`.

    What is between the blocks is dropped. Raises RenderError if the file is not vtid's.
    """
    if not text.startswith(OWNED):
        raise RenderError("not written by vtid")
    blocks: dict[str, list[str]] = {}
    tunnel: str | None = None
    for line in text.splitlines(keepends=True):
        if tunnel is None:
            tunnel = _begun(line, blocks)
        elif line == f"{END}{json.dumps(tunnel)}\n":
            tunnel = None
        else:
            blocks[tunnel].append(line)
    return {name: "".join(lines) for name, lines in blocks.items()}


def _begun(line: str, blocks: dict[str, list[str]]) -> str | None:
    """Open a block if `line` begins one."""
    if not line.startswith(BEGIN):
        return None
    try:
        tunnel = json.loads(line.removeprefix(BEGIN))
    except ValueError as error:
        raise RenderError(f"no tunnel name in {line.strip()!r}") from error
    if not isinstance(tunnel, str) or tunnel in blocks:
        raise RenderError(f"no new tunnel in {line.strip()!r}")
    blocks[tunnel] = []
    return tunnel


def line_at(text: str, number: int) -> tuple[str | None, str]:
    """Return the tunnel whose block has line `number` (from 1), and the line: for BIRD's errors."""
    lines = text.split("\n")[:number]
    marks = [line for line in lines if line.startswith((BEGIN, END))]
    if len(lines) < number or not marks or not marks[-1].startswith(BEGIN):
        return None, ""
    return str(json.loads(marks[-1].removeprefix(BEGIN))), lines[-1]


def protocols(text: str) -> frozenset[str]:
    """Return the names of the BGP protocols that an include file defines."""
    return frozenset(PROTOCOL.findall(text))
