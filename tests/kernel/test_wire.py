"""Attributes: those that are picked are those that are there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.kernel import wire as nl

ATTRIBUTES = st.lists(st.tuples(st.integers(0, 60) | st.integers(0, 0xFFFF), st.binary(max_size=9)))


@given(ATTRIBUTES, st.frozensets(st.integers(0, 60)), st.binary(max_size=6))
def test_wanted_attributes_are_those_among_all(
    made: list[tuple[int, bytes]], wanted: frozenset[int], rest: bytes
) -> None:
    data = b"".join(nl.attribute(kind, value) for kind, value in made) + rest
    try:
        all_ = nl.attributes(data, 0, len(data))
    except nl.MessageError as error:
        with pytest.raises(nl.MessageError, match=str(error)):
            nl.pick(data, 0, len(data), wanted)
        return
    assert nl.pick(data, 0, len(data), wanted) == {k: all_[k] for k in wanted & all_.keys()}
    for kind in wanted:
        first = next((value for k, value in made if k & nl.NLA_TYPE_MASK == kind), None)
        found = nl.find(data, 0, len(data), kind)
        assert (found is None) == (kind not in all_)
        assert first is None or nl.raw(data, found) == first
