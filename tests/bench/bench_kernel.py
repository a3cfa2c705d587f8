"""How fast the kernel room reads, writes and follows; figures for README, no test.

    unshare -n python -m tests.bench.bench_kernel [LINKS]

As root, in a network namespace of its own (it fills it with bridges). Where the kernel has VTI,
creation and deletion are measured with vti6 as well. Ours and pyroute2 run in one process, one
after the other: the ratio counts, the seconds are the machine's.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtid.kernel import requests as asks
from vtid.kernel.apply import Worker
from vtid.kernel.dumps import read_links, read_stats
from vtid.kernel.follow import Follower
from vtid.kernel.sockets import LINK_EVENTS, open_events, read_event
from vtid.model.input import OpDone
from vtid.model.link import LINK_GROUP, Link
from vtid.model.operation import AddAddress, CreateLink, DeleteLink, Op, SetUp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def timed(label: str, count: int, work: Callable[[], object]) -> float:
    start, cpu = time.perf_counter(), time.thread_time()
    work()
    took, used = time.perf_counter() - start, time.thread_time() - cpu
    print(
        f"{label:42} {took:8.3f} s {used / count * 1e6:8.1f} µs CPU each {count / took:10,.0f} /s"
    )
    return took


def bridges(count: int) -> None:
    lines = (f"link add br{n} group {LINK_GROUP} type bridge" for n in range(count))
    subprocess.run(["ip", "-batch", "-"], check=True, text=True, input="\n".join(lines))


def reading(count: int) -> None:
    events = open_events(LINK_EVENTS)
    bridges(count)
    told = []
    while data := read_event(events):
        told.append(data)
    worker, follower = Worker(), Follower("")
    ours = timed("dump links and addresses", count, lambda: follower.snapshot(worker.dump()))
    dump = worker.requests.dump(asks.DUMP_LINKS)
    timed("read links of a dump", count, lambda: list(read_links(dump)))
    timed("dump counters", count, lambda: list(read_stats(worker.dump_stats())))
    timed("follow events", len(told), lambda: [Follower("").feed(data) for data in told])
    theirs = timed("pyroute2: dump links and addresses", count, lambda: worker.requests.ask(both))
    print(f"{'pyroute2 / ours':42} {theirs / ours:8.1f}")
    worker.close()


def both(ipr: Any) -> None:
    list(ipr.link("dump"))
    list(ipr.addr("dump"))


def link(number: int) -> Link:
    return Link(
        netns="",
        name=f"vti{number}",
        kind="vti6",
        local="2001:db8::1",
        remote=f"2001:db8:1::{number:x}",
        ikey=number,
        okey=number,
        mtu=1406,
        alias=f"vtid:vti{number}",
    )


def run(worker: Worker, ops: Sequence[Op]) -> None:
    for result in worker.run(ops).results:
        assert isinstance(result, OpDone), result.error


def writing(count: int) -> None:
    worker = Worker()
    links = [link(number) for number in range(1, count + 1)]
    creates = [CreateLink(tunnel=each.name, reason="", link=each) for each in links]
    timed("create vti6 (with alias and settings)", count, lambda: run(worker, creates))
    timed("create again: nothing to do", count, lambda: run(worker, creates))
    addresses = [
        AddAddress(
            tunnel=each.name,
            reason="",
            netns="",
            interface=each.name,
            address=f"169.254.{each.ikey // 128}.{each.ikey % 128 * 2}/31",
        )
        for each in links
    ]
    timed("add an address", count, lambda: run(worker, addresses))
    ups = [SetUp(tunnel=each.name, reason="", netns="", name=each.name) for each in links]
    timed("set up", count, lambda: run(worker, ups))
    there = {info.name: info.ifindex for info in read_links(worker.dump()[0])}
    deletes = [
        DeleteLink(tunnel=each.name, reason="", netns="", name=each.name, ifindex=there[each.name])
        for each in links
    ]
    timed("delete", count, lambda: run(worker, deletes))
    worker.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    reading(count)
    if Path("/sys/module/ip6_vti").exists():
        writing(min(count, 200))


if __name__ == "__main__":
    main()
