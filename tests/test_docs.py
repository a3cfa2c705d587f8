"""The documentation agrees with the code: links, commands, keys, events and layers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests import reference
from tests.test_architecture import LAYERS
from vtid.config.load import load
from vtid.ctl import main as ctl
from vtid.http import routes

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_configuration_is_good(page: Path) -> None:
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL):
        load(block)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_target_of_make_exists(page: Path) -> None:
    targets = set(
        re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    known = {one for line in targets for one in line.split()}
    named = set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_module_that_is_run_exists(page: Path) -> None:
    named = re.findall(r"python3? -m ((?:tests|vtid)(?:\.[a-z_]+)+)", page.read_text())
    assert [one for one in named if not (ROOT / f"{one.replace('.', '/')}.py").exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_test_that_is_named_exists(page: Path) -> None:
    """As `tests/FILE.py::NAME`, and `::NAME` of the file before."""
    path = ""
    for file, name in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", page.read_text()):
        path = file or path
        if file or name:
            text = (ROOT / path).read_text()
            assert not name or re.search(rf"def {name}\(", text), f"{path}::{name}"


def test_readme_is_short_and_names_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert [page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" not in text] == []


def test_the_reference_of_the_configuration_is_current() -> None:
    assert reference.PAGE.read_text() == reference.page(reference.SOURCE.read_text())


def test_every_command_of_vtictl_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ctl.main(["--help"])
    commands = re.findall(r"^ {4}([a-z-]+) ", capsys.readouterr().out, re.MULTILINE)
    assert "status" in commands
    text = (DOCS / "operate.md").read_text()
    assert [one for one in commands if f"`vtictl {one}" not in text] == []


def test_the_page_of_the_api_has_every_route() -> None:
    rows = re.findall(
        r"^\| (`[A-Z]+ /.*?) \| (\w+) \|", (DOCS / "api.md").read_text(), re.MULTILINE
    )
    written = {(request, tag) for row, tag in rows for request in re.findall(r"`([^`]+)`", row)}
    assert written == {(f"{one.method} {one.path}", one.tag) for one in routes.ALL}


def test_the_layers_are_those_that_are_enforced() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", (DOCS / "architecture.md").read_text(), re.MULTILINE
    )
    written = {folder: set(re.findall(r"\w+", imports)) for folder, imports in rows}
    assert written == {folder: names for folder, names in LAYERS.items() if folder != "__init__"}


LEVELS = {"debug", "info", "warning", "error", "exception"}


def events(path: Path) -> list[str]:
    """Return the events that a file logs. One that is not a literal is refused."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id in {"log", "_log"} and node.func.attr in LEVELS:
            found.append(node.args[0])
        if node.func.attr == "note":
            found.append(node.args[1])
    variable = [one for one in found if not isinstance(one, ast.Constant)]
    assert [ast.unparse(one) for one in variable if ast.unparse(one) not in TABLES] == [], path
    return [str(one.value) for one in found if isinstance(one, ast.Constant)]


TABLES = {"_EVENTS[state]"}
"""Expressions that take the event from a table."""


def test_every_event_of_the_log_is_explained_and_exists_once() -> None:
    found = [event for path in (ROOT / "vtid").rglob("*.py") for event in events(path)]
    assert sorted(found) == sorted(set(found))
    rows = re.findall(r"^\| (`[^|]+`) \|", (DOCS / "log-events.md").read_text(), re.MULTILINE)
    written = {event for row in rows for event in re.findall(r"`([^`]+)`", row)}
    of_states = {f"tunnel {state}" for state in ("up", "pending", "holding", "down", "error")}
    assert set(found) | of_states == written
