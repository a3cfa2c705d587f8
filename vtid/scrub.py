"""Scrub: take secrets out of a text, as the last of several hands. Standard library only.

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
    from collections.abc import Iterable

HIDDEN = "…"

_SHORTEST = 4
"""Characters of a known secret: shorter ones stand in too many words."""

_WORDS = r"(?:password|passwd|passphrase|secret|token|psk|api_?key)"

_KEY = re.compile(_WORDS, re.IGNORECASE)

_PATTERNS = (
    # credentials of a URL
    (re.compile(r"(://)[^/\s:@\"]*:[^/\s@\"]*(@)"), rf"\1{HIDDEN}\2"),
    # with quotes, as BIRD has it, also where they are escaped
    (
        re.compile(rf"(?i)\b({_WORDS}\b\\?[\"']?(?:\s*[:=]\s*|\s+))(\\?\")(?:[^\"\\]|\\[^\"])*\2"),
        rf"\1\2{HIDDEN}\2",
    ),
    # without
    (re.compile(rf"(?i)\b({_WORDS}\s*[:=]\s*)[^\s\"'\\,;}}\]]+"), rf"\1{HIDDEN}"),
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
    secrets = sorted((one for one in known if len(one) >= _SHORTEST), key=len, reverse=True)
    return _text(text, secrets)


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
            key: HIDDEN if isinstance(one, str) and _KEY.fullmatch(key) else _value(one, known)
            for key, one in value.items()
        }
    return value
