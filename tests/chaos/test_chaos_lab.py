"""A few faults of a fixed seed, so that faults and comparison are tried with all the rest.

With VXLANs in place of VTIs (`tests/vxlan.py`), which any kernel has; `make chaos` has real ones.
"""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import main

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

SECONDS = "60"
"""No fault begins later."""


def test_a_system_becomes_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    status = main(["--stand-in", "--seed", "1", "--faults", "20", "--seconds", SECONDS])
    said = capfd.readouterr().out
    assert status == 0, said
    assert "\n0 faults" not in said
