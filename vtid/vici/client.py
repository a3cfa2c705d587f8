"""Client: follows charon over one VICI connection, and posts inputs. An edge.

    connect ─▶ version ─▶ register events ─▶ list-sas ─▶ SaSnapshot ─▶ events …
       ▲                                                                  │
       └────────── wait, longer each time ◀── ViciLost(reason) ◀── any trouble

Rules of this file:

* Snapshot and events are one sequence: events are registered first, and those that come while
  the SAs are listed are posted after the snapshot. Each of them is either newer than the snapshot,
  or in it already, where repeating it changes nothing.
* list-sas waits for busy IKE_SAs. With `noblock`, charon leaves out those that are checked out at
  the moment, and vtid would remove their tunnels.
* A snapshot is taken again from time to time, and soon after events that leave open which SAs
  there are: of two rekeys of the same SA, which have crossed each other, one is undone without an
  event, and ike-update does not say whether UDP encapsulation has come or gone.
* An operator's wish is listed for at once, and leaves open what was unclear.
* Everything has a time limit (`channel`). A charon that hangs is found by asking for its version.
* An unusable message is logged once and ignored.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import structlog

from vtid.model.input import ChildRekeyed, IkeUpdated, Input, SaSnapshot, ViciLost
from vtid.model.levels import Subsystem
from vtid.vici import connection
from vtid.vici.channel import Channel, Limits, Part, ViciError, ignore
from vtid.vici.connection import State
from vtid.vici.sas import EVENTS, SaError, parse_event, parse_ike_sas, parse_list_sa, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vtid.model.sa import ChildSa, IkeSa
    from vtid.vici.codec import Message, Request

log = structlog.get_logger(Subsystem.VICI)

LOGGED_MAX = 1000
"""Lines remembered as logged."""

LISTING_SHARE = 20
"""A list that an unclear event asks for waits this many times as long as the last list took."""

RECENT = 256
"""Rekeyed SAs remembered; crossing rekeys are moments apart."""

OPTIONAL_EVENTS = frozenset({"ike-rekey", "ike-update"})
"""Events that older strongSwans lack, and list-sas stands in for."""

NEW_EVENTS = frozenset({"alert"})
"""Events that most strongSwans lack; nothing but words depends on them."""

ALERTS_A_SECOND = 50
"""More are dropped unread: whoever reaches charon's port can cause any number of them."""


