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
from typing import TYPE_CHECKING, Any

from vtid.bird.quote import (
    RenderError,
    Word,
    address,
    interface,
    number,
    policy,
    quoted,
    secret,
    symbol,
)
from vtid.bird.template import shipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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

NUMBERS = {
    "local_as": 0xFFFFFFFF,
    "remote_as": 0xFFFFFFFF,
    "local_preference": 0xFFFFFFFF,
    "preference": 0xFFFF,
    "multihop": 0xFF,
    "hold_time": 0xFFFF,
    "keepalive_time": 0xFFFF,
    "connect_retry_time": 0xFFFF,
}
"""Numbers of a session, each with the highest that BIRD takes."""

WORDS = {
    "limit_action": {"warn", "block", "restart", "disable"},
    "role": {"provider", "rs_server", "rs_client", "customer", "peer"},
    "graceful_restart": {"on", "off", "aware"},
}
FAMILIES = frozenset({"ipv4", "ipv6"})

CONNECT_DELAY = 1
ERROR_WAIT = (1, 30)
"""Seconds, instead of BIRD's 5, and 60 to 300: who comes back with its tunnel need not wait."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One address family of a session, as the template sees it."""

    family: Word
    extended_next_hop: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """How many routes there may be."""

    routes: Word
    """Which: `import`, `receive`, `export`."""
    number: int


@dataclass(frozen=True, slots=True)
class Session:
    """One BGP session, as the template sees it: every value can go into the text as it is.

    None: nothing is said, and BIRD's default counts.
    """

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
    next_hop_self: bool
    multihop: int | None
    password: Word | None
    bfd: bool
    passive: bool
    graceful_restart: Word | None
    """`on`, `off`, `aware`."""
    role: Word | None
    hold_time: int | None
    keepalive_time: int | None
    connect_retry_time: int | None
    connect_delay_time: int
    error_wait_min: int
    error_wait_max: int
    preference: int | None
    local_preference: int | None
    import_policy: Word
    export_policy: Word
    limits: tuple[Limit, ...]
    limit_action: Word | None
    channels: tuple[Channel, ...]


def _session(tunnel: str, session: BgpSession) -> Session:
    neighbor = address(session.neighbor)
    internal = session.local_as == session.remote_as
    least, longest = session.error_wait_time or ERROR_WAIT
    delay = session.connect_delay_time
    return Session(
        name=symbol(session.name),
        description=quoted(f"{tunnel} on {session.interface}"),
        interface=interface(session.interface),
        local=address(session.local_address) if session.local_address else None,
        neighbor=neighbor,
        link_local=":" in neighbor and ip_address(neighbor).is_link_local,
        internal=internal,
        next_hop_self=internal if session.next_hop_self is None else session.next_hop_self,
        password=secret(session.password.text) if session.password else None,
        bfd=session.bfd,
        passive=session.passive,
        graceful_restart=_word("graceful_restart", session.graceful_restart),
        role=_word("role", session.role),
        limit_action=_word("limit_action", session.limit_action),
        connect_delay_time=number(
            "connect_delay_time", CONNECT_DELAY if delay is None else delay, 0xFFFF
        ),
        error_wait_min=number("error_wait_time", least, 0xFFFF),
        error_wait_max=number("error_wait_time", longest, 0xFFFF),
        import_policy=policy(session.import_filter),
        export_policy=policy(session.export_filter),
        channels=tuple(_channel(family, neighbor) for family in session.families),
        limits=tuple(_limits(session)),
        **{name: _number(name, getattr(session, name)) for name in NUMBERS},
    )


def _limits(session: BgpSession) -> Iterator[Limit]:
    for routes in ("import", "receive", "export"):
        limit = getattr(session, f"{routes}_limit")
        if limit is not None:
            yield Limit(Word(routes), number(f"{routes}_limit", limit, 0xFFFFFFFF))


def _number(name: str, value: int | None) -> Any:  # noqa: ANN401 - int where one has to be there
    return None if value is None else number(name, value, NUMBERS[name])


def _word(name: str, value: str | None) -> Word | None:
    if value is not None and value not in WORDS[name]:
        raise RenderError(f"{name} {value!r} is none of {', '.join(sorted(WORDS[name]))}")
    return None if value is None else Word(value)


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
