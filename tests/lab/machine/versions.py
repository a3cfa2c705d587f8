"""What the lab runs on, as the programs themselves say it."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

from vtid import __version__

REPO = Path(__file__).resolve().parents[3]
PROGRAMS = (
    ("kernel", ("uname", "-srv"), r"(.*)"),
    ("strongSwan", ("swanctl", "--version"), r"strongSwan (\S+)"),
    ("BIRD", ("bird", "--version"), r"version (\S+)"),
    ("nftables", ("nft", "--version"), r"v(\S+)"),
    ("Python", ("python3", "--version"), r"Python (\S+)"),
)


def versions() -> tuple[tuple[str, str], ...]:
    """Ask what the lab runs on."""
    found = [("OS", platform.freedesktop_os_release()["PRETTY_NAME"])]
    for name, command, pattern in PROGRAMS:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        match = re.search(pattern, answer.stdout + answer.stderr)
        found.append((name, match[1] if match else "unknown"))
    return (*found, ("vtid", f"{__version__} {commit(REPO / '.git')}".rstrip()))


def commit(git: Path) -> str:
    """Return the commit that is checked out, without git; empty where that is not to be read."""
    try:
        head = (git / "HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        return (git / name).read_text().strip()[:12] if name != head else head[:12]
    except OSError:
        return ""