async def _any_of(events: Iterable[asyncio.Event], seconds: float) -> bool:
    """Wait until one of some events is set; return whether that came in time."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return bool(done)


class ViciClient:
    """Follows one charon; `post` gets every input, in order, on the event loop.

    `version` is what charon calls its version while it is connected, else empty.
    """

    def __init__(
        self, socket: str, post: Callable[[Input], None], limits: Limits | None = None
    ) -> None:
        self.version = ""
        self.connections = self.listings = 0
        """Connections that were set up, and lists of all SAs that were taken, so far."""
        self.success_at = 0.0
        """Unix time at which charon answered last; 0 for never."""
        self._limits = limits or Limits()
        self._socket = socket
        self._post = post
        self._link: Channel | None = None
        self._state = State.DISCONNECTED
        self._held: list[Input] = []
        """Inputs that came while charon listed its SAs."""
        self._followed_since: float | None = None
        """When this connection's first list was posted."""
        self._unclear, self._wished = asyncio.Event(), asyncio.Event()
        """Why a list is due before its time: an event, or an operator."""
        self._listed = asyncio.Event()
        self._rekeyed = OrderedDict[int, None]()
        """Unique IDs of SAs that were replaced, the one that was so last at the end."""
        self._lost = ""
        self._logged: set[str] = set()
        self._alerts_in, self._alerts = 0, 0
        """The second of the last alert, and how many it has had."""

    async def run(self) -> None:
        """Connect, follow, and reconnect, without end; every loss is posted as `ViciLost`."""
        attempt = 0
        while True:
            try:
                await self._follow()
            except ViciError as error:
                self._lose(str(error))
            since = self._followed_since
            if since and time.monotonic() - since > self._limits.retry_max:
                attempt = 0
            self._followed_since = None
            await asyncio.sleep(self._limits.delay(attempt))
            attempt += 1

    async def request(
        self,
        command: str,
        message: Request | None = None,
        *,
        stream: str = "",
        part: Part = ignore,
    ) -> Message:
        """Run a command that answers soon and return its answer, whatever `success` in it says.

        `part` gets each event `stream` that the command answers with. charon runs the commands of
        a connection one by one: one that takes long looks like a charon that hangs. Raises
        `ViciError`.
        """
        if self._link is None:
            raise ViciError(f"not connected to charon at {self._socket}")
        return await self._link.request(command, message, stream=stream, part=part)

    async def resync(self) -> None:
        """Have charon list its SAs now, and return when the list is posted, or charon is lost."""
        if self._followed_since is None:
            return  # the list that begins the connection is yet to come
        lists = 2 if self._state is State.LISTING else 1  # the one under way may be too old
        self._wished.set()
        for _ in range(lists):
            await self._listed.wait()

    def _move(self, event: connection.Event) -> None:
        self._state = connection.after(self._state, event)

    async def _follow(self) -> None:
        """Connect and follow charon. Raises `ViciError` at the end of the connection."""
        link = await Channel.open(self._socket, self._limits, self._happened)
        self._link = link
        self._move(connection.Event.CONNECTED)
        error = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(link.read())
                tasks.create_task(self._talk(link))
        except* ViciError as group:
            error = group.exceptions[0]
        finally:
            self._link, self.version = None, ""
            self._held.clear()
            self._wished.clear()
            self._move(connection.Event.LOST)
            self._tell_listed()
            link.close(str(error or "vtid gave the connection up"))
        if error:
            raise error

    async def _talk(self, link: Channel) -> None:
        version = text(await link.request("version"), "version", "of unknown version")
        for event in (*EVENTS, "list-sa"):
            if not await link.register(event):
                self._missing(event, version)
        self.version = version
        self._move(connection.Event.REGISTERED)
        while True:
            began = time.monotonic()
            await self._snapshot(link)
            took = time.monotonic() - began
            due = time.monotonic() + self._limits.snapshot
            while time.monotonic() < due and not await self._is_list_due():
                await link.request("version")
                self.success_at = time.time()
            if self._unclear.is_set() and not self._wished.is_set():
                await self._settle(max(self._limits.settle, LISTING_SHARE * took))
            # a wish from now on is for the list after this one
            self._wished.clear()
            self._move(connection.Event.LIST_DUE)

    async def _is_list_due(self) -> bool:
        """Wait for the next keepalive, or until a list is due; return whether it is."""
        return await _any_of((self._unclear, self._wished), self._limits.alive)

    async def _settle(self, seconds: float) -> None:
        """Wait until what was unclear is over; an operator's wish does not wait."""
        self._move(connection.Event.UNCLEAR)
        # an unclear event from now on may be too young for the list that follows
        self._unclear.clear()
        if await _any_of((self._wished,), seconds):
            self._unclear.set()  # and so may this one be now

    def _makes_unclear(self, event: Input) -> bool:
        """Whether only list-sas shows which SAs there are after this event."""
        match event:
            case ChildRekeyed(old_unique_id=old):
                crossed = old in self._rekeyed
                self._rekeyed[old] = None
                self._rekeyed.move_to_end(old)
                if len(self._rekeyed) > RECENT:
                    self._rekeyed.popitem(last=False)
                return crossed
            case IkeUpdated():
                return True
        return False

    def _missing(self, event: str, version: str) -> None:
        line = f"charon {version} at {self._socket} has no event {event}"
        if event in NEW_EVENTS:
            return
        if event not in OPTIONAL_EVENTS:
            raise ViciError(f"{line}: vtid needs a newer strongSwan")
        if self._is_news(line):
            log.warning("charon lacks an event", detail=f"{line}; vtid relies on list-sas instead")

    async def _snapshot(self, link: Channel) -> None:
        """List all SAs and post them, then the events that came meanwhile."""
        sas: list[ChildSa] = []
        ikes: list[IkeSa] = []

        def part(message: Message) -> None:
            now = time.time()
            found, errors = parse_list_sa(message, now)
            sas.extend(found)
            if found:
                ikes.extend(parse_ike_sas(message, now))
            for error in errors:
                self._ignored(error)

        await link.request("list-sas", stream="list-sa", part=part)
        self.listings += 1
        self.success_at = time.time()
        if self._followed_since is None:
            log.info("charon connected", version=self.version, socket=self._socket, sas=len(sas))
            self.connections += 1
            self._followed_since, self._lost = time.monotonic(), ""
        held, self._held = self._held, []
        self._move(connection.Event.LISTED)
        for event in (SaSnapshot(tuple(sas), tuple(ikes)), *held):
            self._post(event)
        self._tell_listed()

    def _tell_listed(self) -> None:
        """Wake up who waits for a list."""
        self._listed.set()
        self._listed.clear()

    def _happened(self, name: str, message: Message) -> None:
        if name == "alert" and self._is_alert_too_many():
            return
        try:
            inputs = parse_event(name, message, time.time())
        except SaError as error:
            self._ignored(error)
            return
        for event in inputs:
            if self._makes_unclear(event):
                self._unclear.set()
        if self._state is State.LISTING:
            self._held += inputs
            return
        for event in inputs:
            self._post(event)

    def _is_alert_too_many(self) -> bool:
        second = int(time.monotonic())
        if second != self._alerts_in:
            self._alerts_in, self._alerts = second, 0
        self._alerts += 1
        return self._alerts > ALERTS_A_SECOND

    def _ignored(self, error: SaError) -> None:
        if self._is_news(str(error)):
            log.warning("VICI message ignored", detail=str(error))

    def _is_news(self, line: str) -> bool:
        """Whether a line has not been logged before; so a repeated message costs one line."""
        if line in self._logged:
            return False
        if len(self._logged) >= LOGGED_MAX:
            self._logged.clear()
        self._logged.add(line)
        return True

    def _lose(self, reason: str) -> None:
        """Post and log a loss, unless the last attempt failed for the same reason."""
        if reason != self._lost:
            self._lost = reason
            log.warning("VICI lost", detail=reason)
            self._post(ViciLost(reason))
