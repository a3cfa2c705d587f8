"""Two gateways with real daemons, foreign things around them, and whether all is as it should be.

Rules of this file:

* Faults happen to `a` only; `b` is a peer that answers.
* `a` has a supervisor, as systemd would be: a vtid that ended is started again, one that hangs is
  ended first. Either is a violation, unless somebody did it, or it had no memory.
* What is compared is seen by other programs than vtid.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests import charon, vxlan
from tests.birds import RealBird
from tests.chaos import dump
from tests.chaos.process import Process
from tests.chaos.tunnels import TUNNELS, policies, swanctl_conf
from tests.chaos.watchdog import Watchdog
from tests.lab.checks import direct, observe
from tests.lab.machine.forked import Fork, import_vtid
from tests.lab.machine.shell import CheckError, eventually
from tests.life.conftest import SPEED
from tests.life.gateways import Gateway
from tests.life.speakers import CONFIG, instance
from tests.life.texts import End
from vtid.core import initiate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMES_UP = 180.0
"""Seconds in which a system without faults must stand: on a busy machine that emulates another."""

LAST_WAIT = 3.0
"""Seconds that vtid waits at most, half of them more or less, until it asks charon again for an SA.

Here they end so often that it would come to its own most, 90 s, and stay there.
"""

DISK = "192k"
"""Room for BIRD's files and vtid's."""

OUTER = {
    "a": ("192.0.2.1/24", "2001:db8::1/64"),
    "b": tuple(f"{t.outer[1]}/{24 if t.family == 4 else 64}" for t in TUNNELS),
}

FOREIGN = """
link add foreign0 type bridge
link set foreign0 alias vtid:four up
address add 198.51.100.1/24 dev foreign0
address add 2001:db8:f::1/64 dev foreign0 nodad
route add 203.0.113.0/24 dev foreign0 proto 99
route add 10.102.0.0/16 dev foreign0 metric 9 proto static
route add unreachable 203.0.113.128/25 table 77
rule add from 203.0.113.9 table 77 priority 777
"""
"""What others have in the same namespaces; one looks like vtid's, but for the group."""

FOREIGN_TUNNELS = {
    False: """
link add foreign1 type vti key 99 local 192.0.2.1 remote 192.0.2.99
link set foreign1 group 7 up
link add foreign2 type xfrm if_id 99
""",
    True: """
link add foreign1 type vxlan id 99 local 192.0.2.1 remote 192.0.2.99 dstport 4789
link set foreign1 group 7 up
""",
}
"""By whether VXLANs stand in for those of vtid."""

FOREIGN_TABLE = """
table inet foreign {
    map sizes { typeof oifname : tcp option maxseg size; elements = { "four" : 1000 } }
    chain forward { type filter hook forward priority 0; policy accept; }
}
"""


