"""Every key with a wrong value: the messages as they were when pydantic read the tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vtid.config.load import ConfigError, load

CASES = [
    json.loads(line)
    for line in Path(__file__)
    .with_name("golden")
    .joinpath("problems.jsonl")
    .open("r", encoding="utf-8")
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["problems"][0][:60])
def test_what_is_wrong_is_told_as_ever(case: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as told:
        load(str(case["text"]))
    assert [str(problem) for problem in told.value.problems] == case["problems"]
