"""What vtid takes of pyroute2, for namespace ids. An edge.

Rules of this file:

* It is imported when it is used first: many gateways need none of it, and it takes a tenth of a
  second.
* Nothing else imports pyroute2. The threads of several namespaces need it at the same moment, and
  Python's lock on one module keeps all but the first waiting. Two of them in different parts of
  pyroute2, which import each other, would find half of a module.
"""

from __future__ import annotations

from pyroute2.iproute.linux import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

__all__ = ["IPRoute", "NetlinkError"]
