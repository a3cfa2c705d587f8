"""BIRD's include file: sessions to text, and text to the tunnels it names.

Rules of this file:

* Only `Word`s and ints leave a template: `finalize` refuses plain strings, so nothing reaches
  BIRD's configuration that has not been through `symbol`, `quoted`, `address` or `policy`.
* A file is a header line and one block per tunnel between two marker lines, sorted by tunnel, so
  that equal sets of blocks are equal files. What does not begin with the header is not vtid's.
* A tunnel is rendered when it changes; the file is the blocks joined.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtid.model import BgpSession, BirdBlock

HEADER = "# Written by vtid from its sessions; do not edit, the next change replaces it.\n"
OWNED = "# Written by vtid "
"""How any file of ours begins, whichever version wrote it."""

BEGIN = "# vtid begin "
END = "# vtid end "

MAX_SYMBOL = 63
"""SYM_MAX_LEN of BIRD's conf/conf.h, without the NUL."""

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
QUOTABLE = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)
MAX_AS = 0xFFFFFFFF
MAX_PREFERENCE = 0xFFFF
MAX_HOLD_TIME = 0xFFFF
FAMILIES = frozenset({"ipv4", "ipv6"})


class RenderError(ValueError):
    """A session that cannot be said in BIRD's language, or a file that is not vtid's."""


class Word(str):
    """Text that is safe in BIRD's configuration as it stands."""

    __slots__ = ()


def symbol(text: str) -> Word:
    """Return a BIRD symbol, in single quotes where it is no identifier (conf/cf-lex.l)."""
    if len(text) > MAX_SYMBOL or not QUOTABLE.fullmatch(text):
        raise RenderError(
            f"{text!r} is no BIRD symbol: use 1 to {MAX_SYMBOL} letters, digits, _ . : and -"
        )
    return Word(text if IDENTIFIER.fullmatch(text) else f"'{text}'")


def quoted(text: str) -> Word:
    """Return a BIRD string; what it cannot hold (quotes, control characters) becomes `?`."""
    return Word('"' + re.sub(r'[^ -~]|"', "?", text) + '"')


def interface(text: str) -> Word:
    """Return an interface name as a BIRD string, exactly or not at all."""
    word = quoted(text)
    if word != f'"{text}"' or not text:
        raise RenderError(f"{text!r} is no interface name for BIRD")
    return word


def address(text: str) -> Word:
    """Return an address in canonical form, without a zone."""
    try:
        parsed = ip_address(text)
    except ValueError as error:
        raise RenderError(f"{text!r} is no IP address") from error
    if isinstance(parsed, IPv6Address) and parsed.scope_id:
        raise RenderError(f"{text!r} has a zone: the session's interface says it already")
    return Word(str(parsed))


def policy(text: str) -> Word:
    """Return `all`, `none` or the name of a filter for `import` and `export`."""
    return Word(text) if text in {"all", "none"} else Word(f"filter {symbol(text)}")


def number(name: str, value: int, highest: int) -> int:
    """Return `value` if it is from 0 to `highest`."""
    if type(value) is not int or not 0 <= value <= highest:
        raise RenderError(f"{name} {value!r} is not from 0 to {highest}")
    return value


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


def _finalize(value: object) -> object:
    """Let only what is safe out of an expression; Jinja2 calls this for every one of them."""
    if isinstance(value, StrictUndefined):
        return str(value)  # raises UndefinedError, which names what is missing
    if type(value) in {Word, int}:
        return value
    raise RenderError(f"the template prints {value!r}, which has not been quoted")


def compile_template(source: str) -> Template:
    """Compile a template; raises RenderError with its line where it is not Jinja2."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, finalize=_finalize, keep_trailing_newline=False
    )
    try:
        return environment.from_string(source)
    except TemplateError as error:
        raise RenderError(f"template: {error}") from error


@cache
def default_template() -> Template:
    """Compile the template that comes with vtid, for BIRD 2 and 3."""
    return compile_template(files("vtid.bird").joinpath("templates/bgp.conf.j2").read_text())


def render(block: BirdBlock, template: Template | None = None) -> str:
    """Return the text of one tunnel's sessions; raises RenderError, naming the tunnel."""
    try:
        sessions = tuple(_session(block.tunnel, session) for session in block.sessions)
        text = (template or default_template()).render(sessions=sessions)
    except Exception as error:  # a template can raise anything
        raise RenderError(f"tunnel {block.tunnel!r}: BIRD configuration: {error}") from error
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
    return frozenset(re.findall(r"^protocol bgp '?([\w.:-]+)'? \{", text, re.ASCII | re.MULTILINE))
