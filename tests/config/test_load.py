"""Configuration: what is accepted, and that every error is reported once, with its line."""

import re
import tomllib
from dataclasses import MISSING, FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.config.keys import Config, Policy
from vtid.config.load import ConfigError, Problem, load
from vtid.config.passwords import read_passwords
from vtid.config.tables import Table, default_of, key_of

REFERENCE = Path(__file__).parents[2] / "etc" / "vtid.toml"

TUNNEL = """
[[tunnel]]
connection = "V2-1"
interface = "vti1"
"""

BGP = """
[tunnel.bgp]
neighbor = "fe80::2"
local_as = 65001
remote_as = 65002
"""

BIRD = """
[[bird]]
name = "private"
socket = "/run/bird.private.ctl"
include = "/etc/bird/vtid.private.conf"
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as error:
        load(text)
    return error.value.problems


def found(text: str) -> dict[str, str]:
    """Messages by key; each key once."""
    all_problems = problems(text)
    by_key = {problem.key: problem.message for problem in all_problems}
    assert len(by_key) == len(all_problems), all_problems
    return by_key


def tunnel(*lines: str, before: str = "") -> Policy:
    (only,) = load("\n".join((before, TUNNEL, *lines))).policies
    return only


# --- what is good --------------------------------------------------------------------------------


def test_nothing_is_a_configuration() -> None:
    assert load("") == Config()


def test_the_example_of_the_readme() -> None:
    config = load(
        """
        [[tunnel]]
        connection = "V2-1"
        interface = "vti{mark}"
        addresses = ["2001:db8:ff::0/127", "169.254.1.0/31"]
        [tunnel.bgp]
        neighbor = "2001:db8:ff::1"
        local_as = 65001
        remote_as = 65002
        """
        + BIRD
    )
    (only,) = config.policies
    (session,) = only.bgp
    assert only.addresses == ("2001:db8:ff::/127", "169.254.1.0/31")
    assert (only.child, only.mtu, only.hold_time) == ("*", "auto", 3.0)
    assert session.families == ("ipv4", "ipv6")
    assert session.bird == "private"


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        load("").daemon.log_level = "debug"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('"3s"', 3.0),
        ('"500ms"', 0.5),
        ('"1m"', 60.0),
        ('"1.5h"', 5400.0),
        ('"2 s"', 2.0),
        ("7", 7.0),
        ("0.25", 0.25),
        ('"0s"', 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert tunnel(f"hold_time = {text}").hold_time == seconds


@pytest.mark.parametrize("text", ['"3"', '"3 weeks"', '"-1s"', "-1", "true", "inf", "nan", '"25h"'])
def test_no_durations(text: str) -> None:
    assert "tunnel[0].hold_time" in found(TUNNEL + f"hold_time = {text}")


@pytest.mark.parametrize("mtu", ['"auto"', '"underlay"', "68", "1280", "65535"])
def test_mtu(mtu: str) -> None:
    assert tunnel(f"mtu = {mtu}").mtu == tomllib.loads(f"mtu = {mtu}")["mtu"]


@pytest.mark.parametrize("mtu", ['"1400"', "67", "65536", "true", "1400.0", '"Auto"', "[]"])
def test_no_mtu(mtu: str) -> None:
    assert "tunnel[0].mtu" in found(TUNNEL + f"mtu = {mtu}")


@pytest.mark.parametrize(
    "name",
    [
        "vti0",
        "vti{mark}",
        "x{if_id:x}",
        "ipsec-{mark_in:x}",
        "{connection}",
        "v{mark_in}-{mark_out}",
        "a.b_c@d+e",
        "x" * 15,
    ],
)
def test_interface(name: str) -> None:
    (only,) = load(f'[[tunnel]]\nconnection = "a"\ninterface = "{name}"').policies
    assert only.interface == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "1 to 15"),
        ("x" * 16, "1 to 15"),
        ("verylongname--{mark}{child}", "1 to 15"),
        ("x{if_id:d}", "a format is `:x` (hexadecimal), in {if_id:x}"),
        ("x{child:x}", "a format is `:x` (hexadecimal), in {if_id:x}"),
        ("vti{nark}", "can be in braces"),
        ("vti{}", "can be in braces"),
        ("vti{mark!r}", "can be in braces"),
        ("vti{mark:d}", "a format is"),
        ("vti{mark.real}", "can be in braces"),
        ("vti{mark", "unbalanced"),
        ("vti}", "unbalanced"),
        ("vti/1", "letters, digits"),
        ("vti 1", "letters, digits"),
        ("vti%d", "letters, digits"),
        ("vtí", "letters, digits"),
        ("vti\\n", "letters, digits"),
        ("a{{b", "letters, digits"),
        ("..", "taken"),
        ("all", "taken"),
        ("lo", "taken"),
        ("{remote_id}", "in front, as in"),
        ("{remote_id}-x", "in front, as in"),
    ],
)
def test_no_interface(name: str, says: str) -> None:
    text = f'[[tunnel]]\nconnection = "a"\ninterface = "{name}"'
    assert says in found(text)["tunnel[0].interface"]


@pytest.mark.parametrize(
    ("given_", "canonical"),
    [
        ("2001:DB8:0:0::1/64", "2001:db8::1/64"),
        ("192.0.2.1/255.255.255.252", "192.0.2.1/30"),
        ("192.0.2.0/31", "192.0.2.0/31"),
        ("192.0.2.0/32", "192.0.2.0/32"),
        ("2001:db8::/127", "2001:db8::/127"),
        ("fe80::1/64", "fe80::1/64"),
    ],
)
def test_addresses(given_: str, canonical: str) -> None:
    assert tunnel(f'addresses = ["{given_}"]').addresses == (canonical,)


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1",
        "192.0.2.1/33",
        "192.0.2.0/24",
        "192.0.2.255/24",
        "192.0.2.01/24",
        "2001:db8::/129",
        "fe80::1%eth0/64",
        "ff02::1/128",
        "0.0.0.0/0",
        "::1/128",
        "x/24",
        "",
    ],
)
def test_no_addresses(text: str) -> None:
    assert "tunnel[0].addresses[0]" in found(TUNNEL + f'addresses = ["{text}"]')


@pytest.mark.parametrize("text", ["..", "a/b", "a b", "a\\u0000", "x" * 256])
def test_no_netns(text: str) -> None:
    assert "tunnel[0].netns" in found(TUNNEL + f'netns = "{text}"')


@pytest.mark.parametrize("text", ["0.0.0.0:80", "[::]:9100", "localhost:1", "192.0.2.1:65535"])
def test_listen(text: str) -> None:
    assert load(f'[daemon]\nmetrics = ["{text}"]').daemon.metrics == (text,)


@pytest.mark.parametrize(
    "text", ["80", ":80", "::1:80", "[::1]", "[192.0.2.1]:80", "1.2.3:80", "a b:80", "a:65536"]
)
def test_no_listen(text: str) -> None:
    assert "daemon.metrics[0]" in found(f'[daemon]\nmetrics = ["{text}"]')


@pytest.mark.parametrize("text", ["gw-a", "GW-A.example.net", "*.example.net", "*", "a_b.local"])
def test_host_name(text: str) -> None:
    assert load(f'[metrics]\nhosts = ["{text}"]').metrics.hosts == (text.lower(),)


@pytest.mark.parametrize("text", ["", "a b", "a:80", "*.", "a.*", "**", ".a", "a..b", "[::1]"])
def test_no_host_name(text: str) -> None:
    assert "metrics.hosts[0]" in found(f'[metrics]\nhosts = ["{text}"]')


HASH = "$2y$10$iFE5.lWpxu2ND0aCqiiZTeNQVI9T69qdV20uSMkpdlBMcv0WzSWoO"


NO_CERTIFICATE = 'client_auth_type = "NoClientCert"'


def tls_problem(*lines: str) -> dict[str, str]:
    text = "\n".join(("[metrics.tls_server_config]", *lines))
    return {key.rpartition(".")[2]: message for key, message in found(text).items()}


def test_tls_files() -> None:
    text = '[metrics.tls_server_config]\ncert_file = "/c"\nkey_file = "/k"\nmin_version = "TLS13"'
    read = load(text).metrics.tls_server_config
    assert (read.cert_file, read.key_file, read.min_version) == ("/c", "/k", "TLS13")


@pytest.mark.parametrize(
    ("lines", "key", "says"),
    [
        (['cert_file = "/c"'], "cert_file", "needs `key_file` beside it"),
        (['key_file = "/c"'], "key_file", "needs `cert_file` beside it"),
        (['client_ca_file = "/c"'], "client_ca_file", "needs `cert_file` beside it"),
        (['cert_file = "c"', 'key_file = "/k"'], "cert_file", "'c'"),
        (['min_version = "SSL3"'], "min_version", "'TLS12' or 'TLS13'"),
        (['client_auth_type = "RequestClientCert"'], "client_auth_type", "'NoClientCert'"),
        (['client_auth_type = "VerifyClientCertIfGiven"'], "client_auth_type", "needs `client_ca"),
        (
            ['cert_file = "/c"', 'key_file = "/k"', 'client_ca_file = "/a"', NO_CERTIFICATE],
            "client_auth_type",
            "excludes `client_ca_file`",
        ),
    ],
)
def test_no_tls(lines: list[str], key: str, says: str) -> None:
    assert says in tls_problem(*lines)[key]


def test_users() -> None:
    read = load(f'[metrics.basic_auth_users]\nb = "{HASH}"\n"a b" = "{HASH}"').metrics
    users = read.basic_auth_users
    assert [(name, secret.text) for name, secret in users] == [
        ("a b", HASH),
        ("b", HASH),
    ]
    assert HASH not in repr(read)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('prometheus = "secret"', "prometheus has no bcrypt hash: `htpasswd -nBC 10 prometheus`"),
        (f'prometheus = "{HASH[:-1]}"', "has no bcrypt hash"),
        (f'prometheus = "{HASH.replace("10", "03", 1)}"', "has no bcrypt hash"),
        ("prometheus = 7", "has no bcrypt hash"),
        (f'"a:b" = "{HASH}"', "'a:b' is no user name"),
        (f'"" = "{HASH}"', "'' is no user name"),
    ],
)
def test_no_users(line: str, says: str) -> None:
    message = found(f"[metrics.basic_auth_users]\n{line}")["metrics.basic_auth_users"]
    assert says in message
    assert "secret" not in message


# --- BGP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("addresses", "neighbor", "families"),
    [
        ("[]", "fe80::2", ("ipv6",)),
        ("[]", "192.0.2.2", ("ipv4",)),
        ('["192.0.2.1/30"]', "fe80::2", ("ipv4", "ipv6")),
        ('["192.0.2.1/30"]', "192.0.2.2", ("ipv4",)),
        ('["192.0.2.1/30", "fd00::1/64"]', "fd00::2", ("ipv4", "ipv6")),
    ],
)
def test_families_by_default(addresses: str, neighbor: str, families: tuple[str, ...]) -> None:
    text = f"addresses = {addresses}{BGP}{BIRD}".replace("fe80::2", neighbor)
    assert tunnel(text).bgp[0].families == families


def test_families_as_told() -> None:
    assert tunnel(BGP, 'families = ["ipv4"]', BIRD).bgp[0].families == ("ipv4",)
    assert tunnel(BGP, 'families = ["ipv6", "ipv4"]', BIRD).bgp[0].families == ("ipv4", "ipv6")


def test_several_sessions() -> None:
    second = BGP.replace("fe80::2", "fe80::3") + 'name = "second"\n'
    both = (BGP + second).replace("[tunnel.bgp]", "[[tunnel.bgp]]")
    assert [session.neighbor for session in tunnel(both, BIRD).bgp] == ["fe80::2", "fe80::3"]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("preference = 65536", "preference"),
        ('hold_time = "2s"', "hold_time"),
        ('hold_time = "3500ms"', "hold_time"),
        ("hold_time = 65536", "hold_time"),
        ('import = "a b"', "import"),
        ('export = "where true; }"', "export"),
        ('name = "1st"', "name"),
        (f'name = "{"x" * 65}"', "name"),
        ('families = ["ipx"]', "families[0]"),
    ],
)
def test_no_session_keys(line: str, key: str) -> None:
    assert f"tunnel[0].bgp.{key}" in found(TUNNEL + BGP + line + BIRD)


@pytest.mark.parametrize("number", ["0", "4294967296", '"65001"', "65001.0", "true"])
def test_no_as_number(number: str) -> None:
    assert "tunnel[0].bgp.local_as" in found(TUNNEL + BGP.replace("65001", number) + BIRD)


@pytest.mark.parametrize("neighbor", ["fe80::2%vti1", "fe80::2/64", "ff02::1", "127.0.0.1", "peer"])
def test_no_neighbor(neighbor: str) -> None:
    assert "tunnel[0].bgp.neighbor" in found(TUNNEL + BGP.replace("fe80::2", neighbor) + BIRD)


def test_bird_is_the_only_one_or_named() -> None:
    other = BIRD.replace("private", "public")
    assert tunnel(BGP, BIRD).bgp[0].bird == "private"
    assert tunnel(BGP, 'bird = "public"', BIRD, other).bgp[0].bird == "public"
    assert (
        tunnel(BGP, BIRD, other, before='[defaults.bgp]\nbird = "public"').bgp[0].bird == "public"
    )
    key = "tunnel[0].bgp.bird"
    assert "add one" in found(TUNNEL + BGP)[key]
    assert "name one of 'private', 'public'" in found(TUNNEL + BGP + BIRD + other)[key]
    assert "'publik'" in found(TUNNEL + BGP + 'bird = "publik"' + BIRD + other)[key]


@pytest.mark.parametrize("template", ["bgp", "bgp-1.6", "/etc/vtid/own.j2"])
def test_templates(template: str) -> None:
    assert load(BIRD + f'template = "{template}"').birds[0].template == template


@pytest.mark.parametrize("template", ["", "bgp-1", "own.j2", "../own.j2", "/etc/a\\nb"])
def test_templates_that_are_none(template: str) -> None:
    assert "absolute path" in found(BIRD + f'template = "{template}"')["bird[0].template"]


OLD_BIRD = BIRD + 'template = "bgp-1.6"\n'
OVER_IPV4 = BGP.replace("fe80::2", "169.254.1.2")
DUAL_STACK = 'addresses = ["169.254.1.3/31", "2001:db8::1/64"]'


def test_a_daemon_of_one_family_has_that_of_the_neighbour() -> None:
    assert tunnel(DUAL_STACK, BGP, OLD_BIRD).bgp[0].families == ("ipv6",)
    assert tunnel(DUAL_STACK, OVER_IPV4, OLD_BIRD).bgp[0].families == ("ipv4",)


def test_one_session_with_two_families_is_not_for_bird_1_6() -> None:
    key = "tunnel[0].bgp.families"
    both = 'families = ["ipv4", "ipv6"]'
    assert 'write ["ipv6"] or leave it out' in found(TUNNEL + BGP + both + OLD_BIRD)[key]
    other = 'families = ["ipv6"]'
    assert 'write ["ipv4"]' in found(TUNNEL + OVER_IPV4 + other + OLD_BIRD)[key]


def test_bird_and_bird6_are_two() -> None:
    second = TUNNEL.replace("V2-1", "V2-2").replace("vti{mark}", "b") + OVER_IPV4
    key, message = found(TUNNEL + BGP + second + OLD_BIRD).popitem()
    assert key == "tunnel[1].bgp.bird"
    assert message.endswith("tunnel[0] has ipv6 there: bird and bird6 are a [[bird]] each")


def test_a_bird_with_errors_still_has_its_name() -> None:
    assert set(found(TUNNEL + BGP + BIRD.replace("/etc", "etc"))) == {"bird[0].include"}
    assert set(found(TUNNEL + BGP + BIRD.replace("name", "mane"))) == {
        "bird[0].name",
        "bird[0].mane",
    }


# --- defaults ------------------------------------------------------------------------------------


def test_defaults_are_merged() -> None:
    text = """
    [defaults]
    netns = "private"
    hold_time = "10s"
    interface = "ipsec{mark}"
    [defaults.bgp]
    local_as = 64512
    export = "all"
    [[tunnel]]
    connection = "a"
    hold_time = "1s"
    [tunnel.bgp]
    neighbor = "fe80::2"
    remote_as = 1
    [[tunnel]]
    connection = "b"
    """
    first, second = load(text + BIRD).policies
    assert (first.netns, first.hold_time, first.interface) == ("private", 1.0, "ipsec{mark}")
    assert (first.bgp[0].local_as, first.bgp[0].export_filter) == (64512, "all")
    assert (second.netns, second.hold_time, second.bgp) == ("private", 10.0, ())


def test_errors_in_defaults_are_told_once() -> None:
    text = """
    [defaults]
    mtu = "big"
    kind = "gre"
    mss_clamp = "yes"
    interface = "vti/1"
    [defaults.bgp]
    local_as = 0
    remote_as = 5
    bird = "nobody"
    """
    text += "".join(
        f'[[tunnel]]\nconnection = "c{n}"\n[tunnel.bgp]\nneighbor = "fe80::2"\n' for n in range(3)
    )
    assert set(found(text + BIRD)) == {
        "defaults.mtu",
        "defaults.kind",
        "defaults.mss_clamp",
        "defaults.interface",
        "defaults.bgp.local_as",
    }
    good = text.replace("local_as = 0", "local_as = 7").replace("vti/1", "vti{mark}")
    assert "defaults.bgp.bird" in found(good + BIRD)


@pytest.mark.parametrize("key", ["connection", "addresses"])
def test_what_cannot_be_a_default(key: str) -> None:
    assert "belongs to one tunnel" in found(f'[defaults]\n{key} = "x"')[f"defaults.{key}"]


@pytest.mark.parametrize("key", ["neighbor", "name"])
def test_what_cannot_be_a_default_of_sessions(key: str) -> None:
    assert "belongs to one tunnel" in found(f'[defaults.bgp]\n{key} = "x"')[f"defaults.bgp.{key}"]


# --- several keys --------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ['addresses = ["fd00::1/64"]', BGP + BIRD])
def test_a_small_mtu_takes_ipv6_away(inside: str) -> None:
    message = found(TUNNEL + "mtu = 1279\n" + inside)["tunnel[0].mtu"]
    assert "takes IPv6 away" in message
    assert tunnel("mtu = 1280\n" + inside).mtu == 1280
    assert tunnel("mtu = 1279", 'addresses = ["192.0.2.1/30"]').mtu == 1279


def test_a_small_default_mtu_is_told_once() -> None:
    tunnels = (TUNNEL + 'addresses = ["fd00::1/64"]').replace("1", "{0}").replace("{0}/64", "1/64")
    text = "[defaults]\nmtu = 1000\n" + "".join(tunnels.replace("{0}", str(n)) for n in range(3))
    assert set(found(text)) == {"defaults.mtu"}


def test_the_same_interface_twice() -> None:
    other = TUNNEL.replace("V2-1", "V2-2")
    assert set(found(TUNNEL + other)) == {"tunnel[1].interface"}
    assert load(TUNNEL + other + 'netns = "x"')
    template = (TUNNEL + other).replace("vti1", "vti{mark}")
    assert load(template)


def test_the_same_patterns_twice() -> None:
    other = TUNNEL.replace("vti1", "vti2")
    assert set(found(TUNNEL + other)) == {"tunnel[1].connection"}
    assert load(TUNNEL + other + 'child = "net"')


@pytest.mark.parametrize("key", ["name", "socket", "include"])
def test_birds_are_apart(key: str) -> None:
    line = next(line for line in BIRD.splitlines() if line.startswith(key))
    other = BIRD.replace("private", "public")
    other = re.sub(rf"^{key} = .*$", line, other, flags=re.MULTILINE)
    assert set(found(BIRD + other)) == {f"bird[1].{key}"}


def test_include_files_are_compared_as_paths() -> None:
    other = BIRD.replace("private", "public").replace(
        "/etc/bird/vtid.public", "/etc/bird/../bird//vtid.private"
    )
    assert set(found(BIRD + other)) == {"bird[1].include"}


def test_sessions_are_apart() -> None:
    named = BGP + 'name = "up"\n'
    other = TUNNEL.replace("V2-1", "V2-2").replace("vti1", "vti2") + named
    assert set(found(TUNNEL + named + other + BIRD)) == {"tunnel[1].bgp.name"}
    twice = (BGP + BGP).replace("[tunnel.bgp]", "[[tunnel.bgp]]")
    assert set(found(TUNNEL + twice + BIRD)) == {"tunnel[0].bgp[1].neighbor"}
    unnamed = (BGP + BGP.replace("fe80::2", "fe80::3")).replace("[tunnel.bgp]", "[[tunnel.bgp]]")
    clash = "'vtid_vti1_v6' is already a session of tunnel[0]; give this one a `name`"
    assert found(TUNNEL + unnamed + BIRD) == {"tunnel[0].bgp[1].name": clash}
    elsewhere = TUNNEL.replace("V2-1", "V2-2") + 'netns = "red"\n' + BGP
    assert found(TUNNEL + BGP + elsewhere + BIRD) == {"tunnel[1].bgp.name": clash}
    by_mark = (TUNNEL + BGP + elsewhere + BIRD).replace("vti1", "vti{mark}")
    assert len(load(by_mark).policies) == 2
    own = TUNNEL + 'addresses = ["fe80::2/64"]' + BGP + BIRD
    assert "own address" in found(own)["tunnel[0].bgp.neighbor"]
    assert (
        "there twice"
        in found(TUNNEL + 'addresses = ["fd00::1/64", "fd00:0::1/64"]')["tunnel[0].addresses[1]"]
    )


# --- how errors read -----------------------------------------------------------------------------


def test_every_error_with_key_and_line() -> None:
    text = """\
