"""Keys of `[tunnel.probe]`: what they take, what they refuse, and what they have from defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.test_load import TUNNEL, found, tunnel
from vtid.config.load import load

if TYPE_CHECKING:
    from vtid.config.probe import Probe


def probe(*lines: str) -> Probe:
    return tunnel("[tunnel.probe]", *lines).probe


def test_without_a_table_the_mtu_is_probed_and_nothing_else() -> None:
    defaults = tunnel("").probe
    assert (defaults.peer, defaults.mtu, defaults.interval) == ("", True, None)
    assert (defaults.timeout, defaults.count) == (1.0, 3)


@pytest.mark.parametrize(
    ("key", "value", "parsed"),
    [
        ("peer", '"2001:DB8::1"', "2001:db8::1"),
        ("peer", '"fe80::2"', "fe80::2"),
        ("peer", '"{remote_vip}"', "{remote_vip}"),
        ("peer", '""', ""),
        ("mtu", "false", False),
        ("interval", '"1m"', 60.0),
        ("timeout", '"1500ms"', 1.5),
        ("count", "100", 100),
        ("on_fail", '"down"', "down"),
    ],
)
def test_good_values(key: str, value: str, parsed: object) -> None:
    line = f"{key} = {value}"
    interval = [] if key == "interval" else ['interval = "5s"']
    assert getattr(probe(line, *interval), key) == parsed


@pytest.mark.parametrize(
    ("lines", "key", "says"),
    [
        ('peer = "here"', "peer", "'here' is not an IP address"),
        ('peer = "192.0.2.1/24"', "peer", "is not an IP address"),
        ('peer = "ff02::1"', "peer", "no address of a single host"),
        ('peer = "10.0.0.{mark}"', "peer", "a peer is an address, or {remote_vip"),
        ("mtu = 1400", "mtu", "has to be true or false"),
        ('interval = "500ms"', "interval", "less than 1s; BFD is faster"),
        ('timeout = "0s"', "timeout", "less than 1s"),
        ('interval = "soon"', "interval", "is not a duration"),
        ('interval = "2s"\ntimeout = "3s"', "interval", "shorter than the `timeout` of 3s"),
        ('on_fail = "panic"', "on_fail", "'report', 'down' or 'reinitiate'"),
        ('on_fail = "reinitiate"', "on_fail", "needs an `interval`"),
        ('on_fail = "down"', "on_fail", "needs an `interval`"),
        ("count = 0", "count", "has to be 1 or more"),
        ("counts = 1", "counts", 'did you mean "count"?'),
    ],
)
def test_bad_values(lines: str, key: str, says: str) -> None:
    assert says in found(f"{TUNNEL}[tunnel.probe]\n{lines}")[f"tunnel[0].probe.{key}"]


def test_the_peer_is_another_than_we() -> None:
    lines = 'addresses = ["192.0.2.0/31"]\n[tunnel.probe]\npeer = "192.0.2.0"'
    assert "this tunnel's own address" in found(TUNNEL + lines)["tunnel[0].probe.peer"]


def test_there_is_no_one_peer_of_an_interface_for_all() -> None:
    lines = 'remote = "any"\n[tunnel.probe]\npeer = "192.0.2.1"'
    assert "no one peer" in found(TUNNEL + lines)["tunnel[0].probe.peer"]
    assert tunnel('remote = "any"').probe.mtu


def test_defaults_are_merged_key_by_key() -> None:
    text = """
    [defaults.probe]
    interval = "10s"
    count = 5
    [[tunnel]]
    connection = "a"
    interface = "a"
    [tunnel.probe]
    count = 2
    [[tunnel]]
    connection = "b"
    interface = "b"
    """
    first, second = load(text).policies
    assert (first.probe.interval, first.probe.count) == (10.0, 2)
    assert (second.probe.interval, second.probe.count) == (10.0, 5)


def test_a_bad_default_is_told_once() -> None:
    tunnels = "".join(f'[[tunnel]]\nconnection = "c{n}"\ninterface = "i{n}"\n' for n in range(3))
    assert set(found('[defaults.probe]\ntimeout = "never"\n' + tunnels)) == {
        "defaults.probe.timeout"
    }


def test_the_peer_is_no_default() -> None:
    message = found('[defaults.probe]\npeer = "192.0.2.1"')["defaults.probe.peer"]
    assert "belongs to one tunnel" in message
