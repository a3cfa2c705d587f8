"""Apply: carry out operations in one namespace. An edge.

Rules of this file:

* Blocking; it runs in the thread of the namespace and nowhere else.
* What goes as planned is done together (`vtid.kernel.batch`), the rest here, one after the other.
* Read before every write: what is as it should be is left alone, and a link that is not in our
  group is not touched. Reading costs a fraction of writing.
* After a link could not be created or deleted, the later operations of the same tunnel are not
  tried in this call: they would fail for its sake and hide its error. Any other failure, and that
  of another tunnel, stops nothing.
* Every error names interface and namespace, and the way out.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vtid.kernel import addressing as inside
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.adopting import adopt
from vtid.kernel.batch import Batch
from vtid.kernel.dumps import Dump
from vtid.kernel.errors import Failed, Taken, explain, subject
from vtid.kernel.linkops import Links, Touched
from vtid.kernel.messages import STRICT, read_netconf
from vtid.kernel.sockets import Refused, Requests
from vtid.kernel.underlay import learnt, probe_all
from vtid.model.input import OpDone, OpFailed
from vtid.model.operation import (
    AddAddress,
    AddRoute,
    AdoptLink,
    CreateLink,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    ProbeUnderlay,
    SetLink,
    SetUp,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.model.input import AddressSeen, UnderlaySeen
    from vtid.model.link import Link
    from vtid.model.operation import Op

UNASSIGNED = 0xFFFFFFFF
"""NETNSA_NSID_NOT_ASSIGNED (linux/net_namespace.h), as pyroute2 reads it."""


@dataclass(frozen=True, slots=True)
class OpTaken(OpFailed):
    """It failed with `Taken`: who has what `link` asks for may be in any namespace."""

    link: Link


@dataclass(slots=True)
class Answer:
    """The results of one call."""

    results: list[OpDone | OpFailed] = field(default_factory=list)
    seen: list[UnderlaySeen] = field(default_factory=list)
    known: list[AddressSeen] = field(default_factory=list)
    """Addresses to be added that were there already."""
    touched: Touched = field(default_factory=set)
    only_looked: bool = False
    """Whether the kernel has no events about it: neither an effect, nor why there is none."""


class Worker:
    """Carries out operations in one namespace."""

    def __init__(self) -> None:
        self.requests = Requests()
        self._nsid: tuple[()] | tuple[int | None] = ()
        self._links = Links(self.requests, self.own_nsid)
        self._batch = Batch(self.requests, self.own_nsid)

    def close(self) -> None:
        """Close the sockets."""
        self.requests.close()

    def run(self, ops: Sequence[Op]) -> Answer:
        """Carry out the operations, those of a tunnel in order; never raises for one of them."""
        share = self._batch.run(ops)
        answer = Answer(seen=share.seen, touched=share.silent)
        failed: dict[str, str] = {}
        for position, op in enumerate(ops):
            if position in share.changed:
                answer.results.append(OpDone(op=op, changed=share.changed[position]))
                continue
            if op.tunnel in failed:
                error = f"not tried after: {failed[op.tunnel]}"
                answer.results.append(OpFailed(op=op, error=error))
                continue
            result = self._run_one(answer, op)
            answer.results.append(result)
            if isinstance(result, OpFailed) and op.gates:
                failed[op.tunnel] = result.error
        answer.only_looked = all(isinstance(op, ProbeUnderlay) for op in ops)
        return answer

    def look_up(self, ops: Sequence[ProbeUnderlay]) -> list[UnderlaySeen]:
        """Look up paths."""
        return probe_all(self.requests, ops)

    def dump(self) -> Dump:
        """Ask for what all links have in common, then dump links, addresses and our routes."""
        strict_all = self.requests.get(asks.GET_ALL_SETTINGS, read_netconf).rp_filter == STRICT
        return Dump(
            links=self.requests.dump(asks.DUMP_LINKS),
            addresses=self.requests.dump(asks.DUMP_ADDRESSES),
            routes=inside.dump_routes(self.requests),
            strict_all=strict_all,
        )

    def dump_stats(self) -> list[bytes]:
        """Dump the counters of all links."""
        return self.requests.dump(asks.DUMP_STATS)

    def learnt(self) -> dict[str, frozenset[int]]:
        """Return the path MTUs that the kernel learnt in this namespace, by peer."""
        return learnt(self.requests)

    def xfrm_stat(self) -> str:
        """Return /proc/net/xfrm_stat of this namespace, empty where the kernel keeps none."""
        with suppress(FileNotFoundError):
            return Path("/proc/thread-self/net/xfrm_stat").read_text("ascii")
        return ""

    def own_nsid(self) -> int | None:
        """Id of vtid's own namespace as seen from this one; None if this is the same.

        The kernel gives it on the first call in a namespace's life, and keeps it.
        """
        if not self._nsid:
            self._nsid = (self._ask_nsid(),)
        return self._nsid[0]

    def holders(self, links: Sequence[Link], netns: str) -> list[str]:
        """Return what in this namespace, `netns`, prevents creating each link; empty if nothing."""
        return self._links.holders(links, netns)

    def _ask_nsid(self) -> int | None:
        if _inode("/proc/thread-self/ns/net") == _inode("/proc/self/ns/net"):
            return None
        pid = os.getpid()
        known = self.requests.ask(lambda ipr: ipr.get_netnsid(pid=pid))["nsid"]
        if known == UNASSIGNED:
            self.requests.ask(lambda ipr: ipr.set_netnsid(pid=pid), write=True)
            known = self.requests.ask(lambda ipr: ipr.get_netnsid(pid=pid))["nsid"]
        return int(known)

    def _run_one(self, answer: Answer, op: Op) -> OpDone | OpFailed:
        try:
            return OpDone(op=op, changed=self._do(answer, op))
        except Taken as error:
            return OpTaken(op=op, error=str(error), link=error.link)
        except Failed as error:
            return OpFailed(op=op, error=str(error))
        except Refused as error:
            return OpFailed(op=op, error=f"{subject(op)}: {explain(error)}")
        except (OSError, nl.MessageError) as error:
            return OpFailed(op=op, error=f"{subject(op)}: {error}")

    def _do(self, answer: Answer, op: Op) -> bool:  # noqa: C901, PLR0911 - one line for each kind
        """Carry out one operation; True if something had to be done."""
        match op:
            case ProbeUnderlay():
                answer.seen.extend(probe_all(self.requests, [op]))
                return False
            case CreateLink():
                return self._links.create(op, answer.touched)
            case AdoptLink():
                return adopt(self.requests, op, self.own_nsid(), answer.touched)
            case SetLink():
                return self._links.set(op, answer.touched)
            case SetUp():
                return self._links.set_up(op)
            case DeleteLink():
                return self._links.delete(op)
            case AddAddress():
                return inside.add_address(self.requests, op, answer.known)
            case DeleteAddress():
                return inside.delete_address(self.requests, op)
            case AddRoute():
                return inside.add_route(self.requests, op)
            case DeleteRoute():
                return inside.delete_route(self.requests, op)
            case _:
                raise Failed(f"{type(op).__name__} is no operation on the kernel")


def _inode(path: str) -> int:
    return Path(path).stat().st_ino