[deamon]
x = 1
[daemon]
log_level = "loud"
metrics = [
  "127.0.0.1:9100",
  "nope",
]
[[tunnel]]
connection = "a"
interfase = "vti1"
bgp = { neighbor = "fe80::1%x", local_as = 1, remote_as = 0 }
[[tunnel]]
connection = ""
interface = "vti2"
[bird]
name = "x"
"""
    with pytest.raises(ConfigError) as error:
        load(text)
    assert (
        error.value.format("/etc/vtid.toml") + "\n"
        == """\
/etc/vtid.toml:1: deamon: unknown key; did you mean "daemon"?
/etc/vtid.toml:4: daemon.log_level: has to be 'debug', 'info', 'warning' or 'error'
/etc/vtid.toml:7: daemon.metrics[1]: 'nope' is not "address:port" or "[IPv6 address]:port"
/etc/vtid.toml:9: tunnel[0].interface: is missing
/etc/vtid.toml:11: tunnel[0].interfase: unknown key; did you mean "interface"?
/etc/vtid.toml:12: tunnel[0].bgp.neighbor: 'fe80::1%x' has an interface name, which is the tunnel's
/etc/vtid.toml:12: tunnel[0].bgp.remote_as: has to be 1 or more
/etc/vtid.toml:14: tunnel[1].connection: '' matches no name: write one, or a glob like "site-*"
/etc/vtid.toml:16: bird: has to be an array of tables: write [[bird]]
"""
    )
    assert str(error.value).splitlines()[0].startswith("line 1: deamon: ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb ==", "f:2:4: not TOML: Invalid value"),
        ("a = 1\n\n[x", "f:3: not TOML: Expected ']' at the end of a table declaration"),
        ("a = 1\na = 2\n", "f:2:6: not TOML: Cannot overwrite a value"),
        ("a = '" + "\x01'", "f:1:6: not TOML"),
        ("a = " + "9" * 5000, "f:1: not TOML"),
        ("a = " + "[" * 5000, "f: not TOML that can be read: nested too deep"),
    ],
)
def test_no_toml(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(text)
    assert error.value.format("f").startswith(line)


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("daemon = 3", "daemon", "has to be a table"),
        ("tunnel = [1]", "tunnel[0]", "has to be a table"),
        ("defaults = 1", "defaults", "has to be a table"),
        ("[defaults]\nbgp = 1", "defaults.bgp", "has to be a table"),
        ("[daemon]\nmetrics = 'x'", "daemon.metrics", "has to be an array"),
        ("[vici]\nsocket = 1979-05-27", "vici.socket", "has to be a string"),
        ("[vici]\nsocket = 'run/x'", "vici.socket", "not an absolute path"),
        (f"[vici]\nsocket = '/{'x' * 107}'", "vici.socket", "107 bytes"),
        ("[vici]\nzzzz = 1", "vici.zzzz", "unknown key; known here: socket"),
        ("'a b' = 1", "'a b'", "unknown key"),
        (TUNNEL + "bgp = 1", "tunnel[0].bgp", "has to be an array"),
        (TUNNEL + "bgp = [1]", "tunnel[0].bgp[0]", "has to be a table"),
    ],
)
def test_wrong_types(text: str, key: str, says: str) -> None:
    assert says in found(text)[key]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value % 2**40)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    text = value or ""
    return '"' + "".join(f"\\U{ord(c):08x}" for c in text if not 0xD800 <= ord(c) < 0xE000) + '"'


def complaints(text: str) -> tuple[Problem, ...]:
    try:
        load(text)
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('read_only_socket = "/r"', "daemon.read_only_socket: needs `read_only_group` beside it"),
        ('read_only_group = "g"', "daemon.read_only_group: needs `read_only_socket` beside it"),
        (
            'control_socket = "/r"\nread_only_socket = "/r"\nread_only_group = "g"',
            "daemon.read_only_socket: /r is the control socket: choose another place",
        ),
        (
            'read_only_socket = "/r"\nread_only_group = "a b"',
            "daemon.read_only_group: 'a b' is not the name or the number of a group",
        ),
    ],
)
def test_a_read_only_socket_needs_a_group_and_a_place(lines: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"[daemon]\n{lines}")
    assert problem in str(error.value)
    good = load('[daemon]\nread_only_socket = "/r"\nread_only_group = "1001"').daemon
    assert (good.read_only_socket, good.read_only_group) == ("/r", "1001")


@given(st.sampled_from(["daemon", "vici", "defaults", "tunnel", "bird", "x"]), values, values)
def test_whatever_it_is_it_loads_or_is_refused(key: str, value: object, inner: object) -> None:
    for text in (
        f"{key} = {toml(value)}\n",
        f"[[tunnel]]\nbgp = {toml(inner)}\naddresses = {toml(value)}\nnetns = {toml(inner)}\n",
        TUNNEL + f"bgp = {toml(inner)}",
        f"[defaults]\nbgp = {toml(value)}",
    ):
        assert all(problem.line and problem.message for problem in complaints(text))


# --- before the SA, and for several peers ---------------------------------------------------------

ALWAYS = """
presence = "always"
local = "192.0.2.1"
remote = "192.0.2.2"
mark = 42
esp = "aes128-sha256"
"""


def test_an_interface_that_is_always_there() -> None:
    always = tunnel(ALWAYS)
    assert (always.presence, always.local, always.remote) == ("always", "192.0.2.1", "192.0.2.2")
    assert tunnel(ALWAYS.replace("mark = 42", "mark_in = 42\nmark_out = 1337")).mark_out == 1337
    assert tunnel(ALWAYS.replace('"192.0.2.2"', '"any"')).remote == "any"
    xfrm = ALWAYS.replace("mark = 42", 'kind = "xfrm"\nif_id = 7')
    assert tunnel(xfrm).if_id == 7


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        (ALWAYS.replace("mark = 42", "mark_in = 42"), "mark", "needs the mark"),
        (ALWAYS.replace("mark = 42", 'kind = "xfrm"'), "if_id", "needs the if_id"),
        (ALWAYS.replace("local", "#"), "local", "needs our outer address"),
        (ALWAYS.replace("remote", "#"), "remote", "needs the outer address of the peer"),
        (ALWAYS.replace("esp", "#"), "esp", "computes the MTU from it"),
        (ALWAYS.replace("192.0.2.2", "2001:db8::2"), "remote", "not of the family of 192.0.2.1"),
        (ALWAYS.replace("192.0.2.2", "some"), "remote", '"any" for all peers'),
        (ALWAYS.replace("aes128", "aes127"), "esp", "aes127"),
        (ALWAYS.replace("42", "0"), "mark", "1 or more"),
        (ALWAYS + 'on_down = "down"', "on_down", "exclude each other"),
        ("mark = 42", "mark", "comes from the SA"),
        ('remote = "192.0.2.2"', "remote", "comes from the SA"),
        ("initiate = true", "child", "needs the name itself"),
    ],
)
def test_what_an_interface_that_is_always_there_needs(lines: str, key: str, words: str) -> None:
    assert words in found(TUNNEL + lines)[f"tunnel[0].{key}"]


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ('addresses = ["10.0.0.1 peer {remote_ip}/32"]', "addresses[0]", "{remote_vip}, {remote_"),
        ('addresses = ["10.0.0.1 peer {remote_vip6}/32"]', "addresses[0]", "no address whatever"),
        ('addresses = ["{remote_vip"]', "addresses[0]", "unbalanced"),
        ('addresses = ["{remote_vip!r}/32"]', "addresses[0]", "can be in braces"),
        ('remote = "any"\naddresses = ["{remote_vip}/32"]', "addresses", "no one SA"),
        (ALWAYS + 'addresses = ["{remote_vip}/32"]', "addresses", "is not known with"),
    ],
)
def test_addresses_from_an_sa(line: str, key: str, words: str) -> None:
    assert words in found(TUNNEL + line)[f"tunnel[0].{key}"]


SESSION = "[tunnel.bgp]\nlocal_as = 1\nremote_as = 2\n"
A_BIRD = '[[bird]]\nname = "b"\nsocket = "/run/b.ctl"\ninclude = "/etc/b.conf"\n'


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        (SESSION + 'neighbor = "{remote_vip}"', "bgp.neighbor", "{remote_vip4} or {remote_vip6}"),
        (SESSION + 'neighbor = "fe80::{mark}"', "bgp.neighbor", "is an address, or"),
        (SESSION + 'neighbor = "{remote_vip4}"\npresent = "always"', "bgp.present", "not known"),
        ('remote = "any"\n' + SESSION + 'neighbor = "{remote_vip4}"', "bgp", "no one SA"),
        (ALWAYS + SESSION + 'neighbor = "{remote_vip6}"', "bgp", "is not known with"),
        ("mtu = 1200\n" + SESSION + 'neighbor = "{remote_vip6}"', "mtu", "too small for"),
    ],
)
def test_a_neighbor_from_an_sa(lines: str, key: str, words: str) -> None:
    assert words in found(f"{A_BIRD}{TUNNEL}{lines}")[f"tunnel[0].{key}"]


@pytest.mark.parametrize("line", ['presence = "always"', 'remote = "any"'])
def test_what_is_there_before_an_sa_is_not_named_after_one(line: str) -> None:
    text = TUNNEL.replace('"vti1"', '"vti{mark}"') + line
    assert any("named after an SA" in message for message in found(text).values())


# --- the reference configuration -----------------------------------------------------------------


def uncommented() -> str:
    """The reference with every key that is commented out."""
    return re.sub(r"^#(\w+ = )", r"\1", REFERENCE.read_text(), flags=re.MULTILINE)


def loaded() -> Config:
    """The reference with every key, but for one of those that exclude each other."""
    return load(uncommented().replace("\npassword = ", "\n#password = "))


def plain_keys(table: Table) -> set[str]:
    """Keys of a table as the file has them; no tables but the settings, which fit on a line."""
    return {
        key_of(field)
        for field in fields(table)  # type: ignore[arg-type]
        if not isinstance(getattr(table, field.name), Table) or field.name == "sysctls"
    }


def test_the_reference_is_good_as_it_is_and_uncommented() -> None:
    as_it_is = load(REFERENCE.read_text())
    assert as_it_is.daemon == Config().daemon
    assert as_it_is.metrics == Config().metrics
    assert as_it_is.vici == Config().vici
    assert as_it_is.defaults == Config().defaults
    all_keys = loaded()
    socket, group = "/run/vtid/read.sock", "monitoring"
    daemon = replace(Config().daemon, read_only_socket=socket, read_only_group=group)
    assert replace(all_keys.daemon, hooks=None) == daemon
    assert all_keys.vici == Config().vici
    ((user, _),) = all_keys.metrics.basic_auth_users
    assert user == "prometheus"


def test_the_reference_has_every_key_with_its_default() -> None:
    document = tomllib.loads(uncommented())
    config = loaded()
    tables = [
        (document["daemon"], config.daemon),
        (document["metrics"], config.metrics),
        (document["metrics"]["tls_server_config"], config.metrics.tls_server_config),
        (document["vici"], config.vici),
        (document["defaults"], config.defaults),
        (document["defaults"]["bgp"], config.defaults.bgp),
        (document["defaults"]["probe"], config.defaults.probe),
        (document["bird"][0], config.birds[0]),
    ]
    for written, table in tables:
        apart = {"bgp", "probe", "tls_server_config", "basic_auth_users"}
        assert set(written) - apart == plain_keys(table) - apart
        for field in fields(table):  # type: ignore[arg-type]
            default = default_of(field)
            if field.name not in apart and default not in (MISSING, None):
                assert getattr(table, field.name) == default, field.name


def test_the_reference_has_every_key_of_a_tunnel() -> None:
    document = tomllib.loads(uncommented())
    in_tunnels = {key for table in document["tunnel"] for key in table}
    tunnel_keys = in_tunnels | document["defaults"].keys()
    session_keys = document["tunnel"][0]["bgp"].keys() | document["defaults"]["bgp"].keys()
    probe_keys = document["tunnel"][0]["probe"].keys() | document["defaults"]["probe"].keys()
    only = loaded().policies[0]
    assert tunnel_keys - {"probe"} == plain_keys(only)
    assert probe_keys == plain_keys(only.probe)
    assert session_keys == plain_keys(only.bgp[0])
    assert only.addresses == ()
    assert only.bgp[0].name == ""


def test_the_metrics_port_is_no_exporter_of_prometheus() -> None:
    (listen,) = Config().daemon.metrics
    assert not 9090 <= int(listen.rpartition(":")[2]) <= 9999


# --- what comes with the interface ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "canonical"),
    [
        ("10.0.0.1 peer 10.0.0.2/32", "10.0.0.1 peer 10.0.0.2/32"),
        ("10.0.0.1 peer 10.0.0.2", "10.0.0.1 peer 10.0.0.2/32"),
        ("2001:DB8::1 peer 2001:db8:0::2/64", "2001:db8::1 peer 2001:db8::2/64"),
        ("fe80::1/64", "fe80::1/64"),
    ],
)
def test_addresses_with_a_peer_and_link_local_ones(given_: str, canonical: str) -> None:
    assert tunnel(f'addresses = ["{given_}"]').addresses == (canonical,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.1/32 peer 10.0.0.2/32", "the prefix length belongs to the peer"),
        ("10.0.0.1 peer 10.0.0.1/32", "another address of the same family"),
        ("10.0.0.1 peer 2001:db8::1/64", "another address of the same family"),
        ("10.0.0.1 peer site", "is not an IP address"),
        ("x peer 10.0.0.1/32", "10.0.0.1 peer 10.0.0.2/32"),
        ("10.0.0.1 peer 224.0.0.1/32", "no address of a single host"),
    ],
)
def test_no_addresses_with_a_peer(text: str, words: str) -> None:
    assert words in found(TUNNEL + f'addresses = ["{text}"]')["tunnel[0].addresses[0]"]


def test_the_neighbour_may_be_the_peer_of_an_address() -> None:
    own = TUNNEL + 'addresses = ["10.0.0.1 peer 10.0.0.2/32"]' + BGP + BIRD
    assert load(own.replace("fe80::2", "10.0.0.2")).policies[0].bgp[0].neighbor == "10.0.0.2"
    assert "own address" in found(own.replace("fe80::2", "10.0.0.1"))["tunnel[0].bgp.neighbor"]


def test_routes() -> None:
    assert tunnel().routes == ()
    (all_,) = tunnel('routes = "remote-ts"').routes
    assert (all_.to, all_.metric, all_.table) == ("remote-ts", None, None)
    written = '[{to = "10.1.0.0/16", metric = 7, table = 9}, {to = "::/0"}]'
    one, other = tunnel(f"routes = {written}").routes
    assert (one.to, one.metric, one.table) == ("10.1.0.0/16", 7, 9)
    assert (other.to, other.metric) == ("::/0", None)
    assert tunnel('routes = [{to = "10.1.0.1"}]').routes[0].to == "10.1.0.1/32"


@pytest.mark.parametrize(
    ("routes", "key", "words"),
    [
        ('"local-ts"', "routes", 'is not "remote-ts", nor an array'),
        ('[{to = "10.1.0.1/16"}]', "routes[0].to", 'write "10.1.0.0/16"'),
        ('[{to = "site"}]', "routes[0].to", "is not a prefix"),
        ("[{metric = 1}]", "routes[0].to", "is missing"),
        ('[{to = "::/0", metric = 0}]', "routes[0].metric", "1 or more"),
        ('[{to = "::/0", table = 255}]', "routes[0].table", "kernel's own"),
        ('[{to = "::/0", via = "::1"}]', "routes[0].via", "known here: metric, table, to"),
        ('[{to = "::/0"}, {to = "::/0"}]', "routes[1].to", "is there twice"),
    ],
)
def test_no_routes(routes: str, key: str, words: str) -> None:
    assert words in found(TUNNEL + f"routes = {routes}")[f"tunnel[0].{key}"]


def test_settings() -> None:
    assert tunnel().sysctls.all() == ()
    text = "sysctls = {ipv6 = {accept_ra = 0}, ipv4 = {send_redirects = 0, rp_filter = 2}}"
    assert tunnel(text).sysctls.all() == (
        ("ipv4.rp_filter", 2),
        ("ipv4.send_redirects", 0),
        ("ipv6.accept_ra", 0),
    )


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("{ipv4 = {send_redirect = 0}}", "sysctls.ipv4", "did you mean 'send_redirects'?"),
        ("{ipv4 = {disable_policy = 0}}", "sysctls.ipv4", "no setting that a tunnel can have"),
        ('{ipv6 = {"../../kernel/x" = 0}}', "sysctls.ipv6", "no setting that a tunnel can have"),
        ("{ipv6 = {accept_ra = true}}", "sysctls.ipv6.accept_ra", "whole number"),
        ("{ipv5 = {}}", "sysctls.ipv5", "unknown key"),
    ],
)
def test_no_settings(text: str, key: str, words: str) -> None:
    assert words in found(TUNNEL + f"sysctls = {text}")[f"tunnel[0].{key}"]


@pytest.mark.parametrize("name", ["a b", "x" * 16, "a/b", "a\\n"])
def test_no_vrf(name: str) -> None:
    assert "is not the name of a VRF" in found(TUNNEL + f'vrf = "{name}"')["tunnel[0].vrf"]


# --- vars ----------------------------------------------------------------------------------------


def test_vars_are_inherited_one_by_one() -> None:
    defaults = '[defaults]\nvars = { a = 1, b = "x", c = true }\n'
    assert tunnel(before=defaults).vars == (("a", 1), ("b", "x"), ("c", True))
    own = tunnel("[tunnel.vars]\nb = 2\nd = false", before=defaults)
    assert own.vars == (("a", 1), ("b", 2), ("c", True), ("d", False))
    assert tunnel().vars == ()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("1", "has to be a table"),
        ("[1]", "has to be a table"),
        ("{ a-b = 1 }", "'a-b' is not a name"),
        ("{ a = 1.5 }", "a is no string, no whole number, true or false"),
        ("{ a = [] }", "a is no string"),
        ("{ a = -1 }", "a is not from 0 to 4294967295"),
        ('{ a = "\\u0007" }', "a has characters that cannot be printed"),
    ],
)
def test_bad_vars(value: str, says: str) -> None:
    assert says in found(f"{TUNNEL}vars = {value}")["tunnel[0].vars"]
    assert says in found(f"[defaults]\nvars = {value}")["defaults.vars"]


def test_policies_without_password_files_are_not_copied() -> None:
    policies = dict(enumerate(load('[[tunnel]]\nconnection = "c"\ninterface = "v"\n').policies))
    found, _ = read_passwords(policies, lambda _: "secret")
    assert found[0] is policies[0]


def test_policies_share_what_they_leave_to_its_default() -> None:
    text = "".join(f'[[tunnel]]\nconnection = "c{n}"\ninterface = "vti{n}"\n' for n in (1, 2))
    one, other = load(text).policies
    assert all(getattr(one, key) is getattr(other, key) for key in ("probe", "sysctls"))
