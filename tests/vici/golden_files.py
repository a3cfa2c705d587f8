"""The recorded packets of `golden/`, for the tests beside this file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One packet that a real charon sent."""

    after: str
    event: str
    payload: bytes


def recorded(end: str) -> list[Recorded]:
    """All packets that one end, `a` or `b`, sent in the recorded run."""
    lines = map(json.loads, (GOLDEN / f"{end}.jsonl").read_text().splitlines())
    return [
        Recorded(line["after"], line["event"], bytes.fromhex(line["payload"])) for line in lines
    ]
