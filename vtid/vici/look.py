"""Look: asks charon about itself, over a connection of its own. An edge.

Rules of this file:

* charon runs the commands of a connection one by one: these must not hold up those about SAs.
* A charon that lacks a command or an event tells the rest.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from vtid.model.charon import Certificate, CharonFacts
from vtid.vici.certificates import read_certificate
from vtid.vici.channel import Channel, Limits, UnknownCommandError, ViciError
from vtid.vici.conns import parse_list_conn
from vtid.vici.pools import read_pools
from vtid.vici.sas import text
from vtid.vici.stats import read_stats

if TYPE_CHECKING:
    from vtid.vici.channel import Part
    from vtid.vici.codec import Message, Request

MOST = 100
"""Certificates that are told: more than any gateway has keys for."""


async def look(socket: str, limits: Limits | None = None) -> CharonFacts:
    """Ask once. Raises ViciError."""
    link = await Channel.open(socket, limits or Limits(), _no_event)
    reading = asyncio.create_task(_read(link))
    try:
        stats = read_stats(await _answer(link, "stats"))
        certificates = await _certificates(link)
        connections, children = await _connections(link)
        pools = read_pools(await _answer(link, "get-pools"))
        return CharonFacts(stats, certificates, connections, children, pools)
    finally:
        reading.cancel()
        link.close("asked all")


async def _answer(link: Channel, command: str) -> Message:
    """Return the answer to a command, empty where charon does not know it."""
    with suppress(UnknownCommandError):
        return await link.request(command)
    return {}


async def _list(link: Channel, stream: str, part: Part, message: Request | None = None) -> bool:
    """Run the command that answers with events `stream`; whether charon knows it."""
    with suppress(UnknownCommandError):
        if await link.register(stream):
            await link.request(f"{stream}s", message, stream=stream, part=part)
            return True
    return False


def _no_event(_name: str, _message: Message) -> None:
    """Ignore an event: none is registered but those that lists are answered with."""


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

    await _list(link, "list-cert", part, {"type": "X509"})
    return tuple(found)


async def _connections(link: Channel) -> tuple[int | None, tuple[tuple[str, str], ...]]:
    """List the loaded connections: how many, and the names of their children."""
    count, children = 0, list[tuple[str, str]]()

    def part(message: Message) -> None:
        nonlocal count
        for connection in parse_list_conn(message):
            count += 1
            children.extend(connection.names)

    known = await _list(link, "list-conn", part)
    return count if known else None, tuple(children)
