"""Autoescape: quote each value for its place in BIRD's configuration. Pure.

A template's own text is trusted, the values of its expressions are not. `hole` marks a value, and
when the text is whole, `fill` follows BIRD's lexer (conf/cf-lex.l) through it:

    in code        a Word, a number as it is; any other text as a string, "text"
    in "a string"  its characters; those that a string cannot hold become ?
    in 'a symbol'  if a symbol can have its characters
    in a comment   its characters on one line

Rules of this file:

* No value can leave its place, whoever chose it.
* A text that ends within a string, a symbol or a comment, or has one of several lines, is refused:
  BIRD would misread what follows it in the file.
"""

from __future__ import annotations

import re
from enum import Enum

from vtid.bird.quote import QUOTABLE, RenderError, SecretWord, Word, number, quoted

MARKS = re.compile("[\x02\x03]")
"""Around a value that waits for its place; no text of a template and no value has them."""

_HOLE = "\x02([swt])([^\x02\x03]*)\x03"
_CONTROL = re.compile(r"[^ -~]")
_MAX_NUMBER = 0xFFFFFFFF


class Place(Enum):
    """Where the lexer is, and what it looks for there."""

    CODE = r'"|\'|#|/\*'
    STRING = r'"|\n'
    SYMBOL = r"'|\n"
    LINE = r"\n"
    COMMENT = r"\*/"


_NEXT = {place: re.compile(f"{_HOLE}|{place.value}") for place in Place}
_OPENS = {'"': Place.STRING, "'": Place.SYMBOL, "#": Place.LINE, "/*": Place.COMMENT}


def hole(value: object) -> str:
    """Mark the value of an expression; raises RenderError if BIRD cannot represent it."""
    match value:
        case SecretWord():
            return f"\x02s{value}\x03"
        case Word():
            return f"\x02w{value}\x03"
        case str():
            return f"\x02t{_CONTROL.sub('?', value)}\x03"
        case bool():
            return "\x02wyes\x03" if value else "\x02wno\x03"
        case int():
            return f"\x02w{number('number', value, _MAX_NUMBER)}\x03"
    # what it is, not what is in it: that may be a password
    raise RenderError(f"a value of type {type(value).__name__} is no text, number or truth value")


def fill(text: str) -> str:
    """Put the values of a whole text into their places; raises RenderError."""
    filled, place, at = [], Place.CODE, 0
    while found := _NEXT[place].search(text, at):
        filled.append(text[at : found.start()])
        if found[1]:
            if found[1] == "s" and place is Place.SYMBOL:
                raise RenderError("a password cannot be in a symbol")
            filled.append(_put(found[2], place, safe=found[1] != "t"))
        else:
            filled.append(found[0])
            place = _after(place, found[0])
        at = found.end()
    if place not in {Place.CODE, Place.LINE}:
        raise RenderError(f"a {place.name.lower()} does not end")
    filled.append(text[at:])
    whole = "".join(filled)
    if MARKS.search(whole):
        raise RenderError("a filter has split a value: apply it to the value alone")
    return whole


def _after(place: Place, sign: str) -> Place:
    if place is Place.CODE:
        return _OPENS[sign]
    if sign == "\n" and place is not Place.LINE:
        raise RenderError(f"a {place.name.lower()} does not end on its line")
    return Place.CODE


def _put(value: str, place: Place, *, safe: bool) -> str:
    """Return what stands for a value in its place; `safe` is for what can be code."""
    match place:
        case Place.CODE:
            return value if safe else quoted(value)
        case Place.STRING:
            return quoted(value.strip('"') if safe else value)[1:-1]
        case Place.SYMBOL:
            return _in_symbol(value.strip("'") if safe else value)
        case Place.LINE:
            return value
        case Place.COMMENT:
            return re.sub(r"[*/]", "?", value)


def _in_symbol(value: str) -> str:
    if not QUOTABLE.fullmatch(value):
        raise RenderError(f"{value!r} cannot be in a symbol: letters, digits, _ . : and - can")
    return value