@dataclass(slots=True)
class World:
    """All that a fault can happen to."""

    a: Gateway
    b: Gateway
    private: str
    bird: RealBird
    watchdog: Watchdog
    stand_in: bool = False
    """Whether VXLANs stand in for the interfaces of vtid."""
    undisturbed: dump.Dump = field(default_factory=dict)
    """How all of it looks while nothing has happened."""
    idle: dict[str, int] = field(default_factory=dict)
    """What vtid's process has open then, by kind."""
    read: int = 0
    """Bytes of vtid's log that were looked at."""
    expected_end: bool = False
    """Whether a fault ended vtid, or may have."""
    expected_errors: bool = False
    """Whether a fault may have led to errors in vtid that nothing else excuses."""

    # --- vtid -------------------------------------------------------------------------------------

    def start_vtid(self, prepare: Callable[[], None] | None = None) -> None:
        """Start vtid; `prepare` is called in its process first."""
        self.watchdog.begin()

        def prepared() -> None:
            self.watchdog.expect_one()
            if prepare:
                prepare()

        _start(self.a, self.stand_in, prepared)

    def kill_vtid(self) -> None:
        """End it as a crash would."""
        self.a.stop_vtid(signal.SIGKILL)

    def supervise(self) -> None:
        """Start vtid again if it has ended, or hangs.

        Raises `CheckError` if nobody had ended it, nor let it hang.
        """
        if hangs := self.watchdog.is_late():
            self.kill_vtid()
        if self.runs():
            return
        how = f"ended with status {self.a.vtid.returncode}" if self.a.vtid else "been ended"
        expected, self.expected_end = self.expected_end, False
        self.start_vtid()
        if not expected:
            raise CheckError("vtid has hung" if hangs else f"vtid has {how}")

    def runs(self) -> bool:
        """Whether vtid runs: a fault may have killed it."""
        return self.a.vtid is not None and self.a.vtid.poll() is None

    @contextmanager
    def stopped_vtid(self) -> Iterator[None]:
        """Let vtid do nothing for as long as the context lasts; it may have been killed."""
        assert self.a.vtid
        self.a.vtid.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.a.vtid.send_signal(signal.SIGCONT)

    @property
    def vtid(self) -> Process:
        """The process of vtid."""
        assert self.a.vtid
        return Process(self.a.vtid.pid)

    def new_log(self) -> str:
        """Return what vtid has logged since this was called last."""
        text = self.a.path("vtid.log").read_text(errors="replace")
        self.read, text = len(text), text[self.read :]
        return text

    # --- what somebody does to it -----------------------------------------------------------------

    def ip(self, words: str, *, private: bool = False) -> bool:
        """Run iproute2's ip; False if the kernel refused."""
        with direct.inside(self.private if private else self.a.netns):
            done = subprocess.run(["ip", *words.split()], capture_output=True, check=False)
        return done.returncode == 0

    def nft(self, text: str, *, private: bool = False) -> bool:
        """Run nft; False if the kernel refused."""
        with direct.inside(self.private if private else self.a.netns):
            command = ["nft", "-f", "-"]
            done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
        return done.returncode == 0

    def ask(self, path: str, method: str = "GET") -> None:
        """Ask vtid for something, whatever it answers, if it does."""
        try:
            observe.control(self.a, path, method)
        except CheckError:
            return

    def plant_foreign(self, *, private: bool) -> None:
        """Put things of others into a namespace."""
        with direct.inside(self.private if private else self.a.netns):
            said = (FOREIGN + FOREIGN_TUNNELS[self.stand_in]).encode()
            subprocess.run(["ip", "-batch", "-"], input=said, check=True)
        assert self.nft(FOREIGN_TABLE, private=private)

    def add_addresses(self) -> None:
        """Give the wire of `a` the addresses that it should have."""
        for address in OUTER["a"]:
            nodad = "nodad" if ":" in address else ""
            self.ip(f"address replace {address} dev eth0 {nodad}")

    def load(self, without: str = "") -> None:
        """Have charon of `a` load the connections, one left out perhaps."""
        self.a.load(swanctl_conf(at_a=True, without=without, narrow=self.stand_in))

    def configure(self, without: str = "") -> None:
        """Write vtid.toml of `a`, with a policy left out perhaps, and have it read."""
        bird = instance(self.bird)
        text = policies(at_a=True, private=self.private, bird=bird, without=without)
        vtid, self.a.vtid = self.a.vtid, None  # it may be unable to answer
        self.a.configure(text)
        self.a.vtid = vtid
        if vtid:
            self.ask("/v1/reload", "POST")

    # --- what it looks like -----------------------------------------------------------------------

    def look(self) -> dump.Dump:
        """Return all that can be compared. Raises `CheckError` where something does not answer."""
        found = self.look_at_daemons()
        return found | dump.namespace(self.a.netns, "a") | dump.namespace(self.private, "private")

    def look_at_daemons(self) -> dump.Dump:
        """Return what vtid, charon and BIRD say, which takes the least time."""
        status = self.a.status()
        found = {"ready": str(status["ready"]), "VICI": str(status["vici_connected"])}
        found |= {
            f"tunnel {one['tunnel']}": f"{one['state']} {one['error']}" for one in status["tunnels"]
        }
        children = [child["name"] for child in self.a.children()]
        found |= {f"CHILD_SAs of {t.name}": str(children.count(t.name)) for t in TUNNELS}
        sessions = re.findall(r"(vtid_\S+) +BGP", self._bird("show protocols"))
        found |= {f"session {name}": "there" for name in sessions}
        return found | {f"file {one.name}": one.read_text() for one in _files(self.bird.directory)}

    def _bird(self, question: str) -> str:
        return direct.bird(self.a.netns, self.bird.socket, question)

    def expect_undisturbed(self) -> None:
        """Raise until all is as if nothing had happened, and packets pass."""
        self.supervise()
        quick = self.look_at_daemons()
        if found := dump.differences(self.undisturbed | quick, self.undisturbed):
            raise CheckError("\n".join(found))
        if found := dump.differences(self.look(), self.undisturbed):
            raise CheckError("\n".join(found))
        if more := self.vtid.more_than(self.idle):
            raise CheckError(f"vtid's process has {more}")
        self.expect_pings()

    def expect_pings(self) -> None:
        """Raise unless a ping passes through each tunnel.

        A VXLAN has neighbours, unlike what it stands for: the peer's may have been made anew, with
        another address, which its neighbour finds out within the minute.
        """
        for private in (False, True) if self.stand_in else ():
            self.ip("neighbour flush all", private=private)
        passing = [t for t in TUNNELS if not (self.stand_in and t.kind == "xfrm")]
        where = [(self.private if t.private else self.a.netns, t) for t in passing]
        command = ("ping", "-n", "-c", "1", "-W", "2")
        answers = direct.run_all([(ns, (*command, t.inner[1])) for ns, t in where])
        silent = [t.name for (_, t), text in zip(where, answers, strict=True) if " 0%" not in text]
        if silent:
            raise CheckError(f"no ping passes through {', '.join(silent)}")

    def expect_up(self) -> None:
        """Raise until all tunnels are up for the first time."""
        self.supervise()
        observe.expect_ready(self.a)
        seen = self.look()
        down = [t.name for t in TUNNELS if seen[f"CHILD_SAs of {t.name}"] != "1"]
        if down:
            raise CheckError(f"no SA of {', '.join(down)}")
        self.expect_pings()


