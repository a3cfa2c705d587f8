"""Link operations: create, change and delete the links of ours in one namespace. An edge.

Rules of this file: those of `vtid.kernel.apply`, and

* What the kernel refuses as one message is written in parts: one refused setting takes no other
  with it.
"""

from __future__ import annotations

import errno
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.addressing import remove
from vtid.kernel.adopting import refusal, require_name
from vtid.kernel.dumps import read_links
from vtid.kernel.errors import Failed, creation_error, name_of, sysctl_error
from vtid.kernel.kinds import KINDS, Key, key
from vtid.kernel.links import find, master_of, need, require_ours
from vtid.kernel.sockets import Refused, Requests
from vtid.model.link import Link, tunnel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vtid.kernel.messages import LinkInfo
    from vtid.model.operation import CreateLink, DeleteLink, SetLink, SetUp

Touched: TypeAlias = set[int]
"""Indexes of links whose alias, keys or settings were written: there is no event for them."""

_AT_CREATION = frozenset({"local", "remote", "ikey", "okey", "if_id", "mtu"})

_PARTS = (
    _AT_CREATION,
    frozenset({"vrf"}),
    frozenset({"alias"}),
    frozenset({"disable_policy", "rp_filter", "sysctls"}),
    frozenset({"link_local"}),
)
"""Fields that `SetLink` writes together; the MTU comes before what depends on it."""

_IN_PLACE = frozenset[str]().union(*_PARTS)
_AFTER_CREATION = _IN_PLACE - _AT_CREATION


