"""Progress: which children exist or are being established, from list-sas. Pure.

While an IKE_SA is CONNECTING, list-sas shows no child of it, only the task CHILD_CREATE, and
another `initiate` would queue a further one: then all children of its connection count as being
in progress. (swanctl.conf names children; tasks do not.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.vici.sas import section_of, sections, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.vici.codec import Message

ALL_CHILDREN = ""
"""Stands for every child of a connection."""

_IKE_BEGINS = frozenset({"CREATED", "CONNECTING"})
"""ike_sa_state_t (libcharon/sa/ike_sa.h)."""

_MAKES_CHILDREN = frozenset({"CHILD_CREATE", "IKE_REAUTH", "IKE_REAUTH_COMPLETE"})
"""task_type_t (libcharon/sa/task.h); "IKE_REAUTH" has the children made anew."""

_CHILD_ENDS = frozenset({"REKEYED", "DELETING", "DELETED", "DESTROYING"})
"""child_sa_state_t (libcharon/sa/child_sa.h); in all others a child is there, or will be."""


def in_progress(message: Message) -> Iterator[tuple[str, str]]:
    """Return connection and child of each CHILD_SA of a list-sas part, also of a coming one."""
    for connection, ike in sections(message):
        tasks = {*texts(ike, "tasks-active"), *texts(ike, "tasks-queued")}
        if text(ike, "state") in _IKE_BEGINS or tasks & _MAKES_CHILDREN:
            yield connection, ALL_CHILDREN
        for _, child in sections(section_of(ike, "child-sas")):
            if text(child, "state") not in _CHILD_ENDS:
                yield connection, text(child, "name")
