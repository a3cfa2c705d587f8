"""Tables: routes and addresses of vtid's own namespace, whoever they are from. An edge."""

from __future__ import annotations

import ipaddress
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


def addresses() -> dict[str, str]:
    """Return the interface of each address, in canonical form. Raises OSError."""
    from vtid.kernel.pyroute import IPRoute, NetlinkError  # noqa: PLC0415 - as above

    found: dict[str, str] = {}
    try:
        with IPRoute() as kernel:  # type: ignore[no-untyped-call]
            for message in kernel.get_addr():
                text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
                if text:
                    interface = socket.if_indextoname(message["index"])
                    found[str(ipaddress.ip_address(text))] = interface
    except NetlinkError as error:
        raise OSError(str(error)) from error
    return found
