"""The lab's failures and their alerts in docs/alerts.md: what the lab checks, and what it saw.

    python -m tests.lab.alerts.page [lab-out]

With the folder of a whole run (`make lab ALERTS=1`), what it saw is kept in docs/measured/. From
that and from the scenarios, the table and the picture are written.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.alerts.alarms import DATA
from tests.lab.alerts.pictures import Picture, svg
from tests.lab.checks.scenarios import SCENARIOS

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "alerts.md"
KEPT = DOCS / "measured" / "alerts.json"
PICTURE = DOCS / "measured" / "alerts.svg"

BEGIN = "`python -m tests.lab.alerts.page` writes this table.\n\n"
END = "\n## "

HEAD = """\
| failure | must fire | may fire, where it lasts long enough | fired |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run saw."""

    fired: dict[str, str]
    """Alerts by the name of the failure."""
    picture: Picture

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Seen:
        """Take what is kept."""
        return cls(data["fired"], Picture.from_json(data["picture"]))


def kept(folder: Path) -> str:
    """Return what is to be kept of a run, from the folder that it left."""
    report = json.loads((folder / "report.json").read_text())
    data = json.loads((folder / DATA).read_text())
    fired = {one["name"]: one["alerts"] for one in report["failures"]}
    return json.dumps({"taken": report["taken"], "fired": fired, **data}) + "\n"


def page(before: str, seen: Seen) -> str:
    """Return the page with its table renewed."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    rows = [
        f"| {one.name} | {_names(one.cause.sure)} | {_names(one.cause.may)} "
        f"| {seen.fired.get(one.name, '')} |\n"
        for one in SCENARIOS
    ]
    return head + BEGIN + HEAD + "".join(rows) + END + tail


def _names(alerts: frozenset[str]) -> str:
    return ", ".join(f"[{one}](#{one.lower()})" for one in sorted(alerts)) or "none"


def main() -> None:
    """Write all."""
    for folder in sys.argv[1:2]:
        KEPT.write_text(kept(Path(folder)))
    seen = Seen.from_json(json.loads(KEPT.read_text()))
    PICTURE.write_text(svg(seen.picture))
    PAGE.write_text(page(PAGE.read_text(), seen))


if __name__ == "__main__":
    main()
