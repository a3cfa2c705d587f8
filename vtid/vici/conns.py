"""What a list-conn message means: the connections that charon has loaded. Pure.

Rules of this file:

* What a message lacks is empty: a connection is shown to people, nothing is decided by it.
* Texts are escaped, as in `sas`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.connection import ChildConfig, Connection
from vtid.vici.sas import sections, text, texts

if TYPE_CHECKING:
    from vtid.vici.codec import Message


def parse_list_conn(message: Message) -> list[Connection]:
    """Return the connections of one list-conn part (vici_query.c, `list_conns`)."""
    return [_connection(name, section) for name, section in sections(message)]


def _connection(name: str, section: Message) -> Connection:
    children = section.get("children")
    return Connection(
        name,
        local_addrs=texts(section, "local_addrs"),
        remote_addrs=texts(section, "remote_addrs"),
        remote_ids=tuple(
            text(round_, "id", "%any")
            for key, round_ in sections(section)
            if key.startswith("remote")
        ),
        children=tuple(
            ChildConfig(
                child,
                text(config, "mode"),
                local_ts=texts(config, "local-ts"),
                remote_ts=texts(config, "remote-ts"),
            )
            for child, config in sections(children if isinstance(children, dict) else {})
        ),
    )
