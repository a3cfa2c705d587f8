"""pyroute2 is imported when it is used first, by the threads of several namespaces at once.

Where they began with different parts of it, one of them in four starts found half a module
("cannot import name 'AsyncIPRoute' from partially initialized module"), and vtid ended.
"""

from __future__ import annotations

import re
from pathlib import Path

import vtid


def test_one_module_imports_it() -> None:
    importing = re.compile(r"^\s*(?:from|import) pyroute2", re.MULTILINE)
    sources = Path(vtid.__file__).parent.rglob("*.py")
    found = [source.name for source in sources if importing.search(source.read_text("utf-8"))]
    assert found == ["pyroute.py"]


def test_nothing_imports_that_module_before_it_is_used() -> None:
    at_the_top = re.compile(r"^(?:from|import) .*\bpyroute\b", re.MULTILINE)
    sources = Path(vtid.__file__).parent.rglob("*.py")
    assert not [one.name for one in sources if at_the_top.search(one.read_text("utf-8"))]
