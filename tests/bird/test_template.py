from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vtid.bird.quote import RenderError, Word
from vtid.bird.template import SHIPPED, Template, load, shipped
from vtid.config_types import SHIPPED_TEMPLATES

if TYPE_CHECKING:
    from pathlib import Path

VALUES = {"name": Word("vtid_t1"), "text": 'a"; }', "number": 7, "flag": True, "some": (Word("a"),)}


def filled(source: str) -> str:
    return Template(source, "own.j2").fill(**VALUES)


@pytest.mark.parametrize(
    "source",
    [
        "{{ name|upper }}",
        "{{ text }}",
        '{{ "text" }}',
        '{{ name ~ ";" }}',
        "{{ flag }}",
        "{{ name.__class__ }}",
        "{{ name.replace('v', '}') }}",
        "{{ some }}",
        "{{ missing }}",
        "{{ name.missing }}",
        "{% for _ in range(10**9) %}{% endfor %}",
        "{{ 1.5 }}",
        "{{ 1 / 0 }}",
        "{{ text|symbol }}",
        "{{ text|address }}",
        "{{ text|policy }}",
        "{{ text|interface }}",
        '{% include "/etc/shadow" %}',
        "{% for x in some %}{% set x.y = 1 %}{% endfor %}",
    ],
)
def test_quoted_values_only_and_the_line_of_what_is_not(source: str) -> None:
    with pytest.raises(RenderError, match=r"\Aown\.j2:3: .") as caught:
        filled(f"# first\n\n{source}\n")
    assert "\n" not in str(caught.value)


def test_what_a_template_makes_up_goes_through_a_filter() -> None:
    assert filled('{{ (name ~ "-x")|symbol }} {{ text|quoted }}') == "'vtid_t1-x' \"a?; }\""
    assert (
        filled('{{ number + 1 }} {{ "::1"|address }} {{ name|policy }}') == "8 ::1 filter vtid_t1"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\n{% if %}", r"own\.j2:2: Expected an expression"),
        ("a\nb\n{% for x in y %}", r"own\.j2:3: Unexpected end of template"),
        ("{{ name|nosuch }}", r"own\.j2:1: No filter named 'nosuch'"),
    ],
)
def test_what_is_no_template(source: str, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        Template(source, "own.j2")


def test_the_operators_file(tmp_path: Path) -> None:
    path = tmp_path / "own.j2"
    with pytest.raises(RenderError, match=rf"cannot read {path}: No such file .*`template = `"):
        load(str(path))
    path.write_bytes(b"\xff")
    with pytest.raises(RenderError, match=rf"cannot read {path}: not UTF-8"):
        load(str(path))
    path.write_text("a\n{{ nothing }}")
    with pytest.raises(RenderError, match=rf"{path}:2: 'nothing' is undefined"):
        load(str(path)).fill()


def test_those_that_come_with_vtid_are_those_of_the_configuration() -> None:
    assert tuple(SHIPPED) == SHIPPED_TEMPLATES
    for name in SHIPPED:
        assert shipped(name) is shipped(name)
