"""Slim: keeps out what libraries would load beside what vtid uses of them. An edge.

`from aiohttp import web` also loads aiohttp's client, which makes a TLS context with all
certificates of the system: a fifth of all imports. structlog loads rich where the machine has it,
for colours in a terminal.

Rules of this file:

* It is for the process of the daemon, before anything of aiohttp and structlog is imported.
* Nothing is replaced: whatever part of them is asked for by its own name is there.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from types import ModuleType


def leave_out() -> None:
    """Leave out aiohttp's client and rich."""
    sys.modules.setdefault("rich", cast("ModuleType", None))
    if "aiohttp" not in sys.modules and (spec := find_spec("aiohttp")):
        package = module_from_spec(spec)  # whose own lines, which load all of it, are not run
        package.__dict__["__version__"] = ""
        sys.modules["aiohttp"] = package
