"""What the lab can run on, and what is said of what it cannot."""

import pytest

from tests.birds import declared
from tests.lab.machine import systems, tree

HOST = """Debian bookworm main http://mirror.example/debian/
Debian bookworm-updates main http://mirror.example/debian/
Debian bookworm-backports main http://mirror.example/debian/
Debian bookworm contrib http://mirror.example/debian/
Debian bookworm-security main http://security.example/
Else bookworm main http://else.example/
""".splitlines()


def test_unknown_names_are_one_line_that_says_what_there_is() -> None:
    with pytest.raises(tree.LabError, match=r"^OS=sid is unknown: choose one of bookworm, trixie$"):
        systems.chosen("sid", "2")
    with pytest.raises(tree.LabError, match=r"^there is no BIRD=3 with OS=bookworm: choose "):
        systems.chosen("bookworm", "3")


@pytest.mark.parametrize("system", systems.SYSTEMS, ids=lambda system: system.suite)
def test_the_chosen_bird_comes_first_and_all_are_declared(system: systems.System) -> None:
    for bird in system.birds:
        assert systems.chosen(system.suite, bird.choice) == (system, bird)
        told = systems.environment(system, bird, {"PATH": "/bin"})
        assert told["PATH"] == f"{bird.folder}:/bin"
        assert told["VTID_LAB_BIRD"] == bird.choice
    folders = {str(daemon.program.parent) for daemon in declared(told["VTID_BIRDS"])}
    assert folders == {bird.folder for bird in system.birds}


def test_another_debian_is_taken_from_the_hosts_mirrors() -> None:
    assert list(tree._same_mirrors(HOST, "trixie")) == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://security.example/ trixie-security main",
    ]


def test_builds_of_systems_have_names_of_their_own() -> None:
    names = {tree.key(system) for system in systems.SYSTEMS}
    assert {name.rpartition("-")[0] for name in names} == {"bookworm", "trixie"}


def test_the_cause_is_the_first_error() -> None:
    output = b"Get:1 x\nE: not signed\nE: update failed\nI: waiting\n"
    assert tree._cause(output) == "E: not signed"
    assert tree._cause(b"one\ntwo\n") == "two"
    assert tree._cause(b"") == "it says nothing"
