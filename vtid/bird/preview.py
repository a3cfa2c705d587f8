"""What would be written into an include file, for an operator to read. Pure."""

from __future__ import annotations

import re
from difflib import unified_diff

_PASSWORD = re.compile(r'(\bpassword\s+)("[^"]*"?|\S+)', re.IGNORECASE)


def has_password(text: str) -> bool:
    """Tell whether BIRD's configuration may have a password; quick with megabytes of it."""
    return "password" in text.lower()


def without_passwords(text: str) -> str:
    """Return BIRD's configuration, or a part of it, with `…` for every password."""
    return _PASSWORD.sub(r'\1"…"', text)


def difference(path: str, there: str, wanted: str) -> str:
    """Return the unified diff from what a file says to what it should say; empty if it does."""
    lines = unified_diff(
        there.splitlines(keepends=True), wanted.splitlines(keepends=True), path, f"{path} (wanted)"
    )
    return "".join(lines)
