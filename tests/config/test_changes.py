"""What a reload says of the difference between two configurations."""

from __future__ import annotations

import pytest

from vtid.config.changes import at_next_start, changes, sharing
from vtid.config.keys import Daemon
from vtid.config.load import load
from vtid.config.tables import keys_of

BASE = """
[defaults]
hold_time = 3
[[tunnel]]
connection = "A"
interface = "vti1"
[[tunnel]]
connection = "B"
child = "net"
interface = "vti2"
mtu = 1400
[[bird]]
name = "main"
socket = "/run/bird.ctl"
include = "/etc/bird/vtid.conf"
"""
C = '[[tunnel]]\nconnection = "C*"\ninterface = "vti{mark}"\n'


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (BASE, BASE + "# a remark", []),
        (BASE, BASE + C, ["[[tunnel]] C*/* added"]),
        (BASE + C, BASE, ["[[tunnel]] C*/* removed"]),
        (BASE, BASE.replace("1400", "1300"), ["[[tunnel]] B/net changed: mtu"]),
        (
            BASE,
            BASE.replace("= 3", "= 5"),
            ["[[tunnel]] A/* changed: hold_time", "[[tunnel]] B/net changed: hold_time"],
        ),
        (BASE, BASE.replace("bird.ctl", "b.ctl"), ["[[bird]] main changed: socket"]),
        (
            BASE,
            BASE.replace("main", "other"),
            ["[[bird]] main removed", "[[bird]] other added"],
        ),
        (BASE, '[vici]\nsocket = "/x"\n' + BASE, ["[vici] changed: socket"]),
        (BASE, '[daemon]\nlog_level = "debug"\n' + BASE, ["[daemon] changed: log_level"]),
    ],
)
def test_changes(before: str, after: str, told: list[str]) -> None:
    assert list(changes(load(before), load(after))) == told


OTHER = {
    "control_socket": '"/run/other.sock"',
    "metrics": "[]",
    "log_level": '"debug"',
    "hooks": '"/etc/vtid/hooks.d"',
    "read_only_socket": '"/run/vtid/read.sock"\nread_only_group = "monitoring"',
    "read_only_group": '"monitoring"\nread_only_socket = "/run/vtid/read.sock"',
}
"""Another value for each key of `[daemon]`, with what it needs beside it."""

AT_ONCE = {"hooks", "log_level"}
"""Keys that a reload takes."""


@pytest.mark.parametrize("key", keys_of(Daemon))
def test_every_key_of_the_daemon_is_told_and_whether_it_needs_a_start(key: str) -> None:
    before, after = load(BASE), load(f"{BASE}[daemon]\n{key} = {OTHER[key]}")
    (told,) = changes(before, after)
    assert key in told.removeprefix("[daemon] changed: ").split(", ")
    assert (f"daemon.{key}" in at_next_start(before.daemon, after.daemon)) == (key not in AT_ONCE)
    assert all(at_next_start(one.daemon, one.daemon) == () for one in (before, after))


def test_what_is_no_table_of_the_daemon_needs_no_start() -> None:
    other = "[vici]\nsocket = '/run/other'\n[metrics]\nhosts = ['a']\n"
    assert at_next_start(load(BASE).daemon, load(other).daemon) == ()


def test_what_a_reload_does_not_change_is_there_once() -> None:
    before, wanted = load(BASE), load(BASE.replace("1400", "1300") + C)
    after = sharing(before, wanted)
    assert after == wanted
    assert [any(one is old for old in before.policies) for one in after.policies] == [
        True,
        False,
        False,
    ]
