"""Where things stand in a TOML text."""

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vtid.config.toml_lines import Path, line_of, locate

TEXT = '''\
# comment with [brackets] and = signs

top = "a # string, ] } not a comment"
[daemon]
metrics = [   # a comment ] in an array
    "one",
    [ 2, 3 ],

    { a = 1, "b.c" = "x" },
]
long = """
[not.a.table]
key = "no"
quotes: "" and \\""" done""""
raw = \'\'\'
x = 'y'
\'\'\'
a.b.c = 1979-05-27 07:32:00
after = true
[[tunnel]]
connection = "one"
[tunnel.bgp]
neighbor = "fe80::1"
[[tunnel]]
connection = "two"
[[tunnel.bgp]]
neighbor = "fe80::2"
[[tunnel.bgp]]
neighbor = "fe80::3"
[ "quoted key" . 'other' ]
last = 0x10'''


def paths(value: object, here: Path = ()) -> Iterator[Path]:
    """Every path of a parsed document."""
    if here:
        yield here
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*here, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*here, index))


def test_the_text_is_toml_and_every_path_of_it_is_found() -> None:
    assert set(locate(TEXT)) == set(paths(tomllib.loads(TEXT)))


def test_lines() -> None:
    lines = locate(TEXT)
    rows = TEXT.splitlines()
    for path, written in {
        ("top",): "top =",
        ("daemon",): "[daemon]",
        ("daemon", "metrics"): "metrics = [",
        ("daemon", "metrics", 0): '"one"',
        ("daemon", "metrics", 1, 1): "[ 2, 3 ]",
        ("daemon", "metrics", 2, "b.c"): '"b.c"',
        ("daemon", "long"): "long = ",
        ("daemon", "raw"): "raw = ",
        ("daemon", "a", "b", "c"): "a.b.c",
        ("daemon", "after"): "after",
        ("tunnel", 0, "connection"): '"one"',
        ("tunnel", 0, "bgp", "neighbor"): "fe80::1",
        ("tunnel", 1, "connection"): '"two"',
        ("tunnel", 1, "bgp", 0, "neighbor"): "fe80::2",
        ("tunnel", 1, "bgp", 1, "neighbor"): "fe80::3",
        ("quoted key", "other", "last"): "last",
    }.items():
        assert written in rows[lines[path] - 1], path


def test_windows_line_ends() -> None:
    assert locate(TEXT.replace("\n", "\r\n")) == locate(TEXT)


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    lines = locate("[a]\nb = 1\n[[c]]\n")
    assert line_of(lines, ("a", "b")) == 2
    assert line_of(lines, ("a", "missing", 3, "key")) == 1
    assert line_of(lines, ("c", 0, "key")) == 3
    assert line_of(lines, ("d",)) is None
    assert line_of(lines, ()) is None


keys = st.text("abc-_ .é\"'\\", max_size=4)
scalars = st.one_of(
    st.integers(-9, 9), st.booleans(), st.text("ab\"'#]}[{,=\n\\ ", max_size=8), st.just(1.5)
)
inline = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)


def quoted(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    return '"' + "".join(escapes.get(letter, letter) for letter in text) + '"'


def written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[" + ",\n".join(map(written, value)) + "]"
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{quoted(key)} = {written(one)}" for key, one in value.items()) + "}"
        )
    return repr(value)


@given(st.dictionaries(keys, inline, max_size=4), st.dictionaries(keys, inline, max_size=3))
def test_any_document(top: dict[str, Any], table: dict[str, Any]) -> None:
    lines = [f"{quoted(key)} = {written(value)}" for key, value in top.items()]
    lines += ["[[table]]", *(f"{quoted(key)} = {written(value)}" for key, value in table.items())]
    text = "\n".join(lines)
    document = tomllib.loads(text)
    assert document == top | {"table": [table]}
    assert set(locate(text)) == set(paths(document))
