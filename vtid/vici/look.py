"""Look: asks charon about itself, over a connection of its own. An edge.

charon runs the commands of a connection one by one: these must not hold up those about SAs.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from vtid.model.charon import Certificate, CharonFacts
from vtid.vici.certificates import read_certificate
from vtid.vici.channel import Channel, Limits, ViciError
from vtid.vici.sas import text
from vtid.vici.stats import read_stats

if TYPE_CHECKING:
    from vtid.vici.codec import Message

MOST = 100
"""Certificates that are told: more than any gateway has keys for."""


async def look(socket: str, limits: Limits | None = None) -> CharonFacts:
    """Ask once. Raises ViciError."""
    link = await Channel.open(socket, limits or Limits(), _no_event)
    reading = asyncio.create_task(_read(link))
    try:
        stats = read_stats(await link.request("stats"))
        return CharonFacts(stats, await _certificates(link))
    finally:
        reading.cancel()
        link.close("asked all")


def _no_event(_name: str, _message: Message) -> None:
    """Ignore an event: none is registered but the one that list-certs answers with."""


async def _read(link: Channel) -> None:
    try:
        await link.read()
    except ViciError as error:
        link.close(str(error))


async def _certificates(link: Channel) -> tuple[Certificate, ...]:
    """List the certificates whose private keys charon has; those of peers are not among them."""
    found: dict[Certificate, None] = {}

    def part(message: Message) -> None:
        der = message.get("data")
        if text(message, "has_privkey") == "yes" and isinstance(der, bytes) and len(found) < MOST:
            with suppress(ValueError):
                found[read_certificate(der)] = None

    if await link.register("list-cert"):
        await link.request("list-certs", {"type": "X509"}, stream="list-cert", part=part)
    return tuple(found)