def _start(
    gateway: Gateway,
    in_place: bool,  # noqa: FBT001
    prepare: Callable[[], None] | None = None,
) -> None:
    def prepared() -> None:
        initiate.LAST = LAST_WAIT
        if in_place:
            vxlan.use(_stood_in)
        if prepare:
            prepare()

    path = gateway.path
    fork = Fork(gateway.netns, path("vtid.toml"), path("vtid.log"), prepare=prepared)
    gateway.vtid = fork.start()


def _files(directory: Path) -> list[Path]:
    """Files beside BIRD's that vtid has made; none of them may be left over."""
    return [one for one in directory.iterdir() if "vtid" in one.name or one.suffix == ".new"]


@contextmanager
def standing(*, in_place: bool = False) -> Iterator[World]:
    """Build all of it and wait until it stands undisturbed; it is gone when the context ends."""
    import_vtid()
    with ExitStack() as stack:
        first, second = stack.enter_context(charon.pair("", "", extra=SPEED))
        world = _built(stack, Gateway(End(1), first), Gateway(End(2), second), in_place)
        world.b.load(swanctl_conf(at_a=False, narrow=in_place))
        world.load()
        world.b.configure(policies(at_a=False))
        world.configure()
        stack.callback(world.b.stop_vtid, signal.SIGKILL)
        stack.callback(world.kill_vtid)
        _start(world.b, in_place)
        world.start_vtid()
        eventually(world.expect_up, COMES_UP)
        _settle(world)
        world.idle, world.undisturbed = world.vtid.open(), world.look()
        world.new_log()
        yield world


def _stood_in(number: int) -> str:
    """Return the kind of the interface that a VXLAN stands for."""
    for tunnel in TUNNELS:
        if tunnel.number == number:
            return "vti6" if (tunnel.kind, tunnel.family) == ("vti", 6) else tunnel.kind
    return vxlan.KIND


def _built(stack: ExitStack, a: Gateway, b: Gateway, stand_in: bool) -> World:  # noqa: FBT001
    private = f"{a.netns}-private"
    charon.run("ip", "netns", "add", private)
    stack.callback(subprocess.run, ["ip", "netns", "delete", private], check=False)
    charon.run("ip", "-n", private, "link", "set", "lo", "up")
    for address in OUTER["b"]:
        nodad = ("nodad",) if ":" in address else ()
        b.ip("address", "replace", address, "dev", "eth0", *nodad)
    for tunnel in TUNNELS:  # kernel-libipsec wants an address of its selectors
        for gateway in (a, b):
            host = f"10.200.{tunnel.number}.{gateway.end.number}/32"
            gateway.ip("address", "add", host, "dev", "lo")
    disk = a.path("bird")
    disk.mkdir()
    charon.run("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk))
    stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=False)
    bird = RealBird(disk, "life", a.netns)
    bird.config.write_text(CONFIG.format(number=1, more="", include=bird.include))
    bird.start()
    stack.callback(bird.stop)
    watchdog = Watchdog(a.path("watchdog"))
    stack.callback(watchdog.close)
    world = World(a, b, private, bird, watchdog, stand_in)
    for inside in (False, True):
        world.plant_foreign(private=inside)
    return world


def _settle(world: World) -> None:
    """Wait until two looks, some seconds apart, show the same."""

    def look() -> None:
        before = world.look(), world.vtid.open()
        time.sleep(3)  # nothing may happen in it
        if found := dump.differences(world.look(), before[0]):
            raise CheckError("it does not settle:\n" + "\n".join(found))
        if more := world.vtid.more_than(before[1]):
            raise CheckError(f"vtid's process does not settle: {more}")

    eventually(look, COMES_UP)
