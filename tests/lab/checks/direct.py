"""What the lab asks daemons and the kernel without starting a process for it.

A process start costs tens of milliseconds where the processor is emulated, and the lab asks often.
What is asked is also written down (`transcript`), as the command that would have asked it.

Rules of this file: where something does not answer it raises `CheckError`.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vici.session import Session

from tests.lab.checks import observe
from tests.lab.machine import shell
from tests.lab.machine.shell import CheckError
from tests.lab.report.transcript import note
from tests.lab.topology.speakers import speakers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.topology.figures import Gateway

CLONE_NEWNET = 0x40000000
PATIENCE = 20.0

_libc = ctypes.CDLL(None, use_errno=True)


def run_all(commands: Sequence[tuple[str, Sequence[str]]], limit: float = 60) -> list[str]:
    """Run commands in their namespaces at the same time; return their outputs, good or bad."""
    running = [
        subprocess.Popen(
            shell.inside(netns, *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for netns, command in commands
    ]
    texts = []
    for (netns, command), process in zip(commands, running, strict=True):
        text, _ = process.communicate(timeout=limit)
        note(netns, " ".join(command), text)
        texts.append(text)
    return texts


@contextmanager
def inside(netns: str) -> Iterator[None]:
    """Be in a network namespace: for new sockets and for /proc of this thread."""
    with Path("/proc/thread-self/ns/net").open() as home:
        enter(netns)
        try:
            yield
        finally:
            _setns(home.fileno())


def enter(netns: str) -> None:
    """Go into a network namespace for good."""
    with Path(f"/run/netns/{netns}").open() as there:
        _setns(there.fileno())


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def bird(gateway_netns: str, path: Path, question: str) -> str:
    """Ask a BIRD on its control socket; return its answer as birdc prints it."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(path))
            with connection.makefile("rw", encoding="utf-8", errors="replace") as stream:
                _reply(stream)
                stream.write(f"{question}\n")
                stream.flush()
                text = _reply(stream)
    except OSError as error:
        raise CheckError(f"{path}: BIRD does not answer: {error}") from None
    note(gateway_netns, f"birdc -s {path} {question}", text)
    return text


def _reply(stream: Any) -> str:
    """Read up to the line whose code is followed by a space, and leave the codes out."""
    lines = []
    while line := stream.readline():
        found = re.match(r"(?:(\d{4})([ -])| )(.*)", line)
        lines.append(found[3] if found else line)
        if found and found[2] == " ":
            break
    return "\n".join(lines)


def private_bird(gateway: Gateway, question: str) -> str:
    """Ask the BIRDs of a gateway's private side."""
    sockets = [speaker.socket(gateway) for speaker in speakers(gateway.plan)]
    return "\n".join(bird(gateway.private, path, question) for path in sockets)


@contextmanager
def charon(gateway: observe.Place) -> Iterator[Any]:
    """Speak VICI with a gateway's charon."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(str(gateway.path("charon.vici")))
            yield Session(connection)  # type: ignore[no-untyped-call]
        except OSError as error:
            raise CheckError(f"{gateway.name}: charon does not answer: {error}") from None


def ike_sas(gateway: Gateway) -> dict[str, list[dict[str, Any]]]:
    """IKE_SAs by connection, as `swanctl --list-sas` has them, decoded."""
    found: dict[str, list[dict[str, Any]]] = {}
    with charon(gateway) as session:
        for message in session.list_sas():
            for name, sa in message.items():
                found.setdefault(name, []).append(decoded(sa))
    note(gateway.public, "swanctl --list-sas", _listing(found))
    return found


def decoded(value: Any) -> Any:
    """Return a value of a VICI message with text in the place of bytes."""
    if isinstance(value, dict):
        return {key: decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _listing(found: dict[str, list[dict[str, Any]]]) -> str:
    lines = []
    for name, sas in found.items():
        for sa in sas:
            ends = f"{sa['local-host']}[{sa['local-id']}]...{sa['remote-host']}[{sa['remote-id']}]"
            lines.append(f"{name}: #{sa['uniqueid']}, {sa['state']}, IKEv{sa['version']}, {ends}")
            lines += [f"  {_child(child)}" for child in sa.get("child-sas", {}).values()]
    return "\n".join(lines)


def _child(child: dict[str, Any]) -> str:
    algorithms = "/".join(
        child[key] for key in ("encr-alg", "encr-keysize", "integ-alg", "esn") if child.get(key)
    )
    selectors = f"{' '.join(child.get('local-ts', ()))} === {' '.join(child.get('remote-ts', ()))}"
    marks = f"marks {child.get('mark-in', '-')}/{child.get('mark-out', '-')}"
    return (
        f"{child['name']}: #{child['uniqueid']}, {child['state']}, {child['mode']}, "
        f"ESP:{algorithms}, {marks}, {selectors}"
    )


def children(sas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All CHILD_SAs of IKE_SAs."""
    return [child for sa in sas for child in sa.get("child-sas", {}).values()]


def status(gateway: Gateway) -> dict[str, Any]:
    """vtid's own view of a gateway."""
    return dict(json.loads(observe.control(gateway, "/v1/status")))


def packets(netns: str) -> dict[str, tuple[int, int]]:
    """Packets received and sent by each interface of a namespace."""
    with inside(netns):
        lines = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
    rows = (line.replace(":", " ").split() for line in lines)
    return {row[0]: (int(row[2]), int(row[10])) for row in rows}


def interfaces(netns: str) -> set[str]:
    """Names of the interfaces of a namespace."""
    return set(packets(netns))
