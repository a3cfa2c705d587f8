"""Every key of vtid.toml: after a reload all is as after a start, or the reload names the key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.config.test_changes import AT_ONCE
from tests.core.world import World, sa
from tests.daemon.test_access import HASH
from vtid.config.bgp import Bgp
from vtid.config.changes import at_next_start, changes, sharing
from vtid.config.keys import Bird, Config, ConfigLoaded, Defaults, Policy, Vici
from vtid.config.keys import Daemon as DaemonKeys
from vtid.config.load import load
from vtid.config.metrics import Metrics, TlsServerConfig
from vtid.config.probe import Probe
from vtid.config.tables import keys_of
from vtid.daemon.daemon import Daemon
from vtid.daemon.levels import LEVELS
from vtid.http.access import Access
from vtid.model.levels import Level

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

BIRDS = """
[[bird]]
name = "private"
socket = "/run/bird.ctl"
include = "/var/lib/vtid/bird.conf"
[[bird]]
name = "second"
socket = "/run/second.ctl"
include = "/var/lib/vtid/second.conf"
"""
"""Two, so that a session can go from one to the other."""

Keys = dict[str, str]

BASE: dict[str, Keys] = {
    "tunnel": {
        "connection": '"V2-1"',
        "interface": '"vti0"',
        "addresses": '["2001:db8:ff::/127", "169.254.1.0/31"]',
    },
    "probe": {},
    "bgp": {
        "neighbor": '"2001:db8:ff::1"',
        "local_as": "65001",
        "remote_as": "65002",
        "bird": '"private"',
    },
}

ALWAYS = {
    "presence": '"always"',
    "local": '"2001:db8:1::1"',
    "remote": '"2001:db8:2::1"',
    "esp": '"aes256gcm16"',
    "mark": "3",
}

TUNNEL: dict[str, str | Keys] = {
    "connection": '"V2-*"',
    "child": '"n*"',
    "kind": '"xfrm"',
    "interface": '"vti9"',
    "interface_in": {"kind": '"xfrm"', "interface_in": '"in0"'},
    "netns": '"private"',
    "vrf": '"blue"',
    "addresses": '["2001:db8:ff::/127", "169.254.7.0/31"]',
    "mtu": "1400",
    "underlay_mtu": "1400",
    "mss_clamp": "false",
    "routes": '[{to = "2001:db8:7::/48"}]',
    "sysctls": "{ipv4 = {send_redirects = 0}}",
    "hold_time": '"5s"',
    "on_loss": '"withdraw"',
    "on_down": '"down"',
    "initiate": {"initiate": "true", "child": '"net"'},
    "presence": ALWAYS,
    "local": ALWAYS,
    "remote": '"any"',
    "esp": ALWAYS,
    "mark": ALWAYS,
    "mark_in": {**ALWAYS, "mark_in": "3", "mark_out": "3", "mark": ""},
    "mark_out": {**ALWAYS, "mark_in": "3", "mark_out": "3", "mark": ""},
    "if_id": {**ALWAYS, "kind": '"xfrm"', "if_id": "3", "mark": ""},
    "vars": "{community = 7}",
}
"""Another value for each key, with what it needs beside it; "" stands for leaving one out."""

PROBE: dict[str, str | Keys] = {
    "mtu": "false",
    "interval": '"10s"',
    "timeout": '"2s"',
    "count": "5",
    "on_fail": {"on_fail": '"down"', "interval": '"10s"'},
    "peer": '"169.254.1.1"',
}

BGP: dict[str, str | Keys] = {
    "neighbor": '"169.254.1.1"',
    "local_as": "65009",
    "remote_as": "65009",
    "local_address": '"2001:db8:ff::"',
    "name": '"other"',
    "bird": '"second"',
    "present": '"always"',
    "on_down": {"on_down": '"disable"', "present": '"always"'},
    "families": '["ipv6"]',
    "import": '"none"',
    "export": '"all"',
    "import_limit": "1000",
    "receive_limit": "1000",
    "export_limit": "1000",
    "limit_action": {"limit_action": '"block"', "import_limit": "9"},
    "preference": "90",
    "local_preference": "90",
    "next_hop_self": "true",
    "next_hop": '["2001:db8:ff::"]',
    "multihop": {"multihop": "2", "local_address": '"2001:db8:ff::"'},
    "role": '"customer"',
    "password": '"correct horse"',
    "bfd": "true",
    "graceful_restart": "true",
    "passive": "true",
    "hold_time": '"90s"',
    "keepalive_time": '"30s"',
    "connect_retry_time": '"60s"',
    "connect_delay_time": '"2s"',
    "error_wait_time": '["2s", "60s"]',
}
ELSEWHERE = {"password_file"}
"""Tried in tests/daemon/test_password_files.py: `load` takes no files."""

SAS = [sa(1, if_id_in=3, if_id_out=3)]


def text(tables: dict[str, Keys]) -> str:
    titles = {"tunnel": "[[tunnel]]", "probe": "[tunnel.probe]", "bgp": "[tunnel.bgp]"}
    return BIRDS + "".join(
        f"{titles[name]}\n{''.join(f'{k} = {v}' + chr(10) for k, v in keys.items() if v)}"
        for name, keys in tables.items()
    )


def with_other(table: str, key: str, sample: str | Keys) -> Config:
    keys = {key: sample} if isinstance(sample, str) else sample
    return load(text({**BASE, table: BASE[table] | keys}))


def picture(world: World) -> dict[str, Any]:
    """Return what there is, without what tells when it was made."""
    name_of = {place: link.name for place, link in world.links.items()}
    state = world.state
    return {
        "links": {link.name: link for link in world.links.values()},
        "addresses": {name_of[at]: given for at, given in world.addresses.items() if given},
        "routes": {name_of[at]: given for at, given in world.routes.items() if given},
        "clamps": world.clamps,
        "blocks": world.blocks,
        "policies": {tunnel.name: tunnel.policy for tunnel in state.tunnels.values()},
    }


def started(config: Config) -> World:
    world = World(config=config).start(SAS)
    world.pass_time(60.0)
    return world


def reloaded(before: Config, after: Config) -> World:
    world = started(before)
    world.config = sharing(before, after)
    world.tell(ConfigLoaded(world.config))
    for netns in world.state.namespaces():
        world.tell(world.links_in(netns), world.clamps_in(netns))
    world.pass_time(60.0)
    return world


SAMPLES = [
    (table, key, sample)
    for table, samples in (("tunnel", TUNNEL), ("probe", PROBE), ("bgp", BGP))
    for key, sample in samples.items()
]


@pytest.mark.parametrize(("table", "key", "sample"), SAMPLES)
def test_after_a_reload_all_is_as_after_a_start(table: str, key: str, sample: str | Keys) -> None:
    before, after = load(text(BASE)), with_other(table, key, sample)
    assert changes(before, after)
    assert not at_next_start(before.daemon, after.daemon)
    assert picture(reloaded(before, after)) == picture(started(after))


def test_every_key_of_a_tunnel_is_tried() -> None:
    assert keys_of(Policy) - {"probe", "bgp"} == TUNNEL.keys()
    assert keys_of(Probe) == PROBE.keys()
    assert keys_of(Bgp) - ELSEWHERE == BGP.keys()


def test_every_table_is_tried() -> None:
    assert keys_of(Config) == {"daemon", "metrics", "vici", "defaults", "tunnel", "bird"}
    # those of [defaults] are merged into the tunnels
    assert keys_of(Defaults) - {"probe", "bgp"} <= TUNNEL.keys()


# --- what no tunnel has ---------------------------------------------------------------------------

TLS_TITLE = "[metrics.tls_server_config]\n"
CERTIFICATE = 'cert_file = "/c"\nkey_file = "/k"\n'
METRICS = {
    "hosts": 'hosts = ["gw.example.net"]',
    "page": "page = true",
    "disable": 'disable = ["process"]',
    "basic_auth_users": f'[metrics.basic_auth_users]\nprometheus = "{HASH}"',
}
TLS = {
    "cert_file": 'cert_file = "/other"\nkey_file = "/k"',
    "key_file": 'cert_file = "/c"\nkey_file = "/other"',
    "client_ca_file": 'cert_file = "/c"\nkey_file = "/k"\nclient_ca_file = "/other"',
    "client_auth_type": 'cert_file = "/c"\nkey_file = "/k"\nclient_auth_type = "NoClientCert"',
    "min_version": 'cert_file = "/c"\nkey_file = "/k"\nmin_version = "TLS13"',
}
BIRD = {
    "name": BIRDS.replace('"second"', '"third"'),
    "socket": BIRDS.replace("second.ctl", "other.ctl"),
    "include": BIRDS.replace("second.conf", "other.conf"),
    "template": f'{BIRDS}template = "bgp-1.6"\n',
}
OTHERS = [
    ("", '[vici]\nsocket = "/run/other.vici"\n'),
    ("", '[daemon]\nhooks = "/etc/vtid/hooks.d"\n'),
    ("", '[daemon]\nlog_level = "debug"\n'),
    *(("", f"[metrics]\n{line}\n") for line in METRICS.values()),
    *((f"{TLS_TITLE}{CERTIFICATE}", f"{TLS_TITLE}{lines}\n") for lines in TLS.values()),
    *((BIRDS, other) for other in BIRD.values()),
]


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    yield
    LEVELS.reloaded(Level.INFO)


class NoTasks:
    """Begins none of the tasks that it is given."""

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        work.close()
        return asyncio.get_running_loop().create_future()


def idle(config: Config, monkeypatch: pytest.MonkeyPatch) -> tuple[Daemon, list[Access]]:
    """Return a daemon that uses a configuration and runs nothing, and whom it lets in."""
    daemon, let_in = Daemon(config, Path("/nowhere")), list[Access]()
    monkeypatch.setattr(daemon, "_tasks", NoTasks())
    monkeypatch.setattr(daemon._birds, "_tasks", NoTasks())
    monkeypatch.setattr(daemon._server, "use", let_in.append)
    assert list(daemon._use_at_once(config)) == []
    return daemon, let_in


def in_use(daemon: Daemon, let_in: list[Access]) -> dict[str, Any]:
    return {
        "access": let_in[-1],
        "groups": daemon._telemetry.disabled,
        "vici": daemon._charon._socket,
        "hooks": daemon._hooks._folder,
        "levels": LEVELS.status(),
        "birds": {
            name: (bird._socket, bird._pusher.path, bird._content.template.name)
            for name, bird in daemon._birds.running.items()
            if not bird._retiring
        },
    }


@pytest.mark.parametrize(("before", "after"), OTHERS)
async def test_after_a_reload_the_edges_are_as_after_a_start(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = load(before), load(after)
    assert changes(old, new)
    wanted = in_use(*idle(new, monkeypatch))
    daemon, let_in = idle(old, monkeypatch)
    assert in_use(daemon, let_in) != wanted
    assert list(daemon._use_at_once(new)) == []
    assert in_use(daemon, let_in) == wanted


def test_every_key_of_the_other_tables_is_tried() -> None:
    """Those of `[daemon]` that only a start takes are tried in tests/config/test_changes.py."""
    assert keys_of(Metrics) - {"tls_server_config"} == METRICS.keys()
    assert keys_of(TlsServerConfig) == TLS.keys()
    assert keys_of(Bird) == BIRD.keys()
    assert keys_of(Vici) == {"socket"}
    assert AT_ONCE == {"hooks", "log_level"} < keys_of(DaemonKeys)
