from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.bird.quote import RenderError, Word, secret
from vtid.bird.sandbox import FILTERS
from vtid.bird.template import SHIPPED, Template, load, shipped
from vtid.config.types import SHIPPED_TEMPLATES

if TYPE_CHECKING:
    from pathlib import Path

VALUES = {
    "name": Word("vtid_t1"),
    "text": 'a"; }',
    "number": 7,
    "flag": True,
    "some": (Word("a"),),
    "password": secret("hunter2 x"),
}


def filled(source: str) -> str:
    return Template(source, "own.j2").fill(**VALUES)


@pytest.mark.parametrize(
    "source",
    [
        "{{ name.__class__ }}",
        "{{ some }}",
        "{{ missing }}",
        "{{ name.missing }}",
        "{% for _ in range(10**9) %}{% endfor %}",
        "{{ 1.5 }}",
        "{{ none }}",
        "{{ -1 }}",
        "{{ 1 / 0 }}",
        "{{ text|symbol }}",
        "{{ text|address }}",
        "{{ text|policy }}",
        "{{ text|interface }}",
        "{{ text|prefix }}",
        '{% include "/etc/shadow" %}',
        "{% for x in some %}{% set x.y = 1 %}{% endfor %}",
    ],
)
def test_what_cannot_be_told_and_its_line(source: str) -> None:
    with pytest.raises(RenderError, match=r"\Aown\.j2:3: .") as caught:
        filled(f"# first\n\n{source}\n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        *("{{ password|" + f"{name}" + " }}" for name in FILTERS if name != "quoted"),
        "'x_{{ password }}'",
        "{{ [password] }}",
        "{{ {password: 1} }}",
        "{{ password.missing }}",
    ],
)
def test_no_error_quotes_a_password(source: str) -> None:
    with pytest.raises(RenderError) as caught:
        filled(source)
    assert "hunter2" not in str(caught.value)


def test_a_password_is_a_string_in_code_and_part_of_another() -> None:
    assert filled('{{ password }} "{{ password }}"') == '"hunter2 x" "hunter2 x"'


def test_what_a_template_makes_up_goes_through_a_filter() -> None:
    assert filled('{{ (name ~ "-x")|symbol }} {{ text|quoted }}') == "'vtid_t1-x' \"a?; }\""
    assert (
        filled('{{ number + 1 }} {{ "::1"|address }} {{ name|policy }}') == "8 ::1 filter vtid_t1"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ text }}", '"a?; }"'),
        ('description "by {{ text }}";', 'description "by a?; }";'),
        ("'x_{{ name }}'", "'x_vtid_t1'"),
        ("# {{ text }}\nx", '# a"; }\nx'),
        ("/* {{ text }} */", '/* a"; } */'),
        ('{{ "*/"|string }} /* {{ "*/" }} */', '"*/" /* ?? */'),
        ("{{ name }} {{ name|upper }} {{ name ~ ';' }}", 'vtid_t1 "VTID_T1" "vtid_t1;"'),
        ("{{ name.replace('v', '}') }}", '"}tid_t1"'),
        ("{{ flag }} {{ not flag }} {{ number }}", "yes no 7"),
        ('"{{ name|quoted }}"', '"vtid_t1"'),
        ("{{ text|safe }} {{ text|e }}", '"a?; }" "a&#34;; }"'),
        ("{% autoescape false %}{{ text }}{% endautoescape %}", '"a?; }"'),
        ("{% macro m(x) %}a {{ x }};{% endmacro %}{{ m(text) }}", 'a "a?; }";'),
        ("{% set x %}a {{ text }};{% endset %}{{ x }}", 'a "a?; }";'),
    ],
)
def test_a_value_is_made_safe_by_its_place(source: str, text: str) -> None:
    assert filled(source) == text


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('a "b', "a string does not end"),
        ('a "b\n"', "a string does not end on its line"),
        ("a /* {{ name }}", "a comment does not end"),
        ("a 'b\nc", "a symbol does not end on its line"),
        ("'{{ text }}'", "cannot be in a symbol"),
        ("{% filter upper %}{{ name }}{% endfilter %}", "a filter has split a value"),
    ],
)
def test_a_text_that_would_swallow_what_follows(source: str, says: str) -> None:
    with pytest.raises(RenderError, match=rf"\Aown\.j2: .*{says}"):
        filled(source)


def test_marks_are_no_characters_of_a_template() -> None:
    with pytest.raises(RenderError, match=r"own\.j2: '\\x02' is no character for a template"):
        Template("a \x02wx\x03", "own.j2")


SKELETON = 'a {{ x }} b "c {{ x }}" d # e {{ x }}\n/* f {{ x }} */ g {{ x|quoted }};'
TOKENS = re.compile(r'"[^"\n]*"|#[^\n]*\n|/\*.*?\*/|\S', re.DOTALL)


@given(st.text())
def test_no_value_leaves_its_place(value: str) -> None:
    """Whatever it is, BIRD's lexer sees the same kinds of tokens."""
    tokens = TOKENS.findall(Template(SKELETON, "own.j2").fill(x=value))
    assert [token[:1] for token in tokens] == ["a", '"', "b", '"', "d", "#", "/", "g", '"', ";"]


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
