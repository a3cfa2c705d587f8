"""Query: what the address of the page asks for, and addresses that ask for something else. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from vtid.model.listing import Wanted
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Mapping

PER_PAGE = 100
"""Tunnels on one page."""

REFRESHES = (0, 5, 30)
"""Seconds after which a browser may load the page again; 0 for never."""

REFRESH = 30
"""The one of them that counts where none is asked for: there is time to write into the form."""

_LONGEST_TEXT = 200
"""Characters; identities that a certificate has are shorter."""

_MOST_DIGITS = 6


class Address(str):
    """An address of the page: whole, whatever its length."""

    __slots__ = ()


class QueryError(Exception):
    """What is asked for does not exist; the text says what does."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is to be shown."""

    state: str = ""
    """Tunnels in this state; empty for all."""
    text: str = ""
    """Tunnels that have it somewhere; see `Wanted`."""
    page: int = 1
    refresh: int = REFRESH
    """Seconds."""

    @property
    def wanted(self) -> Wanted:
        """Which tunnels that are."""
        states = frozenset({self.state} - {""})
        return Wanted(states, self.text, (self.page - 1) * PER_PAGE, PER_PAGE)

    def address(
        self,
        *,
        state: str | None = None,
        page: int | None = None,
        refresh: int | None = None,
    ) -> Address:
        """Return the address of the page with some of this changed."""
        asked = {
            "state": self.state if state is None else state,
            "text": self.text,
            "page": self.page if page is None else page,
            "refresh": self.refresh if refresh is None else refresh,
        }
        unusual = {key: one for key, one in asked.items() if one != _USUAL[key]}
        return Address("?" + urlencode(unusual, errors="replace"))


_USUAL = {"state": "", "text": "", "page": 1, "refresh": REFRESH}


def read_query(asked: Mapping[str, str]) -> Query:
    """Read the query of an address. Raises QueryError where it asks for what there is not."""
    state = asked.get("state", "")
    if state and state not in set(TunnelState):
        raise QueryError(f"no state {state!r}; there are: {', '.join(TunnelState)}")
    text = asked.get("text", "").strip()
    if len(text) > _LONGEST_TEXT:
        raise QueryError(f"text: {_LONGEST_TEXT} characters at most")
    page = _number("page", asked.get("page", "1"))
    refresh = _number("refresh", asked.get("refresh", str(_USUAL["refresh"])))
    if refresh not in REFRESHES:
        raise QueryError(f"no refresh {refresh}; there are: {', '.join(map(str, REFRESHES))}")
    return Query(state, text, max(1, page), refresh)


def _number(key: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise QueryError(f"{key}: {text[:20]!r} is no number")
    return int(text)
