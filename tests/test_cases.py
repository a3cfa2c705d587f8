"""Recorded cases: a history of inputs, and the operations that have to follow.

    tests/cases/NAME/NN-input.jsonl     told in the order of the numbers, as one history
    tests/cases/NAME/NN-ops.jsonl       what follows; `pytest tests/test_cases.py --write-cases`
                                        writes it anew: read the difference before you commit it

The format is that of `vtid --record FILE`: a bug report becomes a case when its recording is cut
into parts where it gets quiet. Three were recorded around the kernel of dicts in
`tests.core.world`, the others by a vtid in the tests of the same names in `tests/life`, which leave
them in `lab-out/cases`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from vtid.daemon.recording import Replay, op_line, read

CASES = Path(__file__).parent / "cases"
PARTS = sorted(CASES.glob("*/*-input.jsonl"))


@pytest.mark.parametrize("name", sorted({part.parent.name for part in PARTS}))
def test_a_case_ends_as_it_did(name: str, pytestconfig: pytest.Config) -> None:
    replay = Replay()
    for part in sorted((CASES / name).glob("*-input.jsonl")):
        _, lines = read(part.read_text().splitlines())
        found = "".join(f"{op_line(at, op)}\n" for at, op in replay.tell(lines))
        expected = part.with_name(part.name.replace("-input", "-ops"))
        if pytestconfig.getoption("write_cases"):
            expected.write_text(found)
        assert found == expected.read_text(), part


def test_there_are_cases() -> None:
    assert PARTS
