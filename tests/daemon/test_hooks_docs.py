"""docs/hooks.md has the fields of the event, and its example does what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.daemon.test_hooks import transition
from vtid.core.transitions import Turn
from vtid.daemon.hooks import RESULTS, document

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text()


def test_every_field_is_explained_in_order() -> None:
    table = PAGE.partition("## The event")[2].partition("## An example")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(document(0, transition()))


def test_every_result_is_explained() -> None:
    assert [one for one in RESULTS if f"`{one}`" not in PAGE] == []


def test_the_example_works(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert "/var/lib/vtid" in example
    script = example.replace("/var/lib/vtid", str(tmp_path))
    for turn, files in ((Turn.UP, 1), (Turn.DOWN, 0), (Turn.DOWN, 0)):
        told = json.dumps(document(0, transition(turn=turn)))
        subprocess.run([sys.executable, "-c", script], input=told, text=True, check=True)
        assert len(list(tmp_path.iterdir())) == files
