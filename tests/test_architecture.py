"""Who may import whom, as one table: docs/architecture.md draws it, and this test enforces it."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import vtid

ROOT = Path(vtid.__file__).parent

PEERS = ("vici", "kernel", "nft", "bird", "http")

# Read it from the bottom up: a folder may import what stands on its right, and nothing else.
LAYERS: dict[str, set[str]] = {
    "__main__": {"daemon", "config", "http", "vici"},
    "ctl": {"esp", "printable", "scrub", "units"},
    "daemon": {"core", "config", "model", *PEERS, "netns", "printable", "scrub", "turns"},
    "core": {"config", "model", "esp"},
    "config": {"model", "esp"},
    "vici": {"model", "esp", "turns"},
    "kernel": {"model", "esp", "netns", "combine"},
    "nft": {"model", "netns", "combine"},
    "bird": {"model", "scrub"},
    "http": {"model", "printable", "scrub", "turns", "units"},
    "model": {"esp"},
    "esp": set(),
    "combine": set(),
    "netns": set(),
    "printable": set(),
    "turns": set(),
    "units": set(),
    "scrub": set(),
    "__init__": set(),
}
"""A folder or file of vtid/, and what of vtid it may import besides itself and `__version__`."""

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
"""Modules that reach the world, or its clock."""

PURE = {"esp", "model", "config", "core", "printable", "scrub", "units"}

EDGES = {
    "bird": {"client", "control", "files", "include", "own_template", "push", "sessions"},
    "http": {
        "control",
        "door",
        "events",
        "exchange",
        "front",
        "guard",
        "handlers",
        "journal",
        "listen",
        "scrape",
        "server",
        "telemetry",
        "tls",
        "users",
    },
    "kernel": {
        "adopting",
        "apply",
        "batch",
        "client",
        "echo",
        "linkops",
        "underlay",
        "leftovers",
        "observe",
        "present",
        "pyroute",
        "raw",
        "sockets",
        "tables",
        "workers",
    },
    "nft": {"client", "library", "look", "table"},
    "vici": {"channel", "client", "initiate", "listing", "look"},
}
"""In the folders of peer systems, the files that reach the world; all others are pure."""


@cache
def modules() -> dict[str, set[str]]:
    """Every module of vtid without its `vtid.`, and the full names that it imports."""
    return {name(path): imports(path) for path in sorted(ROOT.rglob("*.py"))}


def name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def ours(module: str) -> set[str]:
    """Return the modules of vtid that a module imports, as `modules` names them."""
    found = set()
    for full in modules()[module]:
        if not full.startswith("vtid."):
            continue
        inner = full.removeprefix("vtid.")
        known = inner if inner in modules() else inner.rpartition(".")[0]
        found.add(known or "__init__")
    return found


def folder(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("module", modules())
def test_a_file_opens_with_what_it_is_for(module: str) -> None:
    path = ROOT / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert ast.get_docstring(ast.parse(file.read_text())), f"{file} has no docstring"


def test_the_table_names_every_folder_once() -> None:
    assert {folder(module) for module in modules()} == set(LAYERS)


def test_the_table_has_no_circle() -> None:
    tuple(TopologicalSorter(LAYERS).static_order())


def test_no_two_files_import_each_other() -> None:
    graph = {module: ours(module) - {module} for module in modules()}
    tuple(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", modules())
def test_a_file_imports_what_its_folder_may(module: str) -> None:
    here = folder(module)
    assert {folder(one) for one in ours(module)} <= LAYERS[here] | {here, "__init__"}


def test_the_table_allows_nothing_that_nobody_needs() -> None:
    used: dict[str, set[str]] = {here: set() for here in LAYERS}
    for module in modules():
        used[folder(module)] |= {folder(one) for one in ours(module)}
    idle = {here: LAYERS[here] - used[here] for here in LAYERS}
    assert not {here: names for here, names in idle.items() if names}


@pytest.mark.parametrize("module", modules())
def test_only_an_edge_touches_the_world(module: str) -> None:
    here, _, file = module.partition(".")
    if here in PURE or (here in EDGES and file not in EDGES[here]):
        assert not {one.partition(".")[0] for one in modules()[module]} & IMPURE


def test_the_list_of_edges_has_no_strangers() -> None:
    listed = {f"{here}.{file}" for here, files in EDGES.items() for file in files}
    assert listed <= set(modules())


def test_a_folder_hands_on_nothing() -> None:
    packages = {name(path) for path in ROOT.glob("*/__init__.py")}
    assert not {module: modules()[module] for module in packages if modules()[module]}
