"""The route book: the difference that is kept is the one that there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vtid.core.route_book import RouteBook
from vtid.model.link import MAIN_TABLE, Route

TABLES = (MAIN_TABLE, 100)
TO = ("10.1.0.0/16", "2001:db8::/32")

wanted = st.builds(Route, st.sampled_from(TO), st.just(0), st.sampled_from((0, *TABLES)))
actual = st.builds(Route, st.sampled_from(TO), st.just(0), st.sampled_from(TABLES))
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("want", "unwant")), wanted),
        st.tuples(st.sampled_from(("see", "lose")), actual),
        st.tuples(st.just("want_only"), st.lists(wanted)),
        st.tuples(st.just("see_only"), st.lists(actual)),
        st.tuples(st.just("use_table"), st.sampled_from(TABLES)),
    )
)


@given(steps)
def test_the_difference_is_that_of_both_sides(steps: list[tuple[str, object]]) -> None:
    book, table = RouteBook(), MAIN_TABLE
    for name, value in steps:
        revision, before = book.revision, set(book.wanted)
        getattr(book, name)(value)
        table = value if name == "use_table" else table  # type: ignore[assignment]
        assert (book.revision != revision) == (book.wanted != before)
        check(book, table)


def check(book: RouteBook, table: int) -> None:
    as_there = {Route(each.to, each.metric, each.table or table) for each in book.wanted}
    missing = {Route(each.to, each.metric, each.table or table) for each in book.missing}
    assert missing == as_there - book.there
    assert len(book.missing) == len(missing)
    assert set(book.missing) <= book.wanted
    assert set(book.surplus) == book.there - as_there
    assert book.wants_ipv6 == any(":" in each.to for each in book.wanted)


@given(st.lists(actual), st.lists(actual))
def test_what_is_seen_is_news_only_if_it_differs(first: list[Route], second: list[Route]) -> None:
    book = RouteBook()
    assert book.see_only(first) == bool(first)
    assert book.see_only(second) == (set(first) != set(second))
    assert book.there == set(second)
