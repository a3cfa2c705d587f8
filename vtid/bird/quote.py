"""Values in BIRD's language: each function returns text that is safe as it stands, or refuses.

Rules of this file:

* What a function returns is a `Word` or an int: it can be BIRD's code as it stands. Any other text
  can only be a string, a part of one, or a comment (`vtid.bird.autoescape`).
* Characters are allowed by list, never refused by list.
* An error quotes what it is about, but never a password.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_interface

MAX_SYMBOL = 63
"""SYM_MAX_LEN of BIRD's conf/conf.h, without the NUL."""

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
QUOTABLE = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)


class RenderError(ValueError):
    """What BIRD's language cannot say, a template that is none, or a file that is not vtid's."""


class Word(str):
    """Text that is safe in BIRD's configuration as it stands."""

    __slots__ = ()


class SecretWord(Word):
    """A password as a BIRD string."""

    __slots__ = ()


def named(text: str) -> str:
    """Return how an error names a text."""
    return "a password" if isinstance(text, SecretWord) else repr(text)


def symbol(text: str) -> Word:
    """Return a BIRD symbol, in single quotes where it is no identifier (conf/cf-lex.l)."""
    if len(text) > MAX_SYMBOL or not QUOTABLE.fullmatch(text):
        raise RenderError(
            f"{named(text)} is no BIRD symbol: use 1 to {MAX_SYMBOL} letters, digits, _ . : and -"
        )
    return Word(text if IDENTIFIER.fullmatch(text) else f"'{text}'")


def quoted(text: str) -> Word:
    """Return a BIRD string; what it cannot hold (quotes, control characters) becomes `?`."""
    return Word('"' + re.sub(r'[^ -~]|"', "?", text) + '"')


def secret(text: str) -> SecretWord:
    """Return a password as a BIRD string, exactly or not at all."""
    word = quoted(text)
    if word != f'"{text}"' or not text:
        raise RenderError('a password for BIRD has printable ASCII characters, and no "')
    return SecretWord(word)


def interface(text: str) -> Word:
    """Return an interface name as a BIRD string, exactly or not at all."""
    word = quoted(text)
    if word != f'"{text}"' or not text:
        raise RenderError(f"{named(text)} is no interface name for BIRD")
    return word


def address(text: str) -> Word:
    """Return an address in canonical form, without a zone."""
    try:
        parsed = ip_address(text)
    except ValueError as error:
        raise RenderError(f"{named(text)} is no IP address") from error
    if isinstance(parsed, IPv6Address) and parsed.scope_id:
        raise RenderError(f"{named(text)} has a zone: the session's interface says it already")
    return Word(str(parsed))


def prefix(text: str) -> Word:
    """Return an address with prefix length in canonical form."""
    try:
        return Word(str(ip_interface(text)))
    except ValueError as error:
        raise RenderError(f"{named(text)} is no address with prefix length") from error


def policy(text: str) -> Word:
    """Return `all`, `none` or the name of a filter for `import` and `export`."""
    return Word(text) if text in {"all", "none"} else Word(f"filter {symbol(text)}")


def number(name: str, value: int, highest: int) -> int:
    """Return `value` if it is from 0 to `highest`."""
    if type(value) is not int or not 0 <= value <= highest:
        raise RenderError(f"{name} {value!r} is not from 0 to {highest}")
    return value
