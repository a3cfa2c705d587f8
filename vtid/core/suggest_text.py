"""Suggestions as the text of a `vtid.toml`. Pure.

Rules of this file:

* `config/load.py` reads the text. Whatever charon said stands in strings or comments, and cannot
  end them: it has no unprintable characters (`vici/sas.py`).
* What only a person knows is a key that is commented out, with an example after RFC 3927.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.core.suggest import Suggestion, Value
    from vtid.core.suggest_routes import RouteKeys

DEFAULT_SOCKET = "/run/charon.vici"

_HEAD = """\
# Suggested by vtid from the connections and SAs of charon, strongSwan {version}.
# Fill in what only you know, and check it with `vtid --check --config FILE`.
# In strongswan.conf, charon needs `install_routes = no`, and `install_virtual_ip = no` where a peer
# gives it addresses: VICI does not tell whether it has them.
"""

_ADDRESSES = '#addresses = ["169.254.0.1/{length}"]  # yours in this tunnel'

_SESSION = """\
#[tunnel.bgp]
#neighbor = "169.254.0.2"  # the peer's
#local_as = 65001
#remote_as = 65002
"""

_BIRD = """
# For the BGP sessions, if there are any.
#[[bird]]
#name = "bird"
#socket = "/run/bird/bird.ctl"
#include = "/var/lib/vtid/bird/bird.conf"
"""


def suggested(suggestions: Iterable[Suggestion], version: str, socket: str) -> str:
    """Return the text for suggestions; `version` and `socket` are charon's."""
    found = tuple(suggestions)
    parts = [_HEAD.format(version=version)]
    if socket != DEFAULT_SOCKET:
        parts.append(f"\n[vici]\nsocket = {_value(socket)}\n")
    if not found:
        parts.append("\n# charon has no connections: load them with `swanctl --load-all`.\n")
    parts += ("\n" + "".join(f"{line}\n" for line in _lines(one)) for one in found)
    if any(one.works and not one.many for one in found):
        parts.append(_BIRD)
    return "".join(parts)


def _lines(suggestion: Suggestion) -> Iterator[str]:
    yield f"# {suggestion.title}"
    yield from (f"# {note}" for note in suggestion.notes)
    if not suggestion.keys:
        return
    margin = "" if suggestion.works else "#"
    yield f"{margin}[[tunnel]]"
    for key, value in suggestion.keys:
        yield from (f"{margin}{line}" for line in f"{key} = {_value(value)}".splitlines())
    if not suggestion.works:
        return
    if "addresses" not in dict(suggestion.keys):
        yield _ADDRESSES.format(length=32 if suggestion.many else 30)
    if not suggestion.many:
        yield from _SESSION.splitlines()


def _value(value: Value) -> str:
    """Write a value as TOML has it; JSON's strings and numbers are TOML's, too."""
    if isinstance(value, tuple) and value and not isinstance(value[0], str):
        return "\n".join(("[", *(f"    {_table(keys)}," for keys in value), "]"))
    return json.dumps(value, ensure_ascii=False)


def _table(keys: RouteKeys) -> str:
    pairs = (f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return f"{{ {', '.join(pairs)} }}"
