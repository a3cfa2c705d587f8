"""`vtid --describe`: the configuration without its secrets, and the versions, as JSON.

Rules of this file:

* It is read by others than those who may read the configuration. So values come from an allow-list:
  what the configuration's keys are known to be, never its text, its comments, or a message that
  quotes a value.
* Passwords are `Secret` and hide themselves; of `vars`, whose values are free, names are shown.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

from vtid import __version__
from vtid.config.load import ConfigError, load_all
from vtid.config.tables import written
from vtid.daemon import config_file

if TYPE_CHECKING:
    from pathlib import Path

_OS_KEYS = ("ID", "VERSION_ID", "VERSION_CODENAME")
"""Of os-release(5)."""

_PACKAGES = frozenset({"aiohttp", "jinja2", "pyroute2", "structlog", "vici"})


def description(path: Path) -> str:
    """Return the JSON document for the configuration in a file, also where it is not good."""
    return json.dumps({"versions": _versions(), **_configuration(path)})


def _configuration(path: Path) -> dict[str, Any]:
    try:
        config = load_all(config_file.sources(path))
    except config_file.UnreadableError as error:
        return {"config": None, "config_problems": config_file.lines(error)}
    except ConfigError as error:
        # a message may quote what stands at the wrong place
        places = [f"{one.file}, line {one.line}: {one.key}" for one in error.problems]
        return {"config": None, "config_problems": places}
    return {"config": without_vars(written(config, whole=True))}


def without_vars(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return JSON with the names of `vars` only, wherever they are."""
    if isinstance(value, list):
        return [without_vars(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _names(item) if key == "vars" else without_vars(item) for key, item in value.items()
    }


def _names(found: Any) -> list[str]:  # noqa: ANN401 - JSON
    """Return the names of a table, or of pairs of name and value."""
    return list(found) if isinstance(found, dict) else [pair[0] for pair in found]


def _versions() -> dict[str, Any]:
    return {
        "vtid": __version__,
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "system": _system(),
        "packages": {
            one.name: one.version for one in distributions() if one.name.lower() in _PACKAGES
        },
    }


def _system() -> dict[str, str]:
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return {}
    return {key: found[key] for key in _OS_KEYS if key in found}
