"""Listing: what charon has loaded and what is up, asked over a connection of its own. An edge."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.vici.channel import Channel, Limits, ViciError
from vtid.vici.conns import parse_list_conn
from vtid.vici.sas import parse_list_sa, text

if TYPE_CHECKING:
    from vtid.model.connection import Connection
    from vtid.model.sa import ChildSa
    from vtid.vici.codec import Message


@dataclass(frozen=True, slots=True)
class Listing:
    """What charon had at one moment."""

    version: str
    connections: tuple[Connection, ...]
    sas: tuple[ChildSa, ...]
    """Those that are in use."""


async def listing(socket: str, limits: Limits | None = None) -> Listing:
    """Connect to charon at `socket` and list. Raises `ViciError`."""
    link = await Channel.open(socket, limits or Limits(), _ignore_event)
    reader = asyncio.create_task(link.read())
    reader.add_done_callback(lambda done: link.close(_reason(done)))
    try:
        return await _list(link)
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, ViciError):
            await reader


async def _list(link: Channel) -> Listing:
    version = text(await link.request("version"), "version", "of unknown version")
    for event in ("list-conn", "list-sa"):
        if not await link.register(event):
            raise ViciError(f"charon {version} has no event {event}")
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
