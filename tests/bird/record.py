"""Records golden files from real BIRDs: `python -m tests.bird.record`, as root.

For each BIRD that `VTID_BIRDS` declares (`tests/birds.py`), a folder `golden/<version>` or, for
the two daemons of 1.6, `golden/<version>-bird` and `-bird6`. Two BIRDs with a veth between them;
the left one has a session with all families of the daemon over IPv6 (`bird` 1.6: over IPv4), one
of iBGP over IPv4, and one whose neighbour is not there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.birds import Daemon, RealBird, bird, declared, eventually, ip, linked_namespaces
from vtid.bird.render import compose, render
from vtid.bird.template import shipped
from vtid.model.bgp import BgpSession, BirdBlock

COMMANDS = (
    "show status",
    "show protocols all",
    "configure check",
    "configure",
    "nonsense",
)

TIMED = ("configure timeout 300", "configure status", "configure confirm", "configure undo")


def sessions(daemon: Daemon, number: int) -> BirdBlock:
    own, other = number - 1, 2 - number
    first, second, absent = "2001:db8:ff::", "169.254.1.", "fe80::9"
    if daemon.families == ("ipv4",):
        first, absent = "169.254.2.", "169.254.1.9"
    if daemon.families == ("ipv6",):
        second = "2001:db8:fe::"
    over_ipv6 = BgpSession(
        name="vtid_t1",
        interface="t1",
        local_address=f"{first}{own}",
        neighbor=f"{first}{other}",
        local_as=65000 + number,
        remote_as=65003 - number,
        families=daemon.families,
        export_filter="all",
    )
    internal = BgpSession(
        name="t1-ibgp.4",
        interface="t1",
        local_address=f"{second}{own}",
        neighbor=f"{second}{other}",
        local_as=65100,
        remote_as=65100,
        families=daemon.families[-1:],
    )
    nobody = BgpSession(
        name="nobody",
        interface="t9",
        neighbor=absent,
        local_as=65001,
        remote_as=65009,
        families=daemon.families[:1],
    )
    return BirdBlock("left", "t1", (over_ipv6, internal, nobody)[: 4 - number])


def by_hand(daemon: Daemon, number: int) -> str:
    """Sessions of the last family of a daemon, in tables of their own, and a BFD protocol."""
    family, old = daemon.families[-1], daemon.template == "bgp-1.6"
    table = "table apart;" if old else f"{family} table apart;"
    routes = "".join(f"route {_prefix(family, one)} blackhole; " for one in (1, 2, 3))
    channel = "table apart;" if old else f"{family} {{ table apart; }};"
    static = f"protocol static more {{ {channel} {routes}}}" if number == 2 else ""

    def session(name: str, place: int, remote_as: int, options: str, more: str = "") -> str:
        ours, other = (_address(family, place, end) for end in (number - 1, 2 - number))
        inside = f"table apart; import all; export all; {options}"
        body = inside if old else f"{family} {{ {inside} }};"
        return (
            f"protocol bgp {name} {{ local {ours} as {65000 + number}; direct; {more} "
            f"neighbor {other} as {remote_as}; connect retry time 5; {body} }}"
        )

    third, left = _prefix(family, 3), number == 1
    keep = f"import keep filtered on; import where net != {third}; import limit 1 action block;"
    return "\n".join(
        [
            table,
            static,
            'protocol bfd bfd1 { interface "t1" { interval 200 ms; multiplier 5; }; }',
            session("limited", 3, 65003 - number, keep if left else "", "bfd yes;"),
            session("halted", 4, 65003 - number, "receive limit 2 action disable;" if left else ""),
            session("stranger", 5, 65044 if left else 65001, ""),
            session("paused", 6, 65009, "", "disabled yes;" if left else ""),
        ]
    )


def _prefix(family: str, number: int) -> str:
    return f"10.8.{number}.0/24" if family == "ipv4" else f"2001:db8:8:{number}::/64"


def _address(family: str, place: int, end: int) -> str:
    return f"169.254.{place}.{end}" if family == "ipv4" else f"2001:db8:f{place}::{end}"


def main(golden: Path) -> None:
    for daemon in declared():
        with tempfile.TemporaryDirectory() as name, linked_namespaces("rec-a", "rec-b", "t1"):
            record_daemon(daemon, Path(name), golden)


def record_daemon(daemon: Daemon, directory: Path, golden: Path) -> None:
    configs = []
    for number, netns in ((1, "rec-a"), (2, "rec-b")):
        for network in ("2001:db8:ff::", "2001:db8:fe::"):
            ip(f"-n {netns} address add {network}{number - 1}/127 dev t1 nodad")
        for network in ("169.254.1.", "169.254.2."):
            ip(f"-n {netns} address add {network}{number - 1}/31 dev t1")
        for place in range(3, 7):
            for family, bits in (("ipv4", 31), ("ipv6", 127)):
                address = _address(family, place, number - 1)
                ip(f"-n {netns} address add {address}/{bits} dev t1 {'nodad' * (bits > 32)}")
        include = directory / f"vtid.{netns}.conf"
        block = render(sessions(daemon, number), shipped(daemon.template))
        include.write_text(compose({"t1": block}))
        configs.append(daemon.config(number, f'{by_hand(daemon, number)}\ninclude "{include}";'))
    with (
        bird(configs[0], directory, "rec-a", "rec-a", daemon) as left,
        bird(configs[1], directory, "rec-b", "rec-b", daemon) as right,
    ):
        version = left.ask("show status").split("BIRD ")[1].split("\n")[0]
        folder = golden / (f"{version}-{daemon.program.name}" if version < "2" else version)
        folder.mkdir(parents=True, exist_ok=True)
        record(left, right, folder)


def record(left: RealBird, right: RealBird, folder: Path) -> None:
    def up() -> bool:
        return left.ask("show protocols").count("Established") == 3

    def all_routes() -> bool:
        text = left.ask("show protocols all vtid_t1")
        return text.count(" 1 imported") == len(left.daemon.families)

    eventually(up, "both sessions are established")
    eventually(all_routes, "routes came")
    eventually(lambda: "Bad peer AS" in left.ask("show protocols stranger"), "a stranger came")
    eventually(lambda: " down " in left.ask("show protocols halted"), "the limit was hit")
    eventually(lambda: " Up " in left.ask("show bfd sessions"), "BFD is up")
    write(folder, "welcome", left, "")
    for command in COMMANDS + TIMED:
        write(folder, command.replace(" ", "-"), left, command)
    write(folder, "show-bfd-sessions", left, "show bfd sessions 'bfd1'")
    right.stop()
    eventually(lambda: not up(), "the sessions are down")
    write(folder, "show-protocols-all-down", left, "show protocols all")
    write(folder, "show-bfd-sessions-down", left, "show bfd sessions 'bfd1'")
    left.ask("disable bfd1")
    write(folder, "show-bfd-sessions-disabled", left, "show bfd sessions 'bfd1'")
    text = left.include.read_text()
    left.include.write_text(text.replace("export all", "export filter nix"))
    write(folder, "configure-check-refused", left, "configure check")


def write(folder: Path, name: str, left: RealBird, command: str) -> None:
    (folder / f"{name}.txt").write_text(left.ask(command))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "golden")
