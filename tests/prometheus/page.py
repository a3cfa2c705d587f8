"""The table of all metrics in docs/metrics.md.

python -m tests.prometheus.page
"""

from __future__ import annotations

from pathlib import Path

from tests.prometheus.families import families

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

BEGIN = "`python -m tests.prometheus.page` writes this table.\n\n"


def page(before: str) -> str:
    """Return the page with its table renewed."""
    head, _, _ = before.partition(BEGIN)
    rows = [
        f"| `{one.name}` | {one.kind} | {' '.join(f'`{label}`' for label in one.labels)} "
        f"| {one.group} | {one.text} |"
        for one in sorted(families())
    ]
    table = ["| metric | kind | labels | group | what it tells |", "|---|---|---|---|---|", *rows]
    return head + BEGIN + "\n".join(table) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
