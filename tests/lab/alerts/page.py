"""The table of the lab's failures and their alerts in docs/alerts.md, from what the lab checks.

python -m tests.lab.alerts.page
"""

from __future__ import annotations

from pathlib import Path

from tests.lab.checks.scenarios import SCENARIOS

PAGE = Path(__file__).parents[3] / "docs" / "alerts.md"

BEGIN = "`python -m tests.lab.alerts.page` writes this table.\n\n"
END = "\n## "


def page(before: str) -> str:
    """Return the page with its table renewed."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    rows = [
        f"| {one.name} | {_names(one.cause.sure)} | {_names(one.cause.may)} |" for one in SCENARIOS
    ]
    table = [
        "| failure | must fire | may fire, where it lasts long enough |",
        "|---|---|---|",
        *rows,
    ]
    return head + BEGIN + "\n".join(table) + "\n" + END + tail


def _names(alerts: frozenset[str]) -> str:
    return ", ".join(f"[{one}](#{one.lower()})" for one in sorted(alerts)) or "none"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
