"""Server: metrics and health over TCP, the control API over a Unix socket. The edge.

TCP listeners can only read. What moves the daemon is served on the control socket alone, whose
file mode says who may. A server listens everywhere it was told to, or nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from vtid.http.api import Api, ReloadResult
from vtid.http.handlers import control_app, metrics_app
from vtid.http.listen import ControlSocket, ServerError, metrics_refusal, parse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.http.telemetry import Telemetry

__all__ = ["Api", "ReloadResult", "Server", "ServerError"]

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
        for text, host, port in addresses:
            try:
                await web.TCPSite(runner, host, port, reuse_address=True).start()
            except OSError as error:
                raise metrics_refusal(text, error) from error
        self.addresses = tuple((str(name[0]), int(name[1])) for name in runner.addresses)

    async def _run(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        self._runners.append(runner)
        await runner.setup()
        return runner
