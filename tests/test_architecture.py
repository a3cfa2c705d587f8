"""Who may import whom, so that the decisions stay free of I/O. README, "Architecture", says why."""

from __future__ import annotations

import ast
import importlib
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

SHELL = {"__main__.py", "birds.py", "daemon.py", "executor.py", "readiness.py"}
"""Only these see more than one room."""

PEERS = ("vici", "kernel", "nft", "bird", "http")

EDGES = {
    "bird/client.py",
    "bird/control.py",
    "bird/include.py",
    "bird/push.py",
    "http/handlers.py",
    "http/listen.py",
    "http/server.py",
    "http/telemetry.py",
    "kernel/apply.py",
    "kernel/client.py",
    "kernel/leftovers.py",
    "kernel/observe.py",
    "kernel/sockets.py",
    "kernel/workers.py",
    "nft/client.py",
    "nft/library.py",
    "nft/table.py",
    "vici/client.py",
    "vici/initiate.py",
}
"""Of the rooms; everything else in them is pure."""


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


@pytest.mark.parametrize("name", files())
def test_a_file_opens_with_what_it_is_for(name: str) -> None:
    assert opening(name), f"{name} has no docstring"


@pytest.mark.parametrize("name", [name for name in files() if name.startswith("core/")])
def test_the_core_knows_words_and_configuration_only(name: str) -> None:
    ours = {one for one in imports(name) if one.split(".")[0] == "vtid"}
    allowed = ("vtid.core", "vtid.model", "vtid.config", "vtid.esp", "vtid.sysctls")
    assert not {one for one in ours if not one.startswith(allowed)}
    assert not {one.split(".")[0] for one in imports(name)} & IMPURE


def words_of(room: str) -> set[str]:
    return {f"{room}.{name}" for name in vars(importlib.import_module(room))}


@pytest.mark.parametrize("name", ["model.py", "bgp.py", "esp.py", "sysctls.py"])
def test_the_words_need_the_standard_library_only(name: str) -> None:
    rooms = ("vtid.bgp", "vtid.esp", "vtid.sysctls")
    assert not {one for one in imports(name) if one.startswith("vtid")} - {
        one for room in rooms for one in (room, *words_of(room))
    }


@pytest.mark.parametrize("name", [name for name in files() if name.split("/")[0] in PEERS])
def test_a_room_knows_itself_and_the_words(name: str) -> None:
    room = name.split("/", maxsplit=1)[0]
    allowed = (f"vtid.{room}", "vtid.model", "vtid.netns", "vtid.esp", "vtid.log", "vtid.sysctls")
    ours = {one for one in imports(name) if one.startswith("vtid")}
    assert not {one for one in ours if not one.startswith(allowed)}


@pytest.mark.parametrize("name", [name for name in files() if name.split("/")[0] in PEERS])
def test_only_an_edge_touches_the_world(name: str) -> None:
    if name not in EDGES:
        assert not {one.split(".")[0] for one in imports(name)} & IMPURE


def test_the_list_of_edges_has_no_strangers() -> None:
    assert not EDGES - set(files())


@pytest.mark.parametrize("name", [name for name in files() if name not in SHELL])
def test_nobody_looks_up_to_the_daemon(name: str) -> None:
    assert not {one for one in imports(name) if one.startswith(("vtid.daemon", "vtid.executor"))}
