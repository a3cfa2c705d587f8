"""Listing: what charon has loaded and what is up, asked over a connection of its own. An edge."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.vici.channel import Channel, Limits, ViciError
from vtid.vici.conns import parse_list_conn
from vtid.vici.ike import parse_ike_sas
from vtid.vici.sas import SaError, parse_list_sa, sections, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vtid.model.connection import Connection
    from vtid.model.ike import ListedIke
    from vtid.model.sa import ChildSa
    from vtid.vici.codec import Message, Request


@dataclass(frozen=True, slots=True)
class Listing:
    """What charon had at one moment."""

    version: str
    connections: tuple[Connection, ...]
    sas: tuple[ChildSa, ...]
    """Those that are in use."""


async def listing(socket: str, limits: Limits | None = None) -> Listing:
    """Connect to charon at `socket` and list. Raises `ViciError`."""
    async with _connected(socket, limits) as link:
        return await _list(link)


async def ike_sas(
    socket: str, connection: str = "", limits: Limits | None = None
) -> tuple[tuple[ListedIke, ...], tuple[str, ...]]:
    """List the IKE_SAs, all or those of a connection, and a line for each unusable part.

    Raises `ViciError`.
    """
    found: list[ListedIke] = []
    errors: list[str] = []

    def part(message: Message) -> None:
        try:
            found.extend(parse_ike_sas(message, time.time()))
        except SaError as error:
            errors.append(f"{', '.join(name for name, _ in sections(message))}: {error}")

    async with _connected(socket, limits) as link:
        await _register(link, "list-sa")
        wanted: Request = {"ike": connection} if connection else {}
        await link.request("list-sas", wanted, stream="list-sa", part=part)
    return tuple(found), tuple(errors)


@asynccontextmanager
async def _connected(socket: str, limits: Limits | None) -> AsyncIterator[Channel]:
    link = await Channel.open(socket, limits or Limits(), _ignore_event)
    reader = asyncio.create_task(link.read())
    reader.add_done_callback(lambda done: link.close(_reason(done)))
    try:
        yield link
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, ViciError):
            await reader


async def _register(link: Channel, *events: str) -> str:
    """Register events, and return charon's version."""
    version = text(await link.request("version"), "version", "of unknown version")
    for event in events:
        if not await link.register(event):
            raise ViciError(f"charon {version} has no event {event}")
    return version


async def _list(link: Channel) -> Listing:
    version = await _register(link, "list-conn", "list-sa")
    connections: list[Connection] = []
    sas: list[ChildSa] = []
    await link.request(
        "list-conns",
        stream="list-conn",
        part=lambda part: connections.extend(parse_list_conn(part)),
    )
    await link.request(
        "list-sas",
        stream="list-sa",
        part=lambda part: sas.extend(parse_list_sa(part, time.time())[0]),
    )
    return Listing(version, tuple(connections), tuple(sas))


def _ignore_event(_name: str, _message: Message) -> None:
    """Ignore an event: none was registered but those that carry the lists."""


def _reason(reader: asyncio.Task[None]) -> str:
    """Return why nothing more comes, for whoever waits for an answer."""
    return "given up" if reader.cancelled() else str(reader.exception())
