"""Server: metrics and health over TCP, the control API over a Unix socket. The edge.

TCP listeners can only read. What moves the daemon is served on the control socket alone, whose
file mode says who may. A server listens everywhere it was told to, or nowhere.

Whoever reaches a metrics address can neither use up the daemon's file descriptors nor fill its log:
connections beyond `MAX_CONNECTIONS` are closed at once, and a malformed request is answered, not
logged.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http import HttpProcessingError

from vtid.http.api import Api, ReloadResult
from vtid.http.handlers import control_app, metrics_app
from vtid.http.listen import ControlSocket, ServerError, metrics_refusal, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vtid.http.telemetry import Telemetry

__all__ = ["Api", "ReloadResult", "Server", "ServerError"]

MAX_CONNECTIONS = 64
"""Connections to all metrics addresses together; systemd allows a service 1024 open files."""

_SHUTDOWN_TIMEOUT = 1.0
"""Seconds that requests under way get at stop()."""


class Server:
    """HTTP on the control socket and on the metrics addresses, from start() to stop()."""

    def __init__(
        self, control_socket: str, metrics: Sequence[str], api: Api, telemetry: Telemetry
    ) -> None:
        self._path = control_socket
        self._metrics = tuple(metrics)
        self._api = api
        self._telemetry = telemetry
        self._control: ControlSocket | None = None
        self._runners: list[web.AppRunner] = []
        self._listeners: list[asyncio.Server] = []
        self.addresses: tuple[tuple[str, int], ...] = ()
        """Addresses and ports on which the metrics are served, while started."""

    async def start(self) -> None:
        """Listen everywhere. Raises ServerError, and then nothing is left behind."""
        addresses = [(text, *parse_address(text)) for text in self._metrics]
        try:
            self._control = ControlSocket(self._path)
            await self._listen_control(self._control)
            await self._listen_metrics(addresses)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Answer what is under way, for a second at most, and remove the control socket."""
        while self._listeners:
            self._listeners.pop().close()
        while self._runners:
            await self._runners.pop().cleanup()
        if self._control is not None:
            self._control.close()
        self._control = None
        self.addresses = ()

    async def _listen_control(self, control: ControlSocket) -> None:
        runner = await self._run(control_app(self._api, self._telemetry))
        await web.SockSite(runner, control.socket).start()

    async def _listen_metrics(self, addresses: list[tuple[str, str, int]]) -> None:
        runner = await self._run(metrics_app(self._api, self._telemetry))
        assert runner.server  # noqa: S101 - there since setup()
        factory = _at_most(MAX_CONNECTIONS, runner.server)
        loop = asyncio.get_running_loop()
        for text, host, port in addresses:
            try:
                listener = await loop.create_server(factory, host, port, reuse_address=True)
            except OSError as error:
                raise metrics_refusal(text, error) from error
            self._listeners.append(listener)
        names = (each.getsockname() for one in self._listeners for each in one.sockets)
        self.addresses = tuple((str(name[0]), int(name[1])) for name in names)

    async def _run(self, app: web.Application) -> web.AppRunner:
        logger = logging.getLogger(__name__)
        logger.addFilter(_not_the_clients_fault)
        runner = web.AppRunner(
            app, access_log=None, logger=logger, shutdown_timeout=_SHUTDOWN_TIMEOUT
        )
        self._runners.append(runner)
        await runner.setup()
        return runner


class _Refusal(asyncio.Protocol):
    """Closes the connection that it is given."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it, with no word."""
        transport.close()


def _at_most(limit: int, server: web.Server) -> Callable[[], asyncio.Protocol]:
    """Make a factory of protocols that serves up to `limit` connections."""
    return lambda: server() if len(server.connections) < limit else _Refusal()


def _not_the_clients_fault(record: logging.LogRecord) -> bool:
    """Tell a defect, to be logged, from a request that is no HTTP."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
