"""What the shipped templates make of every key, as golden files."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.bird.keys import CASES, RENDERED, SAMPLES, fits, rendered
from vtid.bird.template import SHIPPED
from vtid.config.bgp import Bgp

MADE = {
    "name",
    "bird",
    "import_filter",
    "export_filter",
    "families",
    "neighbor",
    "present",
    "on_down",
    "password_file",
}
"""Keys that every case has, or that say when there is a session."""


@pytest.mark.parametrize("name", SHIPPED)
def test_rendered_as_recorded(name: str) -> None:
    assert rendered(SAMPLES[name]) == (RENDERED / f"{name}.conf").read_text()


def test_every_key_has_its_case() -> None:
    tried = {key for case in CASES.values() for key in case.left}
    assert {one.name for one in fields(Bgp)} - MADE <= tried


def test_what_1_6_cannot_have() -> None:
    assert {name for name, case in CASES.items() if not fits(SAMPLES["bgp-1.6"], case)} == {
        "next-hop",
        "role",
    }
