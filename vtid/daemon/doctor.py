"""`vtid --doctor`: look at charon and the machine once, and print what is wrong as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vtid.core.doctor import examine
from vtid.core.doctor_gaps import gaps
from vtid.daemon.facts import charon_facts, host_facts

if TYPE_CHECKING:
    from vtid.config.keys import Config

WATCH = 2.0
"""Seconds for which counters are watched."""


def diagnosis(config: Config, root: Path = Path("/"), watch: float = WATCH) -> str:
    """Return the findings, and what was not looked at, as a JSON document."""
    charon = charon_facts(config)
    host = host_facts(config, charon, root, watch)
    findings, unseen = examine(config, charon, host), gaps(config, charon, host)
    return json.dumps({"findings": [*map(asdict, findings)], "not_seen": [*map(asdict, unseen)]})
