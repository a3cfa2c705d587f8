"""Door: lets in those that may use a metrics address. Part of the edge.

The control socket has no such door: its file mode says who may. Only if somebody forwards it to a
port, with `ssh -L` for example, a web browser reaches it, and then any page in it could give
orders. So `refuse_pages` tells a page from `vtictl` and `curl`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aiohttp import web

from vtid.http.access import is_known
from vtid.http.admission import Reason
from vtid.http.telemetry import METRICS
from vtid.http.users import Users

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.typedefs import Handler

    from vtid.http.access import Access
    from vtid.http.telemetry import Telemetry

_LOOPBACK = "127.0.0.1"
"""Where a forwarded socket is reached, and names are compared."""

_WRONG_NAME = "This address is not called so here: add the name to `hosts` of [metrics].\n"
_NO_USER = "The name and the password of a user are needed.\n"
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="vtid", charset="UTF-8"'}

_NO_PAGE = "this comes from a web page: use vtictl, or an address of the metrics\n"


@web.middleware
async def refuse_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request unless a page of another site may have sent it.

    A browser says with Origin or Sec-Fetch-Site that a page asks (Fetch Standard), but not where
    DNS rebinding made that site ours: then the name that it is called by has a dot.
    """
    headers = request.headers
    name = headers.get("Host", "")
    known = frozenset({_label(name), os.uname().nodename.lower()})
    asks = "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none"
    is_order = request.path.startswith("/v1/")
    if (is_order and asks) or not is_known(name, _LOOPBACK, known, ()):
        raise web.HTTPForbidden(text=_NO_PAGE)
    return await handler(request)


def _label(host: str) -> str:
    """Return a name without a dot, which no public DNS has, as one that is known."""
    return "" if "." in host else host.partition(":")[0].lower()


class Door:
    """Checks each request."""

    def __init__(self, telemetry: Telemetry, names: Iterable[str]) -> None:
        self._hosts: tuple[str, ...] = ()
        self._users = Users({})
        self._telemetry = telemetry
        self.has_page = False
        """Whether `/` is the page."""
        own = os.uname().nodename.lower()
        self._names = frozenset({own, own.partition(".")[0], *(name.lower() for name in names)})

    def use(self, access: Access, users: Users) -> None:
        """Let in those that these say, from the next request on."""
        self._hosts, self._users, self.has_page = access.hosts, users, access.page

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or say why not."""
        if not self._is_called_right(request):
            self._telemetry.refused(METRICS, Reason.HOST)
            return web.Response(status=421, text=_WRONG_NAME)
        if not await self._users.may_pass(request.headers.get("Authorization", "")):
            self._telemetry.refused(METRICS, Reason.AUTH)
            return web.Response(status=401, text=_NO_USER, headers=_CHALLENGE)
        return await handler(request)

    def _is_called_right(self, request: web.Request) -> bool:
        reached = request.transport and request.transport.get_extra_info("sockname")
        if not reached:
            return True  # the client has gone
        calls = request.headers.getall("Host", [])
        return all(is_known(call, reached[0], self._names, self._hosts) for call in calls)
