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
from vtid.model import BgpSession, BirdBlock

COMMANDS = ("show status", "show protocols all", "configure check", "configure", "nonsense")

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
        include = directory / f"vtid.{netns}.conf"
        block = render(sessions(daemon, number), shipped(daemon.template))
        include.write_text(compose({"t1": block}))
        configs.append(daemon.config(number, f'include "{include}";'))
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
        return left.ask("show protocols").count("Established") == 2

    def all_routes() -> bool:
        text = left.ask("show protocols all vtid_t1")
        return text.count(" 1 imported") == len(left.daemon.families)

    eventually(up, "both sessions are established")
    eventually(all_routes, "routes came")
    write(folder, "welcome", left, "")
    for command in COMMANDS + TIMED:
        write(folder, command.replace(" ", "-"), left, command)
    right.stop()
    eventually(lambda: not up(), "the sessions are down")
    write(folder, "show-protocols-all-down", left, "show protocols all")
    text = left.include.read_text()
    left.include.write_text(text.replace("export all", "export filter nix"))
    write(folder, "configure-check-refused", left, "configure check")


def write(folder: Path, name: str, left: RealBird, command: str) -> None:
    (folder / f"{name}.txt").write_text(left.ask(command))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "golden")
