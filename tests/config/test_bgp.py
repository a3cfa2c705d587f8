from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.config.test_load import BIRD, TUNNEL, found, tunnel
from vtid.config.load import load
from vtid.config.tables import written

if TYPE_CHECKING:
    from vtid.config.bgp import Bgp
    from vtid.config.keys import Config

SESSION = '[tunnel.bgp]\nneighbor = "2001:db8:ff::1"\nlocal_as = 65001\nremote_as = 65002\n'
FIRST = "tunnel[0].bgp"


def session(line: str) -> Bgp:
    return tunnel(SESSION, line, BIRD).bgp[0]


@pytest.mark.parametrize(
    ("key", "value", "parsed"),
    [
        ("import_limit", "1000", 1000),
        ("limit_action", '"block"', "block"),
        ("local_preference", "0", 0),
        ("next_hop_self", "false", False),
        ("next_hop", '"2001:DB8::1"', ("2001:db8::1",)),
        ("multihop", "255", 255),
        ("role", '"rs_client"', "rs_client"),
        ("bfd", "true", True),
        ("graceful_restart", '"aware"', "aware"),
        ("graceful_restart", "false", False),
        ("passive", "true", True),
        ("hold_time", '"3s"', 3),
        ("hold_time", "65535", 65535),
        ("keepalive_time", '"1m"', 60),
        ("error_wait_time", '["1s", 30]', (1, 30)),
        ("local_address", '"2001:DB8::1"', "2001:db8::1"),
    ],
)
def test_good_values(key: str, value: str, parsed: object) -> None:
    assert getattr(session(f"{key} = {value}"), key) == parsed


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("import_limit = 0", "has to be 1 or more"),
        ("receive_limit = '7'", "has to be a whole number"),
        ("export_limit = 4294967296", "has to be 4294967295 or less"),
        ("limit_action = 'panic'", "'warn', 'block', 'restart' or 'disable'"),
        ("local_preference = -1", "has to be 0 or more"),
        ("next_hop_self = 'ibgp'", "has to be true or false"),
        ("next_hop = 7", "has to be an address, or one of each family"),
        ("next_hop = ['192.0.2.1', '192.0.2.2']", "there is one next hop for each family"),
        ("next_hop = 'ff02::1'", "no address of a single host"),
        ("next_hop = 'here'", "'here' is not an IP address"),
        ("multihop = 0", "has to be 1 or more"),
        ("role = 'boss'", "'provider', 'rs_server', 'rs_client', 'customer' or 'peer'"),
        ("bfd = 1", "has to be true or false"),
        ("graceful_restart = 1", '1 is not true, false or "aware"'),
        ("hold_time = 2", "2s is not a BGP hold time: whole seconds from 3s to 65535s"),
        ("hold_time = '3500ms'", "3.5s is not a BGP hold time"),
        ("keepalive_time = '500ms'", "'500ms' is not whole seconds from 1s to 65535s"),
        ("connect_retry_time = 'soon'", "'soon' is not a duration"),
        ("connect_delay_time = '19h'", "from 1s to 65535s"),
        ("error_wait_time = '1s'", "an array of the least and the longest wait"),
        ("error_wait_time = [1]", "an array of the least and the longest wait"),
        ("error_wait_time = [2, 1]", "the least wait, 2s, is longer than the longest, 1s"),
        ("error_wait_time = [1, true]", "True is not a duration"),
        ("local_address = '::1/64'", "is not an IP address"),
        ("local_address = '192.0.2.1'", "192.0.2.1 and 2001:db8:ff::1 are of two families"),
        ('on_down = "disable"', '"disable" and present = "up" exclude each other'),
        ('present = "always"\non_down = "delete"', "exclude each other"),
        ("hold_time = 6\nkeepalive_time = 6", "has to be less than the hold time of 6s"),
    ],
)
def test_bad_values(line: str, says: str) -> None:
    key = line.rpartition("\n")[2].partition(" ")[0]
    assert says in found(TUNNEL + SESSION + line + BIRD)[f"{FIRST}.{key}"]


def test_a_link_local_neighbour_is_one_hop_away() -> None:
    text = TUNNEL + SESSION.replace("2001:db8:ff::1", "fe80::1") + "multihop = 2" + BIRD
    assert "fe80::1 is on the link" in found(text)[f"{FIRST}.multihop"]


def test_roles_are_for_two_systems() -> None:
    text = TUNNEL + SESSION.replace("65002", "65001") + 'role = "peer"' + BIRD
    assert "both sides are AS 65001" in found(text)[f"{FIRST}.role"]


def test_always_is_for_a_plain_interface() -> None:
    assert session('present = "always"').present == "always"
    text = TUNNEL.replace("vti1", "vti{mark}") + SESSION + 'present = "always"' + BIRD
    assert "'vti{mark}' is named after an SA" in found(text)[f"{FIRST}.present"]


def test_a_next_hop_is_for_a_family_that_the_session_has() -> None:
    text = TUNNEL + SESSION + 'families = ["ipv6"]\nnext_hop = "192.0.2.1"' + BIRD
    assert "192.0.2.1 is ipv4, and the session has" in found(text)[f"{FIRST}.next_hop"]


def test_there_can_be_a_next_hop_for_each_family() -> None:
    lines = 'families = ["ipv4", "ipv6"]\nnext_hop = ["192.0.2.1", "2001:db8::1"]'
    assert session(lines).next_hop == ("192.0.2.1", "2001:db8::1")


def test_bird_1_6_has_no_next_hop() -> None:
    text = TUNNEL + SESSION + 'next_hop = "2001:db8::1"' + BIRD + 'template = "bgp-1.6"'
    assert "BIRD 1.6 has no `next hop address`" in found(text)[f"{FIRST}.next_hop"]


def test_bird_1_6_has_no_roles() -> None:
    text = TUNNEL + SESSION + 'role = "peer"' + BIRD + 'template = "bgp-1.6"'
    assert "BIRD 1.6 has no roles" in found(text)[f"{FIRST}.role"]


@pytest.mark.parametrize("value", ["''", "'top\"most'", "'topmöst'", f"'{'topmost' * 12}'", "47"])
def test_an_error_does_not_repeat_the_password(value: str) -> None:
    message = found(TUNNEL + SESSION + f"password = {value}" + BIRD)[f"{FIRST}.password"]
    assert not any(part in message for part in ("top", "47"))


@pytest.mark.parametrize("table", [SESSION, f"{SESSION}[defaults.bgp]\n"])
def test_a_password_is_not_shown(table: str) -> None:
    config: Config = load(TUNNEL + table + 'password = "top; most}"' + BIRD)
    password = config.policies[0].bgp[0].password
    assert password
    assert password.text == "top; most}"
    assert "most" not in repr(config)
    assert "most" not in json.dumps(written(config, whole=True))
