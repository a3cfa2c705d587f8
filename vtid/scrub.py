"""Scrub: take secrets out of a text, as the last of several hands; know one that quotes `vars`.

Standard library only.

Rules of this file:

* What goes to others is chosen from lists of what may; this is for what slipped in all the same:
  words of other programs in a log or an error. Rather too much is hidden than too little.
* JSON stays JSON, also in a string of JSON.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HIDDEN = "…"

QUOTES_VARS = "BIRD configuration: "
"""Stands in an error before what a template quotes, or made: it may have a value of `vars`."""

_SHORTEST = 4
"""Characters of a known secret: shorter ones stand in too many words."""

_WORDS = r"(?:password|passwd|passphrase|secret|token|psk|(?:api|private)[_-]?key)"
"""How names of secrets end: `bgp_password` is one as well."""

_KEY = re.compile(rf"{_WORDS}$", re.IGNORECASE)

_NAME = rf"(?i)({_WORDS}\\?[\"']?(?:\s*[:=]\s*|\s+))"

_PATTERNS = (
    # credentials of a URL
    (re.compile(r"(://)[^/\s:@\"]*:[^/\s@\"]*(@)"), rf"\1{HIDDEN}\2"),
    # in quotes, to their end or that of a line that was cut; as strings of JSON have them, too
    (re.compile(_NAME + r"(\")(?:[^\"\\\n]|\\.)*(\"|$)", re.MULTILINE), rf"\1\2{HIDDEN}\3"),
    (re.compile(_NAME + r"(')(?:[^'\\\n]|\\.)*('|$)", re.MULTILINE), rf"\1\2{HIDDEN}\3"),
    (
        re.compile(_NAME + r"(\\\")(?:[^\"\\\n]|\\\\(?:\\[\"\\]|[^\"\\]))*(\\\"|$)", re.MULTILINE),
        rf"\1\2{HIDDEN}\3",
    ),
    # without
    (re.compile(rf"(?i)({_WORDS}[\"']?\s*[:=]\s*)[^\s\"'\\,;}}\]]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(basic|bearer)\s+[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    # bcrypt, as in a web configuration of Prometheus
    (re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]+"), HIDDEN),
    # keys as strongSwan and ip-xfrm write them
    (re.compile(r"\b0[xs][A-Za-z0-9+/]{24,}={0,2}"), HIDDEN),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END[A-Z -]*-----|\Z)", re.DOTALL),
        HIDDEN,
    ),
)


def scrub(text: str, known: Iterable[str] = ()) -> str:
    """Return a text without what looks like a secret, and without those that are `known`."""
    written = {form for one in known if len(one) >= _SHORTEST for form in _forms(one)}
    return _text(text, sorted(written, key=len, reverse=True))


def _forms(secret: str) -> Iterator[str]:
    """Yield how a text may have a secret: as it is, or in a string of JSON."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]


def _text(text: str, known: list[str]) -> str:
    if text[:1] in {"{", "["}:
        try:
            found = _value(json.loads(text), known)
        except (ValueError, RecursionError):  # no JSON, or none that anybody means
            pass
        else:
            return json.dumps(found, indent=1 if "\n" in text else None)
    for secret in known:
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def _value(value: Any, known: list[str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return _text(value, known)
    if isinstance(value, list):
        return [_value(one, known) for one in value]
    if isinstance(value, dict):
        return {
            key: HIDDEN if isinstance(one, str) and _KEY.search(key) else _value(one, known)
            for key, one in value.items()
        }
    return value
