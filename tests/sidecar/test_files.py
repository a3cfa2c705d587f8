"""The files of the sidecar fit together; `make sidecar` tries them for real."""

from __future__ import annotations

import re
import textwrap
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from tests.sidecar.trial import UP, of_b
from vtid.config.load import load

ROOT = Path(__file__).parents[2]
ETC = ROOT / "etc/sidecar"
CONFIG, POD = (ETC / "config.yaml").read_text(), (ETC / "pod.yaml").read_text()


def test_the_dockerfile_copies_what_exists_and_nothing_else_is_sent() -> None:
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    names = {name for line in copied for name in line.split()}
    assert all((ROOT / name).exists() for name in names)
    sent = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert sent == names


def test_the_build_has_all_that_the_wheel_is_made_of() -> None:
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    files = [project["project"]["readme"]]
    for named in project["tool"]["setuptools"]["data-files"].values():
        files += named
    assert {PurePosixPath(file).parts[0] for file in files} <= set(sent)


def test_packages_and_build_backend_are_installed_by_their_hashes() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install ([^&\n]*)", lines)
    assert len(installs) == 3
    assert all(
        "--require-hashes" in one or "--no-deps --no-build-isolation" in one for one in installs
    )


def vtid_toml(config: str) -> str:
    return textwrap.dedent(config.split("  vtid.toml: |\n")[1])


@pytest.mark.parametrize("config", [CONFIG, of_b(CONFIG)], ids=["a", "b"])
def test_the_configuration_loads_and_names_the_sockets_of_the_pod(config: str) -> None:
    found = load(vtid_toml(config))
    mounts = set(re.findall(r"mountPath: (/run/\S+) ", POD))
    paths = (found.vici.socket, found.birds[0].socket, found.birds[0].include)
    assert {str(Path(path).parent) for path in paths} <= mounts
    assert f"socket = unix://{found.vici.socket}" in config


def test_the_ends_of_the_tunnel_are_each_others_neighbours() -> None:
    a, b = (load(vtid_toml(config)).policies[0] for config in (CONFIG, of_b(CONFIG)))
    assert (a.connection, b.connection) == ("b", "a")
    assert a.bgp[0].neighbor in b.addresses[1]
    assert b.bgp[0].neighbor in a.addresses[1]
    assert (a.bgp[0].local_as, a.bgp[0].remote_as) == (b.bgp[0].remote_as, b.bgp[0].local_as)


def test_the_trial_knows_a_tunnel_that_is_up_in_what_vtictl_prints() -> None:
    printed = (ROOT / "tests/ctl/golden/vtictl-tunnels-wide.txt").read_text()
    renamed = printed.replace("\nprivate/vti42", "\na").replace("private/vti42", "vti42")
    assert UP.search(renamed)
    assert not UP.search(renamed.replace("  up  ", "  down  "))


def test_every_mount_has_its_volume() -> None:
    mounted = set(re.findall(r"\{ name: (\S+), mountPath", POD))
    declared = set(
        re.findall(r"^    - name: (\S+)\n      (?:emptyDir|configMap)", POD, re.MULTILINE)
    )
    assert mounted == declared


def test_compose_has_the_images_and_capabilities_of_the_pod() -> None:
    compose = (ETC / "compose.yaml").read_text()
    for text in (POD, compose):
        assert re.findall(r"image: localhost/(\w+):latest", text) == ["charon", "bird", "vtid"]
    added = [
        re.findall(word, text)
        for word, text in ((r"add: (\[.*\])", POD), (r"cap_add: (\[.*\])", compose))
    ]
    assert added[0] == added[1]
