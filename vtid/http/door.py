"""Door: lets in those that may use a metrics address. Part of the edge.

The control socket has no such door: its file mode says who may, and no browser can reach it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aiohttp import web

from vtid.http.access import Access, is_known
from vtid.http.admission import Reason
from vtid.http.telemetry import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.typedefs import Handler

    from vtid.http.telemetry import Telemetry

_WRONG_NAME = "This address is not called so here: add the name to `hosts` of [metrics].\n"


class Door:
    """Checks each request; `access` may change at any time."""

    def __init__(self, telemetry: Telemetry, names: Iterable[str]) -> None:
        self.access = Access()
        self._telemetry = telemetry
        own = os.uname().nodename.lower()
        self._names = frozenset({own, own.partition(".")[0], *(name.lower() for name in names)})

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or say why not."""
        if not self._is_called_right(request):
            self._telemetry.refused(METRICS, Reason.HOST)
            return web.Response(status=421, text=_WRONG_NAME)
        return await handler(request)

    def _is_called_right(self, request: web.Request) -> bool:
        reached = request.transport and request.transport.get_extra_info("sockname")
        if not reached:
            return True  # the client has gone
        calls = request.headers.getall("Host", [])
        hosts = self.access.hosts
        return all(is_known(call, reached[0], self._names, hosts) for call in calls)
