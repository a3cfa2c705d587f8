"""Records the golden files beside this one from real BIRDs: `python -m tests.bird.record`, as root.

Two BIRDs with a veth between them; the left one has a session with both families over IPv6, one
over IPv4 of iBGP, and one whose neighbour is not there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.birds import RealBird, bird, eventually, ip, linked_namespaces
from vtid.bird.render import compose, render
from vtid.model import BgpSession, BirdBlock

MAIN = """\
log stderr all;
router id 1.0.0.{number};
timeformat protocol iso long ms;
protocol device {{ scan time 3600; }}
protocol static static4 {{ ipv4; route 10.0.{number}.0/24 blackhole; }}
protocol static static6 {{ ipv6; route 2001:db8:a{number}::/64 blackhole; }}
include "{include}";
"""

COMMANDS = ("show status", "show protocols all", "configure check", "configure", "nonsense")


def sessions(number: int) -> BirdBlock:
    own, other = number - 1, 2 - number
    over_ipv6 = BgpSession(
        name="vtid_t1",
        interface="t1",
        local_address=f"2001:db8:ff::{own}",
        neighbor=f"2001:db8:ff::{other}",
        local_as=65000 + number,
        remote_as=65003 - number,
        families=("ipv6", "ipv4"),
        export_filter="all",
    )
    over_ipv4 = BgpSession(
        name="t1-ibgp.4",
        interface="t1",
        local_address=f"169.254.1.{own}",
        neighbor=f"169.254.1.{other}",
        local_as=65100,
        remote_as=65100,
        families=("ipv4",),
    )
    nobody = BgpSession(
        name="nobody",
        interface="t9",
        neighbor="fe80::9",
        local_as=65001,
        remote_as=65009,
    )
    return BirdBlock("left", "t1", (over_ipv6, over_ipv4, nobody)[: 4 - number])


def main(golden: Path) -> None:
    with tempfile.TemporaryDirectory() as name, linked_namespaces("rec-a", "rec-b", "t1"):
        directory = Path(name)
        for number, netns in ((1, "rec-a"), (2, "rec-b")):
            ip(f"-n {netns} address add 2001:db8:ff::{number - 1}/127 dev t1 nodad")
            ip(f"-n {netns} address add 169.254.1.{number - 1}/31 dev t1")
            include = directory / f"vtid.{netns}.conf"
            include.write_text(compose({"t1": render(sessions(number))}))
        configs = [
            MAIN.format(number=number, include=directory / f"vtid.{netns}.conf")
            for number, netns in ((1, "rec-a"), (2, "rec-b"))
        ]
        with (
            bird(configs[0], directory, "rec-a", "rec-a") as left,
            bird(configs[1], directory, "rec-b", "rec-b") as right,
        ):
            record(left, right, golden)


def record(left: RealBird, right: RealBird, golden: Path) -> None:
    def up() -> bool:
        return left.ask("show protocols").count("Established") == 2

    eventually(up, "both sessions are established")
    eventually(
        lambda: (
            "2 imported" in left.ask("show protocols all vtid_t1")
            or left.ask("show protocols all vtid_t1").count("1 imported") == 2
        ),
        "routes came",
    )
    for command in COMMANDS:
        write(golden, command.replace(" ", "-"), left, command)
    right.stop()
    eventually(lambda: not up(), "the sessions are down")
    write(golden, "show-protocols-all-down", left, "show protocols all")
    left.include.write_text(left.include.read_text().replace("export all", "export filter nix"))
    write(golden, "configure-check-refused", left, "configure check")


def write(golden: Path, name: str, left: RealBird, command: str) -> None:
    version = "bird" + left.ask("show status").split("BIRD ")[1].split(".")[0]
    (golden / f"{version}-{name}.txt").write_text(left.ask(command))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "golden")
