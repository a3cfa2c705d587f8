"""Run a command on the lab's tree in namespaces of this very kernel.

Rules of this file:

* Whatever the command does, nothing of the host changes: its root is an overlay whose upper side
  is in memory, and it has mount, process, network, host name and IPC namespaces of its own.
* Everything dies with the first process, which dies with us.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.machine.running import Running, announced

if TYPE_CHECKING:
    from pathlib import Path

# $1 tree, $2 repository, $3 output folder, $4 folder with run.sh
ENTER = r"""set -e
# in $4, which is removed after the run; only this run sees the mount points in it
work=$4/root
mkdir -p "$work"
mount -t tmpfs lab "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=$1,upperdir=$work/upper,workdir=$work/work" lab "$work/root"
cd "$work/root"
mkdir -p src out ctl mnt
mount --bind "$2" src
mount -o remount,bind,ro src
mount --bind "$3" out
mount --bind "$4" ctl
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
chmod 1777 tmp
pivot_root . mnt
umount -l /mnt
exec bash /ctl/run.sh
"""

UNSHARE = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork"),
    *("--kill-child=KILL", "--propagation", "private", "--"),
)


@dataclass(frozen=True, slots=True)
class Rooms:
    """The folders of one run: the tree, the repository, the output, and that of `run.sh`."""

    tree: Path
    repo: Path
    out: Path
    control: Path


def run(rooms: Rooms, limit: float | None, *, kept: bool = False) -> int:
    """Run `control/run.sh` in the tree; return its exit status.

    It is no process of the terminal's foreground: Ctrl-C is for us, and we decide.

    Raises `subprocess.TimeoutExpired` when it took more than `limit` seconds; all its processes
    have been killed then, as after any other exception.
    """
    process = subprocess.Popen(_command(rooms), stdin=subprocess.DEVNULL, process_group=0)
    try:
        with announced(Running(kept, inside=process.pid)):
            return process.wait(limit)
    finally:
        process.kill()
        process.wait()


def trial(rooms: Rooms, limit: float = 60) -> str:
    """Run `control/run.sh` and return what speaks against it: the last line said, or nothing."""
    try:
        result = subprocess.run(
            _command(rooms),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode == 0:
        return ""
    return (result.stdout.strip().splitlines() or [f"exit status {result.returncode}"])[-1]


def _command(rooms: Rooms) -> list[str]:
    paths = (rooms.tree, rooms.repo, rooms.out, rooms.control)
    return [*UNSHARE, "/bin/bash", "-c", ENTER, "enter", *map(str, paths)]
