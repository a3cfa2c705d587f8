"""Page: summary, tunnels, topology and last events as HTML. Pure, but slow to import (Jinja2).

Rules of this file:

* No value is trusted: Jinja2 escapes each, after characters that are not printable (`printable`),
  and a long one is cut. A template's own text alone is markup.
* There is no script, no `style` attribute and nothing from elsewhere, and `CSP` forbids it.
* What a colour says stands there as a word, too.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vtid.http import words
from vtid.http.query import PER_PAGE, REFRESHES, Address
from vtid.http.topology import picture
from vtid.model.link import tunnel_name
from vtid.model.mode import Mode
from vtid.model.status import TunnelState
from vtid.printable import escape
from vtid.units import size, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Template

    from vtid.http.query import Query
    from vtid.model.listing import Listing
    from vtid.model.status import Summary, TunnelStatus

_LONGEST = 300
"""Characters of a value."""

_SESSIONS_SHOWN = 3

STATES = (
    TunnelState.ERROR,
    TunnelState.DOWN,
    TunnelState.HOLDING,
    TunnelState.PENDING,
    TunnelState.UP,
)
"""Those that need attention first."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, as it is shown."""

    age: str
    date: str
    """In UTC, as people read it."""
    iso: str
    """The same as RFC 3339 has it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A tunnel in the table."""

    tunnel: str
    place: str
    state: TunnelState
    symbol: str
    mode: str
    peer: words.Peer
    mtu: str
    proven: str
    limit: str
    mss: str
    sessions: tuple[str, ...]
    bgp_down: bool
    traffic: tuple[str, str] | None
    """Bytes in and out."""
    since: Moment | None
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another view of the page."""

    text: str
    address: Address
    current: bool = False


def page(summary: Summary, listing: Listing, query: Query, host: str, now: float) -> str:
    """Write the page; `now` is Unix time, `host` the name of this machine."""
    pages = max(1, -(-listing.matching // PER_PAGE))
    number = listing.first // PER_PAGE + 1
    total = sum(summary.tunnels.values())
    return _template("page.html.j2").render(
        host=host,
        summary=summary,
        total=total,
        well=summary.synced and not summary.troubles and summary.tunnels["up"] == total,
        started=moment(summary.started_at, now),
        loaded=moment(summary.config_loaded_at, now),
        now=moment(now, now),
        troubles=[(one, moment(one.since, now)) for one in summary.troubles],
        filters=tuple(_filters(summary, query)),
        query=query,
        refreshes=tuple(_refreshes(query)),
        rows=[row(one, now) for one in listing.tunnels],
        matching=listing.matching,
        first=listing.first,
        number=number,
        pages=pages,
        turns=tuple(_turns(query, number, pages)),
        picture=picture(listing.tunnels),
        events=[(one.tunnel, one.past, moment(one.past.at, now)) for one in listing.events],
        symbols=words.SYMBOLS,
        css=Markup(_css()),  # noqa: S704 - a file of ours
    )


def _filters(summary: Summary, query: Query) -> Iterator[Link]:
    total = sum(summary.tunnels.values())
    yield Link(f"all {total}", _list(query, state="", page=1), current=not query.state)
    for state in STATES:
        if (count := summary.tunnels[state]) or query.state == state:
            address = _list(query, state=state, page=1)
            text = f"{words.SYMBOLS[state]} {state} {count}"
            yield Link(text, address, current=query.state == state)


def _refreshes(query: Query) -> Iterator[Link]:
    for seconds in REFRESHES:
        text = f"every {seconds} s" if seconds else "off"
        yield Link(text, query.address(refresh=seconds), current=query.refresh == seconds)


def _list(query: Query, *, state: str | None = None, page: int) -> Address:
    """Return the address of another list, at its place on the page."""
    return Address(f"{query.address(state=state, page=page)}#tunnels")


def _turns(query: Query, number: int, pages: int) -> Iterator[Link]:
    """Yield links to other parts of a list that has several."""
    if number > 1:
        yield Link("first", _list(query, page=1))
        yield Link("previous", _list(query, page=number - 1))
    if number < pages:
        yield Link("next", _list(query, page=number + 1))
        yield Link("last", _list(query, page=pages))


def row(one: TunnelStatus, now: float) -> Row:
    """Return a tunnel as the table has it."""
    traffic = one.counts.traffic
    sessions = tuple(f"{s.neighbor} {words.session(s)}".strip() for s in one.bgp)
    more = len(sessions) - _SESSIONS_SHOWN
    return Row(
        tunnel=one.tunnel,
        place=tunnel_name(one.netns, one.interface),
        state=one.state,
        symbol=words.SYMBOLS[one.state],
        mode="" if one.mode is Mode.MANAGED else str(one.mode),
        peer=words.peer(one),
        mtu=str(one.link.mtu) if one.link else "",
        proven=words.proven(one),
        limit=words.mtu_limit(one),
        mss=f"{one.clamp.mss4} / {one.clamp.mss6}" if one.clamp else "",
        sessions=(*sessions[:_SESSIONS_SHOWN], *([f"and {more} more"] if more > 0 else [])),
        bgp_down=words.bgp_down(one),
        traffic=(size(traffic.rx_bytes), size(traffic.tx_bytes)) if traffic else None,
        since=moment(one.since, now),
        reason=one.reason,
        error=one.error,
    )


def moment(at: float, now: float) -> Moment | None:
    """Return a Unix time as it is shown; None for 0, which stands for a time that is not known."""
    if not at:
        return None
    found = datetime.fromtimestamp(at, UTC)
    iso = found.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Moment(span(now - at), found.strftime("%Y-%m-%d %H:%M:%S"), iso)


# --- Jinja2 --------------------------------------------------------------------------------------


def _finalize(value: object) -> object:
    """Make the value of an expression printable; Jinja2 escapes it afterwards."""
    if isinstance(value, Markup | StrictUndefined | Address):
        return value
    text = str(value)
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("vtid.http"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


@cache
def _css() -> str:
    return files("vtid.http").joinpath("templates", "page.css").read_text("utf-8")


@cache
def csp() -> str:
    """Return the Content-Security-Policy: style, icon and form of the page, and no more."""
    digest = base64.b64encode(hashlib.sha256(_css().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
