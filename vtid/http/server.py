"""Server: metrics and health over TCP, the control API over a Unix socket. The edge.

TCP listeners can only read. What moves the daemon is served on the control socket alone, whose
file mode says who may. A read-only socket shows the same without secrets. A server listens
everywhere it was told to, or nowhere.

Whoever reaches a listener can neither use up the daemon's file descriptors or memory, nor keep
others out (`admission` has the rules, `guard` applies them), nor fill its log: a malformed request
is answered, not logged.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http import HttpProcessingError

from vtid.http.access import Access, Tls
from vtid.http.admission import Limits
from vtid.http.api import Api, ReloadResult
from vtid.http.control import control_app, read_only_app
from vtid.http.door import Door
from vtid.http.guard import Gate
from vtid.http.handlers import metrics_app
from vtid.http.listen import ControlSocket, ServerError, metrics_refusal, parse_address
from vtid.http.telemetry import CONTROL, METRICS, READ_ONLY
from vtid.http.users import Users

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from vtid.http.telemetry import Telemetry

__all__ = ["Access", "Api", "Limits", "ReadOnly", "ReloadResult", "Server", "ServerError", "Tls"]

_SHUTDOWN_TIMEOUT = 1.0
"""Seconds that requests under way get at stop()."""

_CONTROL_TOTAL = 64
"""Connections to the control socket at once, where no strangers come."""

_ACCEPTED_AT_ONCE = 8
"""Connections between two turns of the loop: a storm of them holds nothing up, and a client that
comes with its request is heard before others can displace it."""

_QUEUE = 1024
"""Connections that wait to be accepted; the kernel lets further ones try again after a second."""


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """The socket for those that may only read."""

    path: str
    group: str
    """Name or number."""


class Server:
    """HTTP on the control socket and on the metrics addresses, from start() to stop()."""

    def __init__(
        self,
        control_socket: str,
        metrics: Sequence[str],
        api: Api,
        telemetry: Telemetry,
        limits: Limits | None = None,
        *,
        read_only: ReadOnly | None = None,
    ) -> None:
        self._read_only = read_only
        self._path = control_socket
        self._metrics = tuple(metrics)
        self._api = api
        self._telemetry = telemetry
        self._limits = limits or Limits()
        self._door = Door(telemetry, (text.rpartition(":")[0] for text in metrics))
        self._context: ssl.SSLContext | None = None
        self._sockets: list[ControlSocket] = []
        self._runners: list[web.AppRunner] = []
        self._listeners: list[asyncio.Server] = []
        self.addresses: tuple[tuple[str, int], ...] = ()
        """Addresses and ports on which the metrics are served, while started."""

    async def start(self) -> None:
        """Listen everywhere. Raises ServerError, and then nothing is left behind."""
        addresses = [(text, *parse_address(text)) for text in self._metrics]
        try:
            await self._listen_control()
            if self._read_only:
                await self._listen_read_only(self._read_only)
            await self._listen_metrics(addresses)
        except BaseException:
            await self.stop()
            raise

    def use(self, access: Access) -> None:
        """Let in those that `access` says, from now on; also reads the files of TLS again.

        Raises ServerError where these are no good, and then nothing changes.
        """
        context = _context(access.tls) if access.tls else None
        self._door.use(access, Users(dict(access.users)))
        self._context = context

    async def stop(self) -> None:
        """Answer what is under way, for a second at most, and remove the sockets' files."""
        while self._listeners:
            self._listeners.pop().close()
        while self._runners:
            await self._runners.pop().cleanup()
        while self._sockets:
            self._sockets.pop().close()
        self.addresses = ()

    async def _listen_control(self) -> None:
        app = control_app(self._api, self._telemetry)
        await self._listen_unix(CONTROL, ControlSocket(self._path), app)

    async def _listen_read_only(self, read_only: ReadOnly) -> None:
        control = ControlSocket(read_only.path, "read_only_socket", read_only.group)
        app = read_only_app(self._api, self._telemetry, self._path)
        await self._listen_unix(READ_ONLY, control, app)

    async def _listen_unix(self, name: str, control: ControlSocket, app: web.Application) -> None:
        self._sockets.append(control)
        few = min(_CONTROL_TOTAL, self._limits.total)
        limits = replace(self._limits, total=few, reserve=min(few // 4, self._limits.reserve))
        gate = await self._gate(name, app, limits)
        loop = asyncio.get_running_loop()
        self._listeners.append(
            await loop.create_unix_server(gate, sock=control.socket, backlog=_ACCEPTED_AT_ONCE)
        )
        _lengthen_queue(self._listeners[-1])

    async def _listen_metrics(self, addresses: list[tuple[str, str, int]]) -> None:
        """Listen on all metrics addresses; the limits are for all of them together."""
        gate = await self._gate(
            METRICS, metrics_app(self._api, self._telemetry, self._door), self._limits
        )
        gate.context = self._secured
        loop = asyncio.get_running_loop()
        found: list[tuple[str, int]] = []
        for text, host, port in addresses:
            try:
                listener = await loop.create_server(
                    gate, host, port, reuse_address=True, backlog=_ACCEPTED_AT_ONCE
                )
            except OSError as error:
                raise metrics_refusal(text, error) from error
            _lengthen_queue(listener)
            self._listeners.append(listener)
            names = (one.getsockname() for one in listener.sockets)
            found += ((str(name[0]), int(name[1])) for name in names)
        self.addresses = tuple(found)

    async def _gate(self, name: str, app: web.Application, limits: Limits) -> Gate:
        logger = logging.getLogger(__name__)
        logger.addFilter(_not_the_clients_fault)
        runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,  # a small body must not become a large one
            lingering_time=0,  # `exchange` does it better
            logger=logger,
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
        )
        self._runners.append(runner)
        await runner.setup()
        assert runner.server  # noqa: S101 - there since setup()
        return Gate(name, runner.server, limits, self._telemetry)

    def _secured(self) -> ssl.SSLContext | None:
        return self._context


def _context(files: Tls) -> ssl.SSLContext:
    from vtid.http import tls  # noqa: PLC0415 - OpenSSL is there only with TLS

    return tls.context(files)


def _lengthen_queue(listener: asyncio.Server) -> None:
    """Let more connections wait in the kernel than asyncio accepts at once."""
    for one in listener.sockets:
        with one.dup() as same:
            same.listen(_QUEUE)


def _not_the_clients_fault(record: logging.LogRecord) -> bool:
    """Tell a defect, to be logged, from a request that is no HTTP."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
