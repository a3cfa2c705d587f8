"""Who may import whom, so that the decisions stay free of I/O. README, "Architecture", says why."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vtid

ROOT = Path(vtid.__file__).parent

IMPURE = {
    "aiohttp",
    "asyncio",
    "ctypes",
    "os",
    "pyroute2",
    "select",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
}

SHELL = {"__main__.py", "daemon.py", "executor.py", "readiness.py"}
"""Only these see more than one room."""

PEERS = ("vici", "kernel", "nft", "bird", "http")

EDGE_MODULES = {
    "vici/client.py",
    "kernel/client.py",
    "nft/client.py",
    "bird/client.py",
    "http/server.py",
    "netns.py",
    "notify.py",
    "log.py",
    "ctl.py",
    "ctl_remote.py",
}


def files() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py"))


def imports(name: str) -> set[str]:
    tree = ast.parse((ROOT / name).read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def opening(name: str) -> str:
    return ast.get_docstring(ast.parse((ROOT / name).read_text())) or ""


def is_edge(name: str) -> bool:
    """An edge says so in its opening, or is one of those that everybody knows."""
    return name in EDGE_MODULES or "edge" in opening(name).split("\n\n")[0].lower()


@pytest.mark.parametrize("name", files())
def test_a_file_opens_with_what_it_is_for(name: str) -> None:
    assert opening(name), f"{name} has no docstring"


@pytest.mark.parametrize("name", [name for name in files() if name.startswith("core/")])
def test_the_core_knows_words_and_configuration_only(name: str) -> None:
    ours = {one for one in imports(name) if one.split(".")[0] == "vtid"}
    allowed = ("vtid.core", "vtid.model", "vtid.config", "vtid.esp")
    assert not {one for one in ours if not one.startswith(allowed)}
    assert not {one.split(".")[0] for one in imports(name)} & IMPURE


@pytest.mark.parametrize("name", ["model.py", "esp.py"])
def test_the_words_need_the_standard_library_only(name: str) -> None:
    assert not {one for one in imports(name) if one.startswith("vtid")} - {
        "vtid.esp",
        "vtid.esp.EspAlgorithms",
    }


@pytest.mark.parametrize("name", [name for name in files() if name.split("/")[0] in PEERS])
def test_a_room_knows_itself_and_the_words(name: str) -> None:
    room = name.split("/")[0]
    allowed = (f"vtid.{room}", "vtid.model", "vtid.netns", "vtid.esp", "vtid.log")
    ours = {one for one in imports(name) if one.startswith("vtid")}
    assert not {one for one in ours if not one.startswith(allowed)}


@pytest.mark.parametrize("name", [name for name in files() if name.split("/")[0] in PEERS])
def test_only_an_edge_touches_the_world(name: str) -> None:
    if not is_edge(name):
        assert not {one.split(".")[0] for one in imports(name)} & IMPURE


@pytest.mark.parametrize("name", [name for name in files() if name not in SHELL])
def test_nobody_looks_up_to_the_daemon(name: str) -> None:
    assert not {one for one in imports(name) if one.startswith(("vtid.daemon", "vtid.executor"))}
