"""Tables: how many routes a routing table has, whoever they are from. An edge."""

from __future__ import annotations

import socket

CHARON_TABLE = 220
"""Where charon installs routes (charon.routing_table, strongswan.conf)."""


def routes_in(table: int) -> int:
    """Return the number of routes in a table of vtid's own namespace. Raises OSError."""
    from vtid.kernel.pyroute import IPRoute, NetlinkError  # noqa: PLC0415 - few commands need it

    try:
        with IPRoute() as kernel:  # type: ignore[no-untyped-call]
            families = (socket.AF_INET, socket.AF_INET6)
            return sum(len(list(kernel.get_routes(family=one, table=table))) for one in families)
    except NetlinkError as error:
        raise OSError(str(error)) from error
