"""What the address of the page asks for."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from vtid.http.query import PER_PAGE, Query, QueryError, read_query
from vtid.model.status import TunnelState


def test_nothing_asked_for_is_the_first_page_of_all() -> None:
    assert read_query({}) == Query()
    assert read_query({"state": "", "text": " ", "page": "0", "else": "x"}) == Query()


def test_what_is_asked_for() -> None:
    query = read_query({"state": "down", "text": " Gw ", "page": "3", "refresh": "0"})
    assert query == Query("down", "Gw", 3, 0)
    wanted = query.wanted
    assert wanted.states == {TunnelState.DOWN}
    assert (wanted.text, wanted.first, wanted.count) == ("Gw", 2 * PER_PAGE, PER_PAGE)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"state": "<b>"}, "no state '<b>'; there are: up, pending, holding, down, error"),
        ({"page": "-1"}, "page: '-1' is no number"),
        ({"page": "9" * 5000}, "is no number"),
        ({"page": "٣"}, "is no number"),
        ({"refresh": "1"}, "no refresh 1; there are: 0, 5, 30"),
        ({"text": "x" * 201}, "text: 200 characters at most"),
    ],
)
def test_what_there_is_not(asked: dict[str, str], words: str) -> None:
    with pytest.raises(QueryError) as caught:
        read_query(asked)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("text", ["", "a&state=up", '"><script>', "ü\u202e"])
def test_an_address_says_the_same(text: str) -> None:
    query = Query("down", text, 3, 5)
    assert read_query(dict(parse_qsl(query.address()[1:]))) == query
    other = dict(parse_qsl(query.address(state="", page=1, refresh=30)[1:]))
    assert read_query(other) == Query("", text)


def test_the_usual_is_not_written() -> None:
    assert Query().address() == "?"
