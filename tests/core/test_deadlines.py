"""The heap of deadlines against a plain dict."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples

from vtid.core.deadlines import Deadlines


def test_a_later_time_replaces_an_earlier_one() -> None:
    deadlines = Deadlines[str]()
    deadlines.set("a", 1.0)
    deadlines.set("a", 5.0)
    assert deadlines.pop_due(2.0) == []
    assert deadlines.next() == 5.0


def test_a_cleared_deadline_is_never_due() -> None:
    deadlines = Deadlines[str]()
    deadlines.set("a", 1.0)
    deadlines.clear("a")
    deadlines.clear("a")
    assert deadlines.next() is None
    assert deadlines.pop_due(9.0) == []


@given(lists(tuples(sampled_from(["set", "clear", "pop"]), sampled_from("abc"), integers(0, 9))))
def test_it_agrees_with_a_dict(steps: list[tuple[str, str, int]]) -> None:
    deadlines, plain = Deadlines[str](), dict[str, float]()
    for step, key, when in steps:
        if step == "set":
            deadlines.set(key, when)
            plain[key] = when
        elif step == "clear":
            deadlines.clear(key)
            plain.pop(key, None)
        else:
            due = {one for one, at in plain.items() if at <= when}
            assert set(deadlines.pop_due(when)) == due
            for one in due:
                del plain[one]
        assert deadlines.next() == min(plain.values(), default=None)
