"""Settings for all tests: none of them is a matter of time, and machines are noisy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    import pytest

settings.register_profile("vtid", deadline=None)
settings.register_profile("long", deadline=None, max_examples=2000)
settings.load_profile("vtid")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-cases", action="store_true", help="write what recorded cases lead to anew"
    )