class Links:
    """The links of ours in one namespace.

    `own_nsid` returns the id of vtid's own namespace as seen from this one, None if it is this one.
    """

    def __init__(self, requests: Requests, own_nsid: Callable[[], int | None]) -> None:
        self._requests = requests
        self._own_nsid = own_nsid

    def holders(self, links: Sequence[Link], netns: str) -> list[str]:
        """Return what in this namespace, `netns`, prevents creating each link; empty if nothing."""
        names, keyed = set[str](), dict[Key, tuple[Link, bool]]()
        for info in read_links(self._requests.dump(asks.DUMP_LINKS)):
            there = info.link(netns, self._own_nsid())
            names.add(there.name)
            if there.outer_netns_ok:
                keyed[key(there)] = there, info.ours
        return [_holder(link, netns, keyed.get(key(link)), names) for link in links]

    def create(self, op: CreateLink, touched: Touched) -> bool:
        """Create a link, or change one of ours with this name; True if anything was written.

        Adds the link's index to `touched`.
        """
        link = op.link
        there = find(self._requests, name=link.name)
        if there:
            require_name(there, link)
            if not there.ours:
                raise refusal(self._requests, there, link, self._own_nsid())
            return self._change(there, link, _IN_PLACE, touched)
        self._vrf(link)  # so that a mistyped name fails before anything is created
        try:
            self._requests.write(asks.new_link(link, self._own_nsid()))
        except Refused as error:
            raise creation_error(link, error) from error
        made = find(self._requests, name=link.name)
        if made is None:
            raise Failed(f"{name_of(link)} was made and removed by someone else at once")
        self._change(made, link, _AFTER_CREATION, touched)
        return True

    def set(self, op: SetLink, touched: Touched) -> bool:
        """Change fields of a link of ours; True if anything was written. See `create`."""
        there = find(self._requests, ifindex=op.ifindex)
        if there is None:
            raise Failed(f"{name_of(op.link)} is gone; it is made again on the next try")
        require_ours(there, op.link.netns)
        return self._change(there, op.link, frozenset(op.changes), touched)

    def _change(self, there: LinkInfo, link: Link, names: frozenset[str], touched: Touched) -> bool:
        """Write those of the named fields that differ; True if there were any."""
        observed = there.link(link.netns, self._own_nsid(), master_of(self._requests, there))
        if not observed.outer_netns_ok:
            raise Failed(
                f"{name_of(link)} belongs to another vtid: its outer side is in another namespace; "
                "choose another `interface = ` or remove it"
            )
        if observed.kind != link.kind:
            raise Failed(
                f"{name_of(link)} is there as {observed.kind} and cannot become {link.kind} in "
                "place; it is deleted and made again on the next try"
            )
        changes = frozenset(
            name
            for name in (known.name for known in fields(Link))
            if name in names & _IN_PLACE and _differs(observed, link, name)
        )
        touched.add(there.ifindex)
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
            self._requests.write(asks.set_link(ifindex, link, changes, master))
        except Refused as error:
            if len(parts) == 1:
                yield creation_error(link, error)
                return
        else:
            return
        for part in parts:
            yield from self._write_parts(ifindex, link, part, master)

    def _vrf(self, link: Link) -> int:
        """Index of the VRF that a link belongs into, 0 for none."""
        if not link.vrf:
            return 0
        where = f"vrf {link.vrf!r}" + (f" in namespace {link.netns!r}" if link.netns else "")
        ip = f"ip -n {link.netns}" if link.netns else "ip"
        found = find(self._requests, name=link.vrf)
        if found is None:
            raise Failed(
                f"{name_of(link)}: {where} does not exist: create it with `{ip} link add "
                f"{link.vrf} type vrf table NUMBER` and "
                f"`{ip} link set {link.vrf} up`, or correct `vrf = `"
            )
        if found.kind != nl.VRF_KIND:
            raise Failed(
                f"{name_of(link)}: {where} is no VRF but a {found.kind or 'device'}; "
                "correct `vrf = `"
            )
        return found.ifindex

    def _write_ipv6_settings(self, observed: Link, link: Link) -> Iterator[Failed]:
        """Write sysctls for which netlink has no request, in the namespace of this thread.

        Yields what the kernel refuses.
        """
        for name, value in sorted(frozenset(link.sysctls) - frozenset(observed.sysctls)):
            family, _, key = name.partition(".")
            if family == "ipv6":
                self._requests.writes += 1
                path = Path("/proc/sys/net/ipv6/conf") / link.name / key
                try:
                    path.write_text(str(value))
                except OSError as error:
                    yield Failed(sysctl_error(link, path, error))

    def set_up(self, op: SetUp) -> bool:
        """Set a link of ours up or down; True if it was not so."""
        there = need(self._requests, op.netns, op.name)
        if there.up == op.up:
            return False
        self._requests.write(asks.set_up(there.ifindex, up=op.up))
        return True

    def delete(self, op: DeleteLink) -> bool:
        """Delete a link of ours; True if it existed."""
        there = find(self._requests, ifindex=op.ifindex)
        if there is None or not there.ours or there.name != op.name:
            return False
        return remove(self._requests, asks.delete_link(op.ifindex), {errno.ENODEV})


def _holder(link: Link, netns: str, keyed: tuple[Link, bool] | None, names: set[str]) -> str:
    """Return what is in a link's way: what has its key, and whether it is ours, or its name."""
    if keyed and (keyed[0].netns, keyed[0].name) != (link.netns, link.name):
        there, ours = keyed
        words = f"{name_of(there)} {KINDS[link.kind].taken}"
        return words if ours else f"{words}; or take it over: {_instead(there)}"
    if link.name in names and link.netns and not netns:
        return (
            f"this kernel makes it in vtid's own namespace first, where {link.name} is taken; "
            "choose another `interface = `"
        )
    return ""


def _instead(there: Link) -> str:
    """Return what makes another link the tunnel's."""
    netns = f', `netns = "{there.netns}"`' if there.netns else ""
    name = tunnel_name(there.netns, there.name)
    return f'`interface = "{there.name}"`{netns}, `vtictl reload` and `vtictl adopt {name}`'


def _differs(observed: Link, link: Link, name: str) -> bool:
    if name == "sysctls":
        return not frozenset(link.sysctls) <= frozenset(observed.sysctls)
    return bool(getattr(observed, name) != getattr(link, name))
