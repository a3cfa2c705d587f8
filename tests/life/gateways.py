"""Two gateways with a charon and a vtid each, joined by a wire, and what a test asks of them.

    a  192.0.2.1, 2001:db8::1 ── eth0 ── 192.0.2.2, 2001:db8::2  b
       10.255.0.1  ┄┄┄┄┄┄┄┄┄┄┄┄┄ inner ┄┄┄┄┄┄┄┄┄┄┄┄┄  10.255.0.2

Rules of this file:

* Everything is real: charon, vtid in a process of its own, the kernel's interfaces, nftables.
* Texts are for the pair's kind of interface, unless a test says otherwise.
* Nothing is taken from vtid alone: the kernel is asked as well.
* What is not there yet is a `CheckError`, for `eventually`.
"""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.checks import direct, observe
from tests.lab.checks.checks import expect
from tests.lab.checks.traffic import monitoring, pinging
from tests.lab.machine.forked import Fork
from tests.lab.machine.shell import CheckError, eventually, run
from tests.life import texts
from tests.life.kinds import VTI, Kind
from tests.life.recorded import steps
from tests.life.texts import (
    INTERFACE,
    End,
    Side,
    child,
    connection,
    policy,
    swanctl_conf,
    vtid_toml,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.charon import Charon
    from tests.lab.checks.traffic import Ping
    from tests.lab.machine.forked import Child

PATIENCE = 15.0
"""Seconds that anything may take; software emulation is slow."""

COUNTERS = ("vtid_netlink_writes_total", "vtid_nft_transactions_total")


@dataclass(slots=True)
class Gateway:
    """One gateway: its charon, its vtid, and what they and the kernel say."""

    end: End
    charon: Charon
    kind: Kind = field(default=VTI, init=False)
    vtid: Child | None = field(default=None, init=False)
    recording: Path = field(default=Path(), init=False)
    starts: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        """Name in messages."""
        return self.netns

    @property
    def netns(self) -> str:
        """The namespace where all of it is."""
        return self.charon.netns

    def path(self, name: str) -> Path:
        """Path of a file of this gateway."""
        return self.charon.directory / name

    # --- what a test does to it ---------------------------------------------------------------

    def load(self, connections: str) -> None:
        """Write swanctl.conf and have charon load it."""
        self.path("swanctl.conf").write_text(swanctl_conf(connections))
        self.charon.load()

    def configure(self, policies: str) -> None:
        """Write vtid.toml, and have vtid read it if it runs."""
        text = vtid_toml(str(self.path("vtid.sock")), self.charon.vici, policies)
        self.path("vtid.toml").write_text(text)
        if self.vtid:
            observe.control(self, "/v1/reload", "POST")

    def policy(self, more: str = "") -> str:
        """Write a `[[tunnel]]` of the pair's kind with the inner addresses."""
        return policy(self.end, more=f'kind = "{self.kind.name}"\n{more}')

    def start_vtid(self) -> None:
        """Start vtid and wait until it knows all that there is."""
        self.starts += 1
        self.recording = self.path(f"recording{self.starts}.jsonl")
        record = ("--record", str(self.recording))
        fork = Fork(self.netns, self.path("vtid.toml"), self.path("vtid.log"), record)
        self.vtid = fork.start()
        eventually(partial(observe.expect_ready, self), PATIENCE)

    def stop_vtid(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End vtid; what it made stays."""
        if self.vtid:
            self.vtid.send_signal(number)
            self.vtid.wait(PATIENCE)
            self.vtid = None

    def forget_birds(self) -> None:
        """Start vtid anew where it still waits for a BIRD of an earlier test, to empty its file."""
        if json.loads(observe.control(self, "/v1/status"))["birds"]:
            self.stop_vtid()
            self.start_vtid()

    def ip(self, *arguments: str) -> None:
        """Run iproute2's ip here."""
        self.charon.ip(*arguments)

    def nft(self, text: str) -> None:
        """Run nft here; table `inet life` is ours."""
        run(self.netns, "nft", text)

    def deaf(self) -> None:
        """Let nothing in from the wire any more."""
        self.nft("add rule inet life input iif eth0 drop")

    def deaf_for_informational(self) -> None:
        """Let in all of IKE but INFORMATIONAL exchanges (RFC 7296, section 3.1: type 37)."""
        self.nft("add rule inet life input iif eth0 udp dport 500 @th,208,8 37 drop")

    def hearing(self) -> None:
        """Let everything in again."""
        self.nft("flush chain inet life input")

    def terminate(self, *ike_ids: str) -> None:
        """End IKE_SAs, with the peer's consent or without."""
        for number in ike_ids:
            with suppress(RuntimeError):  # charon reports an end without an answer as a failure
                self.charon.swanctl("--terminate", "--ike-id", number, "--force", "--timeout", "1")

    def end_sas(self) -> None:
        """End all IKE_SAs. Raises until there are none."""
        self.terminate(*self.ike_ids())
        expect(f"{self.name}: IKE_SAs", self.ike_ids(), set())

    def recorded(self) -> list[str]:
        """Lines that vtid has recorded since it started."""
        return self.recording.read_text().splitlines()

    # --- what it says -------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What `vtictl status` shows."""
        return dict(json.loads(observe.control(self, "/v1/status")))

    def tunnel(self, interface: str = INTERFACE) -> dict[str, Any]:
        """vtid's own view of a tunnel."""
        for found in self.status()["tunnels"]:
            if found["interface"] == interface:
                return dict(found)
        raise CheckError(f"{self.name}: vtid has no tunnel {interface}")

    def link(self, interface: str = INTERFACE) -> dict[str, Any]:
        """The interface as the kernel has it, with its addresses."""
        for found in json.loads(self.charon.ip("-d", "-j", "address")):
            if found.get("ifname") == interface:
                return dict(found)
        raise CheckError(f"{self.name}: no interface {interface}")

    def data(self, interface: str = INTERFACE) -> dict[str, Any]:
        """Endpoints and keys of the interface, as the kernel has them."""
        return dict(self.link(interface)["linkinfo"]["info_data"])

    def key(self) -> int:
        """Key of the interface: its mark out, or its if_id."""
        return self.kind.key_of(self.data())

    def ends(self) -> tuple[str, str]:
        """Outer addresses: of the interface where it has them, else of the SA that vtid knows."""
        data = self.data()
        if "local" in data:
            return data["local"], data["remote"]
        (sa,) = self.tunnel()["sas"]
        return sa["local_host"], sa["remote_host"]

    def links(self) -> set[str]:
        """Interfaces that are vtid's."""
        return {
            found["ifname"]
            for found in json.loads(self.charon.ip("-d", "-j", "address"))
            if found.get("ifalias", "").startswith("vtid:")
        }

    def mss(self, interface: str = INTERFACE) -> dict[str, int]:
        """MSS in each map of table `inet vtid`."""
        return observe.elements(run(self.netns, "nft", "list", "ruleset"), interface)

    def counters(self) -> dict[str, float]:
        """How often vtid wrote to the kernel and to nftables."""
        return {name: observe.metric(self, name) for name in COUNTERS}

    def children(self, *states: str) -> list[dict[str, Any]]:
        """CHILD_SAs that charon has in these states; INSTALLED ones if none are named."""
        wanted = states or ("INSTALLED",)
        return [one for one in direct.children(self._ike_sas()) if one["state"] in wanted]

    def child_ids(self) -> set[str]:
        """Unique IDs of the CHILD_SAs that carry traffic."""
        return {one["uniqueid"] for one in self.children()}

    def ike_ids(self, state: str = "ESTABLISHED") -> set[str]:
        """Unique IDs of the IKE_SAs in a state."""
        return {one["uniqueid"] for one in self._ike_sas() if one["state"] == state}

    def _ike_sas(self) -> list[dict[str, Any]]:
        with direct.charon(self) as session:
            return [direct.decoded(sa) for part in session.list_sas() for sa in part.values()]

    # --- what is waited for -------------------------------------------------------------------

    def expect_up(self, interface: str = INTERFACE) -> None:
        """Raise unless vtid says up and the kernel agrees."""
        tunnel = self.tunnel(interface)
        expect(f"{self.name}: {interface}: {tunnel['error'] or 'state'}", tunnel["state"], "up")
        if "UP" not in self.link(interface)["flags"]:
            raise CheckError(f"{self.name}: {interface} is down")

    def expect_state(self, state: str, interface: str = INTERFACE) -> None:
        """Raise unless vtid gives the tunnel this state."""
        expect(f"{self.name}: state", self.tunnel(interface)["state"], state)

    def expect_no_links(self) -> None:
        """Raise while there is an interface of vtid's."""
        expect(f"{self.name}: interfaces of vtid", self.links(), set())

    def expect_new_children(self, old: set[str]) -> None:
        """Raise until none of these CHILD_SAs, but others, carry the traffic; vtid knows them."""
        new = self.child_ids()
        if not new or new & old:
            raise CheckError(f"{self.name}: CHILD_SAs {new}, before {old}")
        self.expect_known()

    def expect_known(self, interface: str = INTERFACE) -> None:
        """Raise until vtid has just the SAs of a tunnel that charon has."""
        known = {str(sa["unique_id"]) for sa in self.tunnel(interface)["sas"]}
        expect(f"{self.name}: SAs that vtid knows", known, self.child_ids())


@dataclass(slots=True)
class Pair:
    """Both gateways; `a` starts what is started."""

    a: Gateway
    b: Gateway
    steps: list[tuple[Path, int]] = field(default_factory=list)
    """Where in the recording of `a` each step of a test begins."""

    @property
    def both(self) -> tuple[Gateway, Gateway]:
        """The two."""
        return self.a, self.b

    def use(self, kind: Kind) -> None:
        """Have tunnels of this kind from now on."""
        if kind != self.a.kind:
            for gateway in self.both:
                gateway.kind = kind
                gateway.configure(gateway.policy())

    def side(self, more: str = "", ike: str = "", **options: str) -> Side:
        """Write a side with one child, and the keys of the kind; `options`: see `child`."""
        return Side(child(more=f"{self.a.kind.keys()}\n {more}", **options), ike)

    def load(self, sides: Side | None = None, at_b: Side | None = None) -> None:
        """Load the connection between the IPv4 addresses: the same at both, but for `at_b`."""
        one, other = self.a.end.outer4, self.b.end.outer4
        sides = sides or self.side()
        self.b.load(connection(other, one, at_b or sides))
        self.a.load(connection(one, other, sides))

    def initiate(self, child: str = texts.CONNECTION) -> None:
        """Have `a` bring a child up."""
        self.a.charon.swanctl("--initiate", "--child", child, "--timeout", "30")

    def wait_up(self, interface: str = INTERFACE) -> None:
        """Wait until both have the interface up."""
        for gateway in self.both:
            eventually(partial(gateway.expect_up, interface), PATIENCE)

    def establish(self, sides: Side | None = None, at_b: Side | None = None) -> None:
        """Load, initiate and wait."""
        self.load(sides, at_b)
        self.initiate()
        self.wait_up()

    def establish_in_error(self) -> None:
        """Load and initiate; wait until `a` has the tunnel in error and `b` has it up."""
        self.load()
        self.initiate()
        eventually(partial(self.a.expect_state, "error"), PATIENCE)

    @contextmanager
    def at_once(self, *command: str) -> Iterator[None]:
        """Give swanctl of both the same command at the same time; both have ended afterwards."""
        with ThreadPoolExecutor() as pool:
            answers = [pool.submit(gateway.charon.swanctl, *command) for gateway in self.both]
            yield
        for answer in answers:
            answer.result()

    def step(self) -> None:
        """Begin a step of the test, which is one of its recorded case too."""
        self.steps.append((self.a.recording, len(self.a.recorded())))

    def case(self) -> list[list[str]]:
        """What the vtid of `a` was told in each step; of a new vtid, from its start on."""
        marks = [number for file, number in self.steps if file == self.a.recording]
        began_earlier = self.steps[0][0] == self.a.recording
        return steps(self.a.recorded(), marks if began_earlier else [1, *marks])

    @contextmanager
    def pinging(self) -> Iterator[Ping]:
        """Let `a` ping through the tunnel every 10 ms."""
        log = self.a.path("ping.log")
        with pinging(self.a.netns, self.b.end.inner4, log, "-i", "0.01") as ping:
            yield ping

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While it lasts no packet is lost, and nothing is done to the interface of `a`."""
        self.step()
        before = self.a.link()["ifindex"], self.a.counters()
        events = self.a.path("monitor.log")
        with self.pinging() as ping, monitoring(self.a.netns, events):
            yield
            ping.wait_for(50)
        expect("packets lost", ping.lost()[0], 0)
        expect("ifindex and writes", (self.a.link()["ifindex"], self.a.counters()), before)
        seen = [line for line in events.read_text().splitlines() if INTERFACE in line]
        expect("events of the interface", seen, [])

    @contextmanager
    def same_interface(self) -> Iterator[None]:
        """What happens meanwhile leaves both with the interfaces they had."""
        self.step()
        before = [gateway.link()["ifindex"] for gateway in self.both]
        yield
        self.wait_up()
        expect("ifindex", [gateway.link()["ifindex"] for gateway in self.both], before)

    def clear(self) -> None:
        """End all that a test may have left, and wait until nothing of it is there."""
        for gateway in self.both:
            gateway.charon.thaw()
            gateway.nft("flush chain inet life input")
            gateway.load("")
            if not gateway.vtid:
                gateway.start_vtid()
        for gateway in self.both:
            eventually(gateway.end_sas, PATIENCE)
        for gateway in self.both:
            observe.control(gateway, "/v1/flush", "POST")
            eventually(gateway.expect_no_links, PATIENCE)
            gateway.configure(gateway.policy())
            gateway.forget_birds()
            # those of a charon that was killed: the next trap would find one of them by its reqid
            gateway.ip("xfrm", "state", "flush")
