"""What a run of the lab has shown, as plain data: everything that a report can be made of.

Rules of this file: frozen dataclasses of plain values only, no I/O. Times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a question to a daemon's socket, with what came back."""

    netns: str
    line: str
    output: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold; `detail` is what was seen, or what was there instead."""

    name: str
    passed: bool
    detail: str
    seconds: float
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run; `ended` counts from the start of the lab."""

    name: str
    seconds: float
    ended: float


@dataclass(frozen=True, slots=True)
class Window:
    """A time without replies; `start` counts from the failure."""

    start: float
    seconds: float
    lost: int


@dataclass(frozen=True, slots=True)
class Outage:
    """What a ping from one router to another missed during a failure."""

    source: str
    target: str
    address: str
    replies: int
    windows: tuple[Window, ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds without connectivity, all windows together."""
        return sum(window.seconds for window in self.windows)

    @property
    def lost(self) -> int:
        """Requests without a reply."""
        return sum(window.lost for window in self.windows)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that was brought about, and what it cost; `allowed` is the longest outage."""

    name: str
    passed: bool
    detail: str
    bound: str
    allowed: float
    seconds: float
    outages: tuple[Outage, ...] = ()
    commands: tuple[Command, ...] = ()
    alerts: str = ""
    """Those that fired, each with where; empty where nobody looked."""


@dataclass(frozen=True, slots=True)
class TunnelState:
    """A tunnel as vtid and BIRD of one end report it; what is not there is None or empty."""

    interface: str
    gateway: str
    peer: str
    state: str
    mtu: int | None
    mss4: int | None
    mss6: int | None
    bgp: str
    bgp_state: str
    reason: str = ""
    """Why it is as it is, as vtid says; its error where there is one."""


@dataclass(frozen=True, slots=True)
class GatewayState:
    """A gateway with its tunnels; `answers` is False where vtid does not."""

    name: str
    site: int
    number: int
    address: str
    answers: bool
    tunnels: tuple[TunnelState, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """All of a run."""

    lab: str
    versions: tuple[tuple[str, str], ...]
    seconds: float
    phases: tuple[Phase, ...]
    checks: tuple[Check, ...]
    failures: tuple[Failure, ...]
    gateways: tuple[GatewayState, ...]

    @property
    def passed(self) -> int:
        """How many checks and failures went as they must."""
        return sum(row.passed for row in self.checks) + sum(row.passed for row in self.failures)

    @property
    def failed(self) -> int:
        """How many did not."""
        return len(self.checks) + len(self.failures) - self.passed
