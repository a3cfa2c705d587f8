"""The journal: what goes in, what is kept, and where a reader is."""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import pytest

from vtid.http.journal import TEXT_MAX, Journal, Position, UnknownIdError


def add(journal: Journal, *names: str) -> None:
    for name in names:
        journal.add("info", {"event": name})


def names(journal: Journal, number: int = 0, limit: int = 100) -> list[str]:
    return [json.loads(one.data)["event"] for one in journal.after(number, limit)]


def test_an_event_has_all_of_its_record() -> None:
    journal = Journal()
    record = {"event": "tunnel up", "tunnel": "V2-1", "mtu": 1406, "why": ["x"], "exc_info": 1}
    journal.add("info", record)
    (event,) = journal.after(0, 9)
    found = json.loads(event.data)
    assert found.pop("at") > 1_700_000_000
    assert found == {
        "id": f"{journal.run}-1",
        "level": "info",
        "event": "tunnel up",
        "tunnel": "V2-1",
        "mtu": 1406,
        "why": "['x']",
    }
    assert (event.tunnel, event.number) == ("V2-1", 1)


def test_what_is_at_debug_is_an_event_if_it_is_about_a_tunnel() -> None:
    journal = Journal()
    journal.add("debug", {"event": "operation", "op": "SetUp"})
    journal.add("debug", {"event": "CHILD_SA rekeyed", "tunnel": "V2-1"})
    assert names(journal) == ["CHILD_SA rekeyed"]


def test_an_event_is_one_line_of_ascii_and_no_longer_than_it_may_be() -> None:
    journal = Journal()
    journal.add("error", {"event": "x\r\n\ndata: y\x1b[2J", "detail": "\u202e" * 5000})
    (event,) = journal.after(0, 9)
    assert event.data.isascii()
    assert event.data.isprintable()
    assert len(json.loads(event.data)["detail"]) == TEXT_MAX


def test_nothing_is_written_while_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_value: object) -> str:
        raise AssertionError

    journal = Journal()
    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", refused)
        add(journal, "a", "b")
        events = journal.after(0, 9)
    assert [json.loads(one.data)["event"] for one in events] == ["a", "b"]


def test_it_is_bounded_in_number() -> None:
    journal = Journal(kept=3)
    add(journal, *"abcde")
    assert names(journal) == ["c", "d", "e"]
    assert names(journal, 4) == ["e"]
    assert names(journal, 5) == names(journal, 99) == []
    assert names(journal, 2, limit=2) == ["c", "d"]


def test_it_is_bounded_in_bytes() -> None:
    journal = Journal(kept_bytes=3000)
    for number in range(50):
        journal.add("info", {"event": str(number), "detail": "x" * 900})
    assert names(journal) == ["48", "49"]


def test_the_id_of_another_run_is_seen_to_be_one() -> None:
    journal, other = Journal(), Journal()
    add(journal, *"abc")
    add(other, *"abcdef")
    assert journal.position(journal.id_of(2)) == Position(2)
    assert journal.position(journal.id_of(0)) == Position(0)
    assert journal.position(other.id_of(2)) == Position(0, is_of_this_run=False)
    assert not journal.position(journal.id_of(4)).is_of_this_run, "not there yet"


@pytest.mark.parametrize("text", ["", "3", "x-3", "0123abcd-", "0123abcd-03", "0123abcd-3 ", "é"])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(UnknownIdError, match="is no ID of an event"):
        Journal().position(text)


async def test_readers_are_woken_once_whatever_thread_the_events_are_from() -> None:
    journal, woken, times = Journal(), asyncio.Event(), 0

    def wake() -> None:
        nonlocal times
        times += 1
        woken.set()

    add(journal, "a")
    with journal.waking(wake):
        writer = threading.Thread(target=add, args=(journal, *"bcdefgh"))
        writer.start()
        writer.join()
        async with asyncio.timeout(10):
            await woken.wait()
        assert times == 1
    add(journal, "i")
    await asyncio.sleep(0)
    assert times == 1, "nobody listens any more"


def test_a_loop_that_is_closed_stops_no_record() -> None:
    journal = Journal()

    async def listen() -> None:
        journal.waking(lambda: None).__enter__()

    asyncio.run(listen())
    add(journal, "a", "b")
    assert names(journal) == ["a", "b"]


def test_a_collector_that_logs_in_the_midst_of_it_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A finalizer may log at any allocation, also at those that the journal makes."""
    journal = Journal()

    def collected(value: object) -> int:
        add(journal, "from a finalizer")
        return sys.getsizeof(value)

    monkeypatch.setattr("vtid.http.journal.getsizeof", collected)
    add(journal, "one", "two")
    assert names(journal) == ["one", "two"]
    assert journal.last == 2


def test_what_a_template_quotes_is_not_public() -> None:
    journal = Journal()
    detail = "tunnel 'a': BIRD configuration: '/t.j2':1: 'hunter2' is no IP address"
    journal.add("error", {"event": "operation failed", "tunnel": "a", "detail": detail})
    journal.add("warning", {"event": "hook failed", "tunnel": "a", "detail": "hunter2"})
    for event in journal.after(0, 9):
        assert "hunter2" in event.data
        assert "hunter2" not in event.public
        assert json.loads(event.public)["tunnel"] == "a"
