"""Prepare the lab on a host and run a command in it: `python -m tests.lab.host run -- COMMAND`.

The command runs as root on a Debian with strongSwan, BIRD, nftables and the locked Python
packages, in /src (the repository, read-only), with /out (`lab-out/`) to leave files in. Where this
kernel has all that a VTI gateway needs it runs in namespaces, otherwise in a QEMU machine.

Rules of this file:

* The standard library only: it runs before anything is installed.
* What cannot be done is one line that names it and the way out, with exit status 2.
* The exit status is the command's own.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tests.lab.machine import keep, moving, native, systems, terminal, tree, vm

if TYPE_CHECKING:
    from collections.abc import Mapping

OUT = tree.REPO / "lab-out"
LIMIT = 1500.0
"""Seconds a command may take."""

ENVIRONMENT = {
    "HOME": "/root",
    "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",  # noqa: S108 the lab's own /tmp
    "LANG": "C.UTF-8",
    "PATH": "/opt/vtid/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/src:/opt/vtid",
    "PYTHONUNBUFFERED": "1",
    "TERM": "dumb",
}

SHELL = "cd /root\nexec bash --rcfile /src/tests/lab/bin/bashrc -i\n"
"""What `make lab-shell` runs in there, after the environment."""

# What all ask of a kernel, asked for real.
_TRIAL = """set -E
trap 'echo "refused: $BASH_COMMAND"; exit 1' ERR
ip netns add trial
ip link add a0 type veth peer name b0 netns trial
nft 'add table inet t
     add map inet t m { typeof oifname : tcp option maxseg size; }
     add chain inet t c { type filter hook forward priority mangle; }
     add rule inet t c tcp flags & (syn|rst) == syn tcp option maxseg size set oifname map @m'
"""

# What charon asks instead of ESP (kernel-libipsec), and what a gateway asks.
_DAEMONS_TRIAL = "ip tuntap add name u0 mode tun\n"
_GATEWAY_TRIAL = """ip link add d0 type dummy
ip link add t4 type vti local 192.0.2.1 remote 192.0.2.2 key 1
ip link add t6 type vti6 local 2001:db8::1 remote 2001:db8::2 key 1
ip link add x0 type xfrm if_id 1
ip link add v0 type vrf table 1
gcm="aead rfc4106(gcm(aes)) 0x$(printf '%072d' 1) 128"
cbc="enc cbc(aes) 0x$(printf '%032d' 1) auth-trunc hmac(sha256) 0x$(printf '%064d' 1) 128"
ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 mode tunnel $gcm
ip xfrm state add src 2001:db8::1 dst 2001:db8::2 proto esp spi 2 mode tunnel $cbc
"""

TRIALS = {"daemons": _TRIAL + _DAEMONS_TRIAL, "gateway": _TRIAL + _GATEWAY_TRIAL}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    if options.action == "run" and options.keep:
        options.limit = None
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    try:
        return {"run": _run, "shell": _shell, "stop": _stop}[options.action](options)
    except tree.LabError as error:
        print(f"lab: error: {error}", file=sys.stderr)
        return 2
    except subprocess.TimeoutExpired:
        print(
            f"lab: error: not done within {options.limit:.0f} s (--limit), ended", file=sys.stderr
        )
        return 124
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.host", description=__doc__)
    commands = parser.add_subparsers(dest="action", required=True)
    run = commands.add_parser("run", help="run a command in the lab")
    run.add_argument("--mode", choices=("auto", "native", "vm"), default="auto")
    run.add_argument("--for", dest="purpose", choices=tuple(TRIALS), default="gateway")
    run.add_argument("--os", default="bookworm", help="a Debian: bookworm, trixie")
    run.add_argument("--bird", default="2", help="a BIRD of it: 1.6, 2, 3")
    run.add_argument("--with", dest="more", default="", help="further packages of Debian")
    run.add_argument("--keep", action="store_true", help="leave it running until it is ended")
    run.add_argument("--console", default="console", help="its log's name, where several run")
    run.add_argument("--limit", type=float, default=LIMIT, metavar="SECONDS")
    run.add_argument("command", nargs="+")
    commands.add_parser("shell", help="open a shell in the lab that runs")
    commands.add_parser("stop", help="end the lab that was kept running")
    return parser


def _leave(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _shell(_options: argparse.Namespace) -> int:
    return terminal.shell()


def _stop(_options: argparse.Namespace) -> int:
    return terminal.stop()


def _end_in_order(control: Path) -> None:
    """Let the first signal after the checks end the lab as it ends itself, the second kill it."""

    def end(number: int, _frame: object) -> None:
        if (control / keep.KEPT).exists() and not (control / keep.STOP).exists():
            (control / keep.STOP).touch()
        else:
            _leave(number, _frame)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def _run(options: argparse.Namespace) -> int:
    system, bird = systems.chosen(options.os, options.bird)
    system = replace(system, more=tuple(options.more.split()))
    surroundings = systems.environment(system, bird, ENVIRONMENT)
    if options.keep:
        surroundings[keep.ENVIRONMENT] = "1"
    _make_out()
    with ExitStack() as stack:
        with moving.waiting("set-up"):
            build = stack.enter_context(tree.prepared(system))
        control = stack.enter_context(tempfile.TemporaryDirectory(prefix="vtid-lab-"))
        rooms = native.Rooms(build / "tree", tree.REPO, OUT, Path(control))
        mode = options.mode if options.mode != "auto" else _choose(rooms, TRIALS[options.purpose])
        (rooms.control / "run.sh").write_text(_script(shlex.join(options.command), surroundings))
        (rooms.control / "shell.sh").write_text(_exports(surroundings, "TERM") + SHELL)
        if options.keep:
            _end_in_order(rooms.control)
        if mode == "native":
            return native.run(rooms, options.limit, kept=options.keep)
        tree.install_tools()
        return vm.run(build, rooms, options.limit, name=options.console, kept=options.keep)


def _make_out() -> None:
    try:
        OUT.mkdir(exist_ok=True)
    except OSError as error:
        raise tree.LabError(f"cannot make {OUT}: {error.strerror}; check its owner") from error


def _choose(rooms: native.Rooms, trial: str) -> str:
    """Namespaces if this kernel and our privileges allow all of a trial, else the machine."""
    if os.geteuid() != 0:
        return "vm"
    (rooms.control / "run.sh").write_text(_script(trial))
    objection = native.trial(rooms)
    if not objection:
        return "native"
    tree.say(f"not in namespaces of this kernel ({objection}); Debian's kernel in QEMU instead")
    return "vm"


def _script(command: str, environment: Mapping[str, str] = ENVIRONMENT) -> str:
    """Text of `run.sh`: the same surroundings for the command, wherever it runs."""
    return f"cd /src\n{_exports(environment)}hostname lab\nip link set lo up\n{command}\n"


def _exports(environment: Mapping[str, str], *without: str) -> str:
    """Shell text that sets an environment, but for some names of it."""
    names = [name for name in environment if name not in without]
    return "".join(f"export {name}={shlex.quote(environment[name])}\n" for name in names)


if __name__ == "__main__":
    sys.exit(main())
