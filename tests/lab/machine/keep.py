"""Leave a lab running when its checks are through, for people who want to look around.

Whoever runs it on the host (`host.py`) asks for it with `VTID_LAB_KEEP` and ends it with a file:
the folder of `run.sh` is there on both sides.

Rules of this file: nothing happens where it was not asked for.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

CONTROL = Path("/ctl")
NETNS = Path("/run/netns")
ENVIRONMENT = "VTID_LAB_KEEP"
KEPT = "kept"
STOP = "stop"


def hold() -> None:
    """With KEEP=1, print how to enter each host, and wait for the end."""
    if not os.environ.get(ENVIRONMENT):
        return
    print("\n".join(words(sorted(path.name for path in NETNS.iterdir()))), flush=True)
    (CONTROL / KEPT).touch()
    while not (CONTROL / STOP).exists():
        time.sleep(0.5)


def words(hosts: list[str]) -> list[str]:
    """Return how to enter the lab and each of its hosts, and how to end it, as lines."""
    return [
        "",
        "The lab goes on until Ctrl-C here or `make lab-stop`.",
        "`make lab-shell` in another terminal opens a shell in it, where",
        *(f"  {f'on {host}':18} {_meaning(host, hosts)}" for host in hosts),
        "and then a command or nothing runs that, or a shell, on the host;",
        "`draw` draws lab-out/topology.svg anew.",
    ]


def _meaning(host: str, hosts: list[str]) -> str:
    if host.endswith("-private"):
        return f"is {host.removesuffix('-private').upper()}, private side: VTIs, birdc, nft"
    if host.startswith("v") and f"{host}-private" in hosts:
        return f"is {host.upper()}, public side: swanctl, vtictl"
    if host.startswith("v"):
        return f"is {host.upper()}: swanctl, vtictl, birdc, nft"
    return f"is router {host.upper()}" if host.startswith("r") else "has the segments' bridges"
