"""Printable: text that leads neither a log nor a terminal astray. Pure, and cheap to import.

Identities and names are a peer's words: what is not printable in them is shown, never obeyed.
"""

from __future__ import annotations


def escape(text: str) -> str:
    r"""Make text printable: what is not becomes `\n`, `\x1b` or `\u202e`, as Python writes it."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
