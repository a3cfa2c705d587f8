"""Printable: text that is safe for logs and terminals. Pure, and cheap to import.

Identities and names come from peers: unprintable characters in them are shown, never interpreted.
"""

from __future__ import annotations


def escape(text: str) -> str:
    r"""Return text with unprintable characters as Python writes them: `\n`, `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
