"""Apply: carry out operations in one namespace, one after the other. An edge.

Rules of this file:

* Blocking; it runs in the thread of the namespace and nowhere else.
* Read before every write: what is as it should be is left alone, and a link that is not in our
  group is not touched. Reading costs a fraction of writing.
* After a link could not be created or deleted, the later operations of the same tunnel are not
  tried in this call: they would fail for its sake and hide its error. Any other failure, and that
  of another tunnel, stops nothing. What the kernel refuses as one message goes in parts.
* Every error names interface and namespace, and the way out.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from vtid.kernel import addressing as inside
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.follow import UNKNOWN_MASTER, read_links
from vtid.kernel.links import Failed, Taken, find, named, need, require_ours
from vtid.kernel.sockets import Refused, Requests
from vtid.model.input import OpDone, OpFailed, UnderlaySeen
from vtid.model.link import Link
from vtid.model.operation import (
    AddAddress,
    AddRoute,
    CreateLink,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    ProbeUnderlay,
    SetLink,
    SetUp,
)
from vtid.netns import PRIVILEGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vtid.kernel.messages import LinkInfo
    from vtid.model.operation import Op

UNASSIGNED = 0xFFFFFFFF
"""NETNSA_NSID_NOT_ASSIGNED (linux/net_namespace.h), as pyroute2 reads it."""

_MODULES = {"vti": "ip_vti", "vti6": "ip6_vti", "xfrm": "xfrm_interface"}

_AFTER_CREATION = frozenset(
    {"alias", "disable_policy", "rp_filter", "vrf", "link_local", "sysctls"}
)

_PARTS = (
    frozenset({"local", "remote", "ikey", "okey", "if_id", "mtu"}),
    frozenset({"vrf"}),
    frozenset({"alias"}),
    frozenset({"disable_policy", "rp_filter", "sysctls"}),
    frozenset({"link_local"}),
)
"""Fields that `SetLink` writes together; the MTU comes before what depends on it."""

_IN_PLACE = _AFTER_CREATION | {"local", "remote", "ikey", "okey", "if_id", "mtu"}


@dataclass(slots=True)
class Batch:
    """The results of one call."""

    results: list[OpDone | OpFailed] = field(default_factory=list)
    seen: list[UnderlaySeen] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)
    """Indexes of links whose alias, keys or settings were written: there is no event for them."""
    taken: set[int] = field(default_factory=set)
    """Positions of results that failed with `Taken`: the holder may be in any namespace."""


class Worker:
    """Carries out operations in one namespace."""

    def __init__(self) -> None:
        self.requests = Requests()
        self._nsid: tuple[()] | tuple[int | None] = ()

    def close(self) -> None:
        """Close the sockets."""
        self.requests.close()

    def run(self, ops: Sequence[Op]) -> Batch:
        """Carry out the operations in order; never raises for one of them."""
        batch = Batch()
        failed: dict[str, str] = {}
        for position, op in enumerate(ops):
            if op.tunnel in failed:
                error = f"not tried after: {failed[op.tunnel]}"
                batch.results.append(OpFailed(op=op, error=error))
                continue
            result = self._run_one(batch, position, op)
            batch.results.append(result)
            if isinstance(result, OpFailed) and op.gates:
                failed[op.tunnel] = result.error
        return batch

    def dump(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """Dump links, then addresses, then our routes."""
        links = self.requests.dump(asks.DUMP_LINKS)
        return links, self.requests.dump(asks.DUMP_ADDRESSES), inside.dump_routes(self.requests)

    def dump_stats(self) -> list[bytes]:
        """Dump the counters of all links."""
        return self.requests.dump(asks.DUMP_STATS)

    def own_nsid(self) -> int | None:
        """Id of vtid's own namespace as seen from this one; None if this is the same.

        The kernel gives it on the first call in a namespace's life, and keeps it.
        """
        if not self._nsid:
            self._nsid = (self._ask_nsid(),)
        return self._nsid[0]

    def holder(self, link: Link, netns: str) -> str:
        """Return what in this namespace, `netns`, prevents creating `link`; empty if nothing."""
        for info in read_links(self.requests.dump(asks.DUMP_LINKS)):
            if (netns, info.name) == (link.netns, link.name):
                continue
            there = info.link(netns, self.own_nsid())
            if there.outer_netns_ok and _key(there) == _key(link):
                return f"{_name(there)} {_ONE_EACH[link.kind].format(kind=link.kind)}"
            if info.name == link.name and not netns:
                return (
                    f"this kernel makes it in vtid's own namespace first, where {info.name} is "
                    "taken; choose another `interface = `"
                )
        return ""

    def _ask_nsid(self) -> int | None:
        if _inode("/proc/thread-self/ns/net") == _inode("/proc/self/ns/net"):
            return None
        pid = os.getpid()
        known = self.requests.ask(lambda ipr: ipr.get_netnsid(pid=pid))["nsid"]
        if known == UNASSIGNED:
            self.requests.ask(lambda ipr: ipr.set_netnsid(pid=pid), write=True)
            known = self.requests.ask(lambda ipr: ipr.get_netnsid(pid=pid))["nsid"]
        return int(known)

    def _run_one(self, batch: Batch, position: int, op: Op) -> OpDone | OpFailed:
        try:
            return OpDone(op=op, changed=self._do(batch, op))
        except Taken as error:
            batch.taken.add(position)
            return OpFailed(op=op, error=str(error))
        except Failed as error:
            return OpFailed(op=op, error=str(error))
        except Refused as error:
            return OpFailed(op=op, error=f"{_subject(op)}: {_explain(error)}")
        except (OSError, nl.MessageError) as error:
            return OpFailed(op=op, error=f"{_subject(op)}: {error}")

    def _do(self, batch: Batch, op: Op) -> bool:  # noqa: PLR0911 - one line for each kind
        """Carry out one operation; True if something had to be done."""
        match op:
            case ProbeUnderlay():
                return self._probe(batch, op)
            case CreateLink():
                return self._create(batch, op)
            case SetLink():
                return self._set(batch, op)
            case SetUp():
                return self._set_up(op)
            case DeleteLink():
                return self._delete(op)
            case AddAddress():
                return inside.add_address(self.requests, op)
            case DeleteAddress():
                return inside.delete_address(self.requests, op)
            case AddRoute():
                return inside.add_route(self.requests, op)
            case DeleteRoute():
                return inside.delete_route(self.requests, op)
            case _:
                raise Failed(f"{type(op).__name__} is no operation on the kernel")

    # --- links -----------------------------------------------------------------------------------

    def _create(self, batch: Batch, op: CreateLink) -> bool:
        link = op.link
        there = find(self.requests, name=link.name)
        if there and there.name != link.name:
            raise Failed(
                f"{_name(link)} is an alternative name of {there.name}; choose another "
                f"`interface = ` or remove it: ip link property del dev {there.name} "
                f"altname {link.name}"
            )
        if there:
            require_ours(there, link.netns)
            return self._change(batch, there, link, _IN_PLACE)
        self._vrf(link)  # so that a mistyped name fails before anything is created
        try:
            self.requests.write(asks.new_link(link, self.own_nsid()))
        except Refused as error:
            raise _creation_error(link, error) from error
        made = find(self.requests, name=link.name)
        if made is None:
            raise Failed(f"{_name(link)} was made and removed by someone else at once")
        self._change(batch, made, link, _AFTER_CREATION)
        return True

    def _set(self, batch: Batch, op: SetLink) -> bool:
        there = find(self.requests, ifindex=op.ifindex)
        if there is None:
            raise Failed(f"{_name(op.link)} is gone; it is made again on the next try")
        require_ours(there, op.link.netns)
        return self._change(batch, there, op.link, frozenset(op.changes))

    def _change(self, batch: Batch, there: LinkInfo, link: Link, names: frozenset[str]) -> bool:
        """Write those of the named fields that differ; True if there were any."""
        observed = there.link(link.netns, self.own_nsid(), self._master(there))
        if not observed.outer_netns_ok:
            raise Failed(
                f"{_name(link)} belongs to another vtid: its outer side is in another namespace; "
                "choose another `interface = ` or remove it"
            )
        if observed.kind != link.kind:
            raise Failed(
                f"{_name(link)} is there as {observed.kind} and cannot become {link.kind} in "
                "place; it is deleted and made again on the next try"
            )
        changes = frozenset(
            name
            for name in (known.name for known in fields(Link))
            if name in names & _IN_PLACE and _differs(observed, link, name)
        )
        batch.touched.add(there.ifindex)
        if not changes:
            return False
        master = self._vrf(link) if "vrf" in changes else 0
        refused = [*self._write_parts(there.ifindex, link, changes, master)]
        if "sysctls" in changes:
            refused += self._write_ipv6_settings(observed, link)
        if refused:
            raise refused[0]
        return True

    def _write_parts(
        self, ifindex: int, link: Link, changes: frozenset[str], master: int
    ) -> Iterator[Failed]:
        """Write changes as one message, or in parts where the kernel refuses it as a whole.

        So one setting that is refused takes no other with it, and an MTU of 1280 brings IPv6 back
        before its settings are written. Yields what the kernel refuses.
        """
        parts = [part & changes for part in _PARTS if part & changes]
        try:
            self.requests.write(asks.set_link(ifindex, link, changes, master))
        except Refused as error:
            if len(parts) == 1:
                yield _creation_error(link, error)
                return
        else:
            return
        for part in parts:
            yield from self._write_parts(ifindex, link, part, master)

    def _master(self, there: LinkInfo) -> str:
        """Name of the VRF that a link is enslaved to."""
        master = find(self.requests, ifindex=there.master) if there.master else None
        if master is None:
            return ""
        return master.name if master.kind == nl.VRF_KIND else UNKNOWN_MASTER

    def _vrf(self, link: Link) -> int:
        """Index of the VRF that a link belongs into, 0 for none."""
        if not link.vrf:
            return 0
        where = f"vrf {link.vrf!r}" + (f" in namespace {link.netns!r}" if link.netns else "")
        ip = f"ip -n {link.netns}" if link.netns else "ip"
        found = find(self.requests, name=link.vrf)
        if found is None:
            raise Failed(
                f"{_name(link)}: {where} does not exist: create it with `{ip} link add {link.vrf} "
                f"type vrf table NUMBER` and `{ip} link set {link.vrf} up`, or correct `vrf = `"
            )
        if found.kind != nl.VRF_KIND:
            raise Failed(
                f"{_name(link)}: {where} is no VRF but a {found.kind or 'device'}; correct `vrf = `"
            )
        return found.ifindex

    def _write_ipv6_settings(self, observed: Link, link: Link) -> Iterator[Failed]:
        """Write sysctls for which netlink has no request, in the namespace of this thread.

        Yields what the kernel refuses.
        """
        for name, value in sorted(frozenset(link.sysctls) - frozenset(observed.sysctls)):
            family, _, key = name.partition(".")
            if family == "ipv6":
                self.requests.writes += 1
                path = Path("/proc/sys/net/ipv6/conf") / link.name / key
                try:
                    path.write_text(str(value))
                except OSError as error:
                    yield Failed(_sysctl_error(link, path, error))

    def _set_up(self, op: SetUp) -> bool:
        there = need(self.requests, op.netns, op.name)
        if there.up == op.up:
            return False
        self.requests.write(asks.set_up(there.ifindex, up=op.up))
        return True

    def _delete(self, op: DeleteLink) -> bool:
        there = find(self.requests, ifindex=op.ifindex)
        if there is None or not there.ours or there.name != op.name:
            return False
        return inside.remove(self.requests, asks.delete_link(op.ifindex), {errno.ENODEV})

    # --- the underlay ----------------------------------------------------------------------------

    def _probe(self, batch: Batch, op: ProbeUnderlay) -> bool:
        try:
            mtu, interface = self._route(op)
        except (Failed, Refused) as error:
            text = f"no route from {op.local} to {op.remote}: {error}"
            batch.seen.append(UnderlaySeen(local=op.local, remote=op.remote, mtu=0, error=text))
        else:
            seen = UnderlaySeen(local=op.local, remote=op.remote, mtu=mtu, interface=interface)
            batch.seen.append(seen)
        return False

    def _route(self, op: ProbeUnderlay) -> tuple[int, str]:
        """MTU and interface towards the peer: the route's metric or path MTU, or the device's."""
        found = self.requests.ask(lambda ipr: ipr.route("get", dst=op.remote, src=op.local))
        if not found:
            raise Failed("the kernel found none")
        device = find(self.requests, ifindex=int(found[0].get("oif") or 0))
        if device is None:
            raise Failed("it leads to no interface")
        if device.ours:
            raise Failed(
                f"it leads into our own tunnel {device.name}; keep {op.remote} out of what is "
                "routed through it"
            )
        metric = int(found[0].get(("metrics", "mtu")) or device.mtu)
        return min(metric, device.mtu), device.name


def _differs(observed: Link, link: Link, name: str) -> bool:
    if name == "sysctls":
        return not frozenset(link.sysctls) <= frozenset(observed.sysctls)
    return bool(getattr(observed, name) != getattr(link, name))


def _creation_error(link: Link, error: Refused) -> Failed:
    if error.number == errno.EEXIST:
        return Taken(f"{_name(link)} {_what(link)}: {error}")
    if error.number == errno.EOPNOTSUPP:
        module = _MODULES.get(link.kind, link.kind)
        return Failed(
            f"{_name(link)}: this kernel has no {link.kind}; load the module with "
            f"`modprobe {module}`, or install a kernel that has it"
        )
    if error.number == errno.EAFNOSUPPORT:
        return Failed(
            f"{_name(link)}: {error}; it has no IPv6: is the kernel's switched off "
            "(ipv6.disable=1)? Then remove IPv6 addresses and neighbours from the configuration"
        )
    return Failed(f"{_name(link)}: {_explain(error)}")


def _sysctl_error(link: Link, path: Path, error: OSError) -> str:
    way_out = {
        errno.EROFS: "; under systemd the unit needs ReadWritePaths=/proc/sys/net, as vtid.service "
        "has it; a container --security-opt systempaths=unconfined",
        errno.EACCES: f": {PRIVILEGE}",
        errno.ENOENT: "; this kernel has no such setting, or the interface no IPv6",
    }.get(error.errno or 0, "")
    return f"{_name(link)}: {path}: {error.strerror}{way_out}"


def _explain(error: Refused) -> str:
    if error.number in {errno.EPERM, errno.EACCES}:
        return f"{error}, CAP_NET_ADMIN is missing: {PRIVILEGE}"
    return str(error)


def _subject(op: Op) -> str:
    match op:
        case CreateLink(link=link) | SetLink(link=link):
            return _name(link)
        case SetUp(netns=netns, name=name) | DeleteLink(netns=netns, name=name):
            return named(name, netns)
        case AddAddress() | DeleteAddress():
            return f"{named(op.interface, op.netns)}, {op.address}"
        case AddRoute() | DeleteRoute():
            return f"{named(op.interface, op.netns)}, route to {op.route.to}"
        case _:
            return op.tunnel


_ONE_ADDRESS_PAIR = (
    "has this pair of outer addresses, and the kernel allows one {kind} for each, whatever the "
    "marks; remove it, or give the peer another address"
)
_ONE_EACH = {
    "vti": _ONE_ADDRESS_PAIR,
    "vti6": _ONE_ADDRESS_PAIR,
    "xfrm": "has this if_id, and the kernel allows one interface for each; remove it, or give the "
    "CHILD_SA another `if_id_in` and `if_id_out` in swanctl.conf",
}
"""Error texts about a link that prevents the creation of another."""


def _key(link: Link) -> tuple[str, str, str, int]:
    """Return what the kernel allows only once: VTIs have no if_id, XFRM interfaces no addresses."""
    return link.kind, link.local, link.remote, link.if_id


def _what(link: Link) -> str:
    return f"with if_id {link.if_id}" if link.if_id else f"from {link.local} to {link.remote}"


def _name(link: Link) -> str:
    return named(link.name, link.netns)


def _inode(path: str) -> int:
    return Path(path).stat().st_ino
