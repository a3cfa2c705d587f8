"""Preview: what would be written into an include file, for `vtictl bird render`. Pure."""

from __future__ import annotations

import re
from difflib import unified_diff

_PASSWORD = re.compile(r'(\bpassword\s+)("[^"]*"?|\S+)', re.IGNORECASE)


def has_password(text: str) -> bool:
    """Return whether BIRD's configuration may have a password; fast on megabytes of text."""
    return "password" in text.lower()


def without_passwords(text: str) -> str:
    """Return BIRD's configuration, or a part of it, with `…` for every password."""
    return _PASSWORD.sub(r'\1"…"', text)


def difference(path: str, there: str, wanted: str) -> str:
    """Return the unified diff from the present file to the wanted one; empty if they are equal."""
    lines = unified_diff(
        there.splitlines(keepends=True), wanted.splitlines(keepends=True), path, f"{path} (wanted)"
    )
    return "".join(lines)
