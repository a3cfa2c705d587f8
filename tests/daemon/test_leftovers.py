"""Interfaces of ours in namespaces that no policy names: a problem until they are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from vtid.daemon import leftovers as module
from vtid.daemon.leftovers import Leftovers

if TYPE_CHECKING:
    import pytest


async def test_what_is_left_over_is_told_once_and_until_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = ["namespace 'old' has 1 interface", "namespace 'older' has 2"]

    async def leftovers(known: frozenset[str]) -> tuple[str, ...]:
        return tuple(line for line in found if "private" not in known or "older" not in line)

    monkeypatch.setattr(module, "leftovers", leftovers)
    one = Leftovers()
    with capture_logs() as logs:
        await one.look(frozenset())
        (first, _) = one.troubles()
        await one.look(frozenset())
    assert [entry["detail"] for entry in logs] == found
    assert one.lines == tuple(found)
    assert next(iter(one.troubles())) == first
    await one.look(frozenset({"private"}))
    assert one.lines == (found[0],)
