"""Pools: charon's answer to VICI `get-pools`. Pure.

What is no pool is left out (src/libcharon/plugins/vici/README.md, "get-pools").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.charon import Pool
from vtid.vici.sas import SaError, number, sections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.vici.codec import Message

MOST = 100
"""Pools that are told."""


def read_pools(answer: Message) -> tuple[Pool, ...]:
    """Read the answer; the pools are in order of their names."""
    return tuple(sorted(_pools(answer), key=lambda pool: pool.name))[:MOST]


def _pools(answer: Message) -> Iterator[Pool]:
    for name, section in sections(answer):
        try:
            counts = (number(section, key) for key in ("size", "online", "offline"))
            yield Pool(name, *counts)
        except SaError:
            continue
