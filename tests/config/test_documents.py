"""Several texts as one configuration: what is joined, what is refused, and where that stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vtid.config.documents import Source
from vtid.config.load import ConfigError, load, load_all

if TYPE_CHECKING:
    from vtid.config.keys import Config

MAIN = """[defaults]
mtu = 1400
[[bird]]
name = "main"
socket = "/run/bird.ctl"
include = "/run/vtid.conf"
"""


def tunnel(name: str, *lines: str) -> str:
    return "\n".join(("[[tunnel]]", f'connection = "{name}"', f'interface = "{name}"', *lines, ""))


def loaded(*texts: str) -> Config:
    return load_all([Source(text, f"/f{number}") for number, text in enumerate(texts)])


def refused(*texts: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(*texts)
    return caught.value.format("").splitlines()


def test_tunnels_of_all_files_are_one_list_in_order() -> None:
    parts = (MAIN, tunnel("b") + tunnel("a"), "# nothing", "", tunnel("c"))
    config = loaded(*parts)
    assert [one.connection for one in config.policies] == ["b", "a", "c"]
    assert {one.mtu for one in config.policies} == {1400}
    assert config == load("\n".join(parts)), "as one file with all of it"


def test_defaults_may_be_in_any_file() -> None:
    session = '[tunnel.bgp]\nneighbor = "10.0.0.2"\nlocal_as = 1\nremote_as = 2\n'
    (only,) = loaded(tunnel("a") + session, MAIN).policies
    assert (only.mtu, only.bgp[0].bird) == (1400, "main")


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ("[defaults]\n", "\n[defaults]\n", "defaults"),
        ("defaults.mtu = 1400\n", "\n[defaults.bgp]\nlocal_as = 1\n", "defaults"),
        ("[daemon]\nlog_level = 'info'\n", "\n[daemon]\nmetrics = []\n", "daemon"),
        ("[metrics]\n", "\n[metrics.basic_auth_users]\n", "metrics"),
        ("[nonsense]\n", "\n[nonsense]\n", "nonsense"),
    ],
)
def test_a_table_in_two_files_names_both(first: str, second: str, key: str) -> None:
    (line,) = refused("", first, second)
    assert line.startswith(f"/f2:2: {key}: is already in /f1:1: write all of it in one")


def test_a_table_in_two_files_hides_what_follows_from_it() -> None:
    missing = '[[tunnel]]\nconnection = "x"\n'
    assert len(refused("[defaults]\n", "[defaults]\ninterface = 'vti{mark}'\n", missing)) == 1


def test_an_error_names_its_file_and_counts_as_that_does() -> None:
    first, second = tunnel("a") + tunnel("b"), tunnel("c") + tunnel("d", "mtu = 1")
    (line,) = refused(MAIN, first, second)
    assert line.startswith("/f2:7: tunnel[1].mtu: 1 is not ")


def test_an_error_that_another_file_is_part_of_names_that_one_too() -> None:
    claimed, taken = refused(MAIN, "# a note\n" + tunnel("a"), tunnel("b") + tunnel("a"))
    claim = "connection 'a' with child '*' is already claimed by"
    assert claimed == f"/f2:5: tunnel[1].connection: {claim} tunnel[0] of /f1:2"
    assert taken == "/f2:6: tunnel[1].interface: 'a' is already that of tunnel[0] of /f1:2"


def test_a_bird_in_two_files() -> None:
    lines = refused(MAIN, MAIN.partition("1400\n")[2])
    assert lines[0] == "/f1:2: bird[0].name: 'main' is already that of bird[0] of /f0:3"


def test_a_missing_key_stands_where_it_should_have_been() -> None:
    (line,) = refused("", tunnel("a"), '\n[[tunnel]]\nconnection = "b"\n')
    assert line == "/f2:2: tunnel[0].interface: is missing"


def test_a_bad_default_is_said_once_in_its_file() -> None:
    (line,) = refused(tunnel("a"), tunnel("b"), "[defaults]\nmtu = 1\n")
    assert line.startswith("/f2:2: defaults.mtu: ")


def test_syntax_errors_of_all_files_are_told() -> None:
    lines = refused("[[tunnel", tunnel("a"), "x = \n", "a = " + "[" * 5000)
    assert [line.split(": ")[0] for line in lines] == ["/f0:1", "/f2:1:5", "/f3"]


def test_a_key_that_is_no_array_of_tables() -> None:
    assert refused("tunnel = 1\n", "", "[bird]\nname = 'a'\n") == [
        "/f0:1: tunnel: has to be an array of tables: write [[tunnel]]",
        "/f2:1: bird: has to be an array of tables: write [[bird]]",
    ]
