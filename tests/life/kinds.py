"""The kinds of interface that a tunnel's life is tried with, and what differs between them.

    @BOTH_KINDS
    def test_something(pair: Pair) -> None: ...

Rules of this file: a test asks `pair` for texts, and a gateway for what it has; what only one kind
has (the outer addresses of a VTI, one if_id for both directions) stands in the tests of that kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

KEY, OTHER_KEY = 42, 41


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of interface."""

    name: str
    """In vtid.toml, and for IPv4 in the kernel."""
    in_swanctl: str
    """Lines of a child in swanctl.conf, for a key."""
    in_vtid: str
    """Lines of a tunnel in vtid.toml, for a key: of one that exists without an SA."""
    in_iproute: str
    """Words of `ip link … type`, for a key and the outer addresses."""

    def keys(self, key: int | str = KEY) -> str:
        """Write a child's keys: a number, or a word that has charon choose."""
        return self.in_swanctl.format(key=key)

    def declared(self) -> str:
        """Write a tunnel's key."""
        return self.in_vtid.format(key=KEY)

    def link(self, local: str, remote: str, key: int = KEY) -> list[str]:
        """Write the words with which `ip link` makes and changes such an interface."""
        return self.in_iproute.format(local=local, remote=remote, key=key).split()

    def key_of(self, data: dict[str, Any]) -> int:
        """Key of an interface, of `info_data` as iproute2 shows it."""
        if self.name == "xfrm":
            return int(str(data["if_id"]), 0)
        return key_number(data["okey"])


def key_number(key: object) -> int:
    """Return a VTI's key as a number: iproute2 shows it as if it were an IPv4 address."""
    return int.from_bytes(bytes(map(int, str(key).split("."))), "big")


VTI = Kind(
    "vti",
    in_swanctl="mark_in = {key}\n mark_out = {key}",
    in_vtid="mark = {key}",
    in_iproute="vti local {local} remote {remote} key {key}",
)
XFRM = Kind(
    "xfrm",
    in_swanctl="if_id_in = {key}\n if_id_out = {key}",
    in_vtid="if_id = {key}",
    in_iproute="xfrm if_id {key}",
)

_HIDDEN = pytest.HIDDEN_PARAM
"""Recorded cases are named after tests: the kind is in the name only where it is not the usual."""

BOTH_KINDS = pytest.mark.parametrize(
    "pair", [pytest.param(VTI, id=_HIDDEN), pytest.param(XFRM, id="xfrm")], indirect=True
)
XFRM_ONLY = pytest.mark.parametrize("pair", [pytest.param(XFRM, id=_HIDDEN)], indirect=True)
