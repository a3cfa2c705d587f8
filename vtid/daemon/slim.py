"""Slim: keeps out what libraries would load beside what vtid uses of them. An edge.

* asyncio, aiohttp and hashlib load OpenSSL where they find it, which only TLS needs: a tenth of all
  memory with few tunnels.
* `from aiohttp import web` also loads aiohttp's client, and prometheus_client a server of its own.
* structlog loads rich where the machine has it, for colours in a terminal.
* frozenlist, of aiohttp, is there in C++ for speed, and as Python.

Rules of this file:

* It is for the process of the daemon, before anything of these is imported.
* The garbage collector rests meanwhile: nearly all that imports make stays, and it would look at
  it again and again, for a tenth of the time that a start takes.
* Nothing is replaced: whatever part of them is asked for by its own name afterwards is there.
"""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHA = ("_sha2", "_sha256")
"""Python's own SHA-2, from 3.12 on and before. Some distributions leave it out: there, hashlib has
nothing but OpenSSL's (`_hashlib`)."""

_ABSENT = ("ssl", "rich", "frozenlist._frozenlist")
"""Modules that those who import them can do without."""

_BARE = ("aiohttp", "prometheus_client")
"""Packages whose own lines, which load all of them, are not run."""


@contextmanager
def left_out() -> Iterator[None]:
    """Leave out what is not needed from the imports that are made meanwhile."""
    for name in _BARE:
        if name not in sys.modules and (spec := find_spec(name)):
            package = module_from_spec(spec)
            package.__dict__["__version__"] = ""
            sys.modules[name] = package
    collects = gc.isenabled()
    gc.disable()
    can_do_without = (*_ABSENT, "_hashlib") if any(map(find_spec, _SHA)) else _ABSENT
    absent = [name for name in can_do_without if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type] # None: there is none
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
        if collects:
            gc.enable()
