"""The man pages: current, complete, of sound roff, and where the packages expect them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from tests import man, reference
from vtid.config.load import load
from vtid.ctl import main as vtictl

ROOT = Path(__file__).parents[1]
PAGES = man.pages()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_current(name: str) -> None:
    assert (man.FOLDER / name).read_text() == PAGES[name]


def test_there_are_no_other_pages_and_packages_have_them() -> None:
    assert {file.name for file in man.FOLDER.iterdir()} == PAGES.keys()
    listed = (ROOT / "debian" / "vtid.manpages").read_text().split()
    assert sorted(listed) == sorted(f"man/{name}" for name in PAGES)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    assert wheel == {f"share/man/man{name[-1]}": [f"man/{name}"] for name in PAGES}


def test_neither_terminal_nor_environment_is_in_them() -> None:
    elsewhere = {
        "COLUMNS": "40",
        "VTID_CONFIG": "/elsewhere",
        "VTID_SOCKET": "/elsewhere",
        "PYTHONPATH": str(ROOT),
    }
    script = "from tests import man; print(hash(str(man.pages())))"
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", **more},
            check=True,
            text=True,
            capture_output=True,
        ).stdout
        for more in ({"PYTHONPATH": str(ROOT)}, elsewhere)
    }
    assert len(said) == 1


def test_every_key_of_the_reference_is_explained() -> None:
    page = PAGES["vtid.toml.5"]
    keys = set(re.findall(r"^#?([a-z_0-9]+) = ", reference.SOURCE.read_text(), re.MULTILINE))
    assert {"password_file", "hooks", "connection"} <= keys
    assert [key for key in keys if f"\\fB{key}\\fR" not in page] == []


def test_every_command_and_option_is_explained() -> None:
    page = PAGES["vtictl.1"]
    for command in man._commands(vtictl._parser()):
        name = man.plain(command.prog.partition(" ")[2])
        assert f".SS {name}\n" in page
        section = page.partition(f".SS {name}\n")[2].partition(".SS ")[0]
        for action in man._shown(command):
            assert all(man.plain(one) in page for one in action.option_strings)
            first = man.plain(action.option_strings[0] if action.option_strings else "")
            assert first in section
    assert ".SS bird render\n" in page


def test_the_example_is_good() -> None:
    (only,) = load(man.EXAMPLE).policies
    assert only.bgp[0].bird == "main"


@pytest.mark.parametrize("name", PAGES)
def test_the_roff_is_sound(name: str) -> None:
    known = {"TH", "SH", "SS", "PP", "TP", "B", "BR", "RS", "RE", "nf", "fi", "nh", "ad"}
    lines = PAGES[name].splitlines()
    for line in lines[1:]:
        assert line.strip() == line != "", f"{line!r}: roff takes no blank lines, nor ends in one"
        if line.startswith((".", "'")):
            assert line.split()[0][1:] in known, line
        assert line.count("\\fB") + line.count("\\fI") == line.count("\\fR"), line
        escapes = set(re.findall(r"\\(.)", line))
        assert escapes <= set("fe-(& "), f"{line!r}: {escapes}"
    assert "`" not in PAGES[name].partition("\n")[2]
    for tag, text in pairwise(lines):
        assert not (tag == ".TP" and text.startswith((".TP", ".SH"))), "a tag and no name"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed; lintian asks man")
def test_groff_has_no_warning(name: str) -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", man.FOLDER / name],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
