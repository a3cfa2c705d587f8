"""Repairs: describes what another program changed and vtid restores. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.operation import (
    AddAddress,
    AddRoute,
    CreateLink,
    DeleteAddress,
    DeleteRoute,
    SetClamp,
    SetLink,
    SetUp,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.model.operation import Op


def put_back(ops: Iterable[Op]) -> str:
    """Describe operations that restore what another program changed."""
    return "; ".join(filter(None, map(_words, ops)))


def _words(op: Op) -> str:  # noqa: PLR0911 - one line for each kind
    match op:
        case CreateLink():
            return "the interface, which was deleted"
        case SetLink(changes=changes):
            return f"{', '.join(changes)} of the interface"
        case SetUp(up=up):
            return "up" if up else "down"
        case AddAddress(address=address):
            return f"address {address}"
        case DeleteAddress(address=address):
            return f"without address {address}"
        case AddRoute(route=route):
            return f"route to {route.to}"
        case DeleteRoute(route=route):
            return f"without route to {route.to}"
        case SetClamp():
            return "MSS clamp"
        case _:
            return ""
