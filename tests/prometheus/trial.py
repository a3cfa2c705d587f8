"""Try rules, queries and metrics with Prometheus's own tool, promtool, and scrape with it.

    python3 -m tests.prometheus.trial

promtool is in Debian's package prometheus. Each case of `cases` must make its alerts fire, and none
else. Of the dashboard, promtool reads each query.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.prometheus import dashboard, scrape
from tests.prometheus.cases import AT, CASES
from tests.prometheus.families import exposition

if TYPE_CHECKING:
    from tests.prometheus.cases import Case

RULES = Path(__file__).parents[2] / "etc" / "prometheus"

FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'


def rules() -> list[Path]:
    """All rule files."""
    return sorted(RULES.glob("vtid-*.yml"))


def rule_tests() -> dict[str, object]:
    """Return the cases as promtool wants them; JSON is YAML, too."""
    return {
        "rule_files": [str(file) for file in rules()],
        "evaluation_interval": "1m",
        "tests": [_test(case) for case in CASES],
    }


def _test(case: Case) -> dict[str, object]:
    firing = [
        {"labels": f'{{alertname="{alert}"}}', "value": times}
        for alert, times in case.firing.items()
    ]
    question = {"expr": FIRING, "eval_time": f"{AT}m", "exp_samples": firing}
    return {
        "name": case.what,
        "interval": "1m",
        "input_series": [
            {"series": name, "values": values} for name, values in case.series.items()
        ],
        "promql_expr_test": [question],
    }


def with_values(query: str, interval: str = "5m") -> str:
    """Put values for Grafana's variables into a query."""
    values = {"$__rate_interval": interval, "$job": ".*", "$instance": ".*", "$tunnel": ".*"}
    for name, value in values.items():
        query = query.replace(name, value)
    return query


def query_rules() -> dict[str, object]:
    """Return the queries of the dashboard as rules, for promtool to read."""
    rules = [
        {"record": f"panel:query_{number}", "expr": with_values(query)}
        for number, query in enumerate(dashboard.queries())
    ]
    return {"groups": [{"name": "dashboard", "rules": rules}]}


def kubernetes() -> str:
    """Return the job for pods as Debian's promtool reads it, which is built without Kubernetes."""
    lines = (RULES / "kubernetes.yml").read_text().splitlines()
    begin = lines.index("    kubernetes_sd_configs:")
    end = lines.index("    relabel_configs:")
    return "\n".join((*lines[:begin], "    static_configs: []", *lines[end:], ""))


def promtool(*arguments: str, text: str | None = None) -> bool:
    """Run promtool; print what it says if it finds something, and return whether it does not."""
    result = subprocess.run(
        ["promtool", *arguments], input=text, capture_output=True, text=True, check=False
    )
    good = result.returncode == 0
    what = " ".join(Path(one).name for one in arguments)
    print(f"promtool {what}: {'good' if good else 'not good'}")
    if not good:
        print(result.stdout, result.stderr)
    return good


def main() -> int:
    """Run all; 0 if promtool finds nothing."""
    with tempfile.TemporaryDirectory() as directory:
        tests, queries = Path(directory, "tests.yml"), Path(directory, "queries.yml")
        tests.write_text(json.dumps(rule_tests()))
        queries.write_text(json.dumps(query_rules()))
        pods = Path(directory, "kubernetes.yml")
        pods.write_text(kubernetes())
        results = [
            promtool("check", "config", str(RULES / "prometheus.yml")),
            promtool("check", "config", str(pods)),
            promtool("check", "rules", *map(str, rules())),
            promtool("check", "rules", str(queries)),
            promtool("test", "rules", str(tests)),
            promtool("check", "metrics", text=exposition()),
            asyncio.run(scrape.trial()),
        ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
