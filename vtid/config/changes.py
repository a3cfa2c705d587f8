"""Changes: what differs between two configurations, and what they can share. Pure."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Config, Daemon
    from vtid.config.tables import Table


def changes(before: Config, after: Config) -> tuple[str, ...]:
    """Return one line for each table that was added, removed or changed, with the changed keys.

    `[defaults]` is merged into the tunnels, and shows there.
    """
    single = (one.name for one in fields(after) if one.name not in _OTHERWISE)
    return (
        *(
            line
            for name in single
            for line in _changed(f"[{name}]", getattr(before, name), getattr(after, name))
        ),
        *_of_all("[[bird]]", _birds(before), _birds(after)),
        *_of_all("[[tunnel]]", _policies(before), _policies(after)),
    )


def at_next_start(started: Daemon, after: Daemon) -> tuple[str, ...]:
    """Return the keys that differ from those that vtid started with and only a start uses."""
    keys = [one.name for one in fields(after) if one.name not in {"hooks", "log_level"}]
    return tuple(f"daemon.{key}" for key in keys if getattr(started, key) != getattr(after, key))


def sharing(before: Config, after: Config) -> Config:
    """Return `after` with the very policies of `before` where they are equal.

    So a reload costs memory only for what it changes, and what it leaves is seen at a glance.
    """
    known = {(one.connection, one.child): one for one in before.policies}
    found = ((known.get((one.connection, one.child)), one) for one in after.policies)
    policies = tuple(old if old == one else one for old, one in found)
    return replace(after, policies=policies)


_OTHERWISE = {"defaults", "birds", "policies"}
"""Fields that are no single table, or have no meaning of their own."""


def _birds(config: Config) -> dict[str, Table]:
    return {bird.name: bird for bird in config.birds}


def _policies(config: Config) -> dict[str, Table]:
    return {f"{one.connection}/{one.child}": one for one in config.policies}


def _of_all(kind: str, before: dict[str, Table], after: dict[str, Table]) -> Iterator[str]:
    """Compare tables by their names, which are unique."""
    for name in sorted(before.keys() | after.keys()):
        title, old, new = f"{kind} {name}", before.get(name), after.get(name)
        if old and new:
            yield from _changed(title, old, new)
        else:
            yield f"{title} {'added' if new else 'removed'}"


def _changed(title: str, old: Table, new: Table) -> Iterator[str]:
    if old == new:
        return
    names = (one.name for one in fields(new))  # type: ignore[arg-type]
    keys = (name for name in names if getattr(old, name) != getattr(new, name))
    yield f"{title} changed: {', '.join(keys)}"
