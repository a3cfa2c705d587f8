"""Who can do what on a gateway: each attempt of the table in docs/security.md, as that user.

vtid, charon and BIRD are services of a real systemd; see tests/test_systemd_lab.py.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.systemd import Manager, booted
from tests.test_systemd_lab import BEGIN, WHOLE, answers, configure

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

NOBODY, OPERATOR, ROUTER = "nobody", "vtid", "bird"
"""Users in no group, and in the groups of vtid's control socket and of BIRD's."""

PYTHON = f"{sys.executable} -S -c"
GET = f'{PYTHON} "import urllib.request as u; u.urlopen(\\"http://127.0.0.1:14814/{{}}\\"{{}})"'


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that a local user may try, and who of them can."""

    what: str
    command: str
    by: frozenset[str] = frozenset()


ATTEMPTS = (
    Attempt("reads metrics", GET.format("metrics", ""), frozenset((NOBODY, OPERATOR, ROUTER))),
    Attempt("commands vtid by its metrics address", GET.format("v1/flush", ', b""')),
    Attempt("uses the control socket", "vtictl status", frozenset((OPERATOR,))),
    Attempt("reads the configuration", "cat /etc/vtid/vtid.toml", frozenset((OPERATOR,))),
    Attempt("writes the configuration", "touch /etc/vtid/vtid.toml"),
    Attempt("puts a file beside it", "touch /etc/vtid/other"),
    Attempt("reads BIRD's file", "cat /var/lib/vtid/bird/main.conf", frozenset((ROUTER,))),
    Attempt("writes BIRD's file", "touch /var/lib/vtid/bird/main.conf"),
    Attempt("puts a file beside BIRD's", "touch /var/lib/vtid/bird/other.conf"),
    Attempt("reads passwords", "vtictl bird render --passwords", frozenset((OPERATOR,))),
    Attempt(
        "controls charon", "swanctl --stats --uri unix:///run/charon.vici", frozenset((OPERATOR,))
    ),
    Attempt("controls BIRD", "birdc show status | grep -q 'Router ID'", frozenset((ROUTER,))),
    Attempt("takes the control socket's place", "mv /run/vtid/control.sock /run/vtid/old"),
    Attempt("signals vtid", "kill -HUP {pid}"),
    Attempt("reads vtid's memory", "cat /proc/{pid}/environ"),
    Attempt("changes an interface", "ip link set vti4 mtu 1300"),
    Attempt("changes the clamp", "nft flush ruleset"),
)


@pytest.fixture(scope="module")
def systemd() -> Iterator[Manager]:
    with booted(BEGIN) as manager:
        for service in ("strongswan", "bird"):
            manager.run("systemctl", "start", service)
        configure(manager, WHOLE.format(netns=""))
        manager.eventually(
            lambda: answers(manager, ("cat", "/var/lib/vtid/bird/main.conf"), "vti4")
        )
        yield manager


def can(systemd: Manager, user: str, command: str) -> bool:
    """Whether a user of the machine, in that group alone, succeeds with a command."""
    groups = ("--clear-groups",) if user == NOBODY else ("--groups", user)
    words = command.replace("{pid}", systemd.show("MainPID"))
    script = f"PATH=$PATH:/usr/local/bin; {words} >/dev/null 2>&1 && echo yes || echo no"
    ids = ("--reuid=65534", "--regid=65534", *groups, "--inh-caps=-all")
    said = systemd.run("setpriv", *ids, "sh", "-c", script)
    assert said in {"yes", "no"}, said
    return said == "yes"


@pytest.mark.parametrize("user", [NOBODY, OPERATOR, ROUTER])
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.what)
def test_a_local_user(systemd: Manager, attempt: Attempt, user: str) -> None:
    assert can(systemd, user, attempt.command) == (user in attempt.by)


@pytest.mark.parametrize(
    "command",
    [
        "touch /usr/x",
        "touch /etc/x",
        "touch /etc/vtid/vtid.toml",
        "ls /proc/1/environ",
        "mount -t tmpfs tmpfs /tmp",
        "unshare --user true",
        "dmesg",
    ],
)
def test_who_takes_over_vtid(systemd: Manager, command: str) -> None:
    """In vtid's own sandbox, as its user, with its capabilities: what systemd keeps out."""
    assert _sandboxed(systemd, "touch /var/lib/vtid/x && echo yes") == "yes"
    assert _sandboxed(systemd, f"{command} >/dev/null 2>&1 && echo yes || echo no") == "no"


def _sandboxed(systemd: Manager, script: str) -> str:
    """Run a script as a service with the sandbox of vtid's unit; return what it prints.

    systemd-run would need D-Bus for that.
    """
    vtid = systemd.run("cat", "/etc/systemd/system/vtid.service").splitlines()
    lines = (
        "[Unit]",
        "StartLimitIntervalSec=0",
        "[Service]",
        "Type=oneshot",
        *vtid[vtid.index("User=vtid") : vtid.index("[Install]")],
        "StateDirectory=vtid",
        "StandardOutput=truncate:/run/said",
        f"ExecStart=/bin/sh -c '{script}'",
    )
    place = Path(f"/proc/{systemd.pid}/root/etc/systemd/system/sandboxed.service")
    place.write_text("\n".join((*lines, "")))
    systemd.run("systemctl", "daemon-reload")
    systemd.run("systemctl", "start", "sandboxed")
    return systemd.run("cat", "/run/said")
