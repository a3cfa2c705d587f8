"""Certificates: serial number, name and end of an X.509 certificate in DER (RFC 5280). Pure.

Only these are read, so only the way to them is: nothing is verified. Whatever is wrong is a
`ValueError`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from vtid.model.charon import Certificate
from vtid.vici.sas import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

SEQUENCE, SET, INTEGER, OID = 0x30, 0x31, 0x02, 0x06
VERSION = 0xA0
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18

COMMON_NAME = bytes.fromhex("550403")
"""id-at-commonName, 2.5.4.3."""

CENTURY = 50
"""Two digits of a UTCTime below this are of the 21st century (section 4.1.2.5.1)."""

FORMS = {UTC_TIME: "%y%m%d%H%M%SZ", GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}


class _Value(NamedTuple):
    tag: int
    content: bytes


def read_certificate(der: bytes) -> Certificate:
    """Read a certificate. Raises ValueError where it is none."""
    outer = _one(der, SEQUENCE)
    fields = list(_values(_one(outer, SEQUENCE)))
    if fields and fields[0].tag == VERSION:
        fields.pop(0)
    if len(fields) < 5:  # noqa: PLR2004 - serial, algorithm, issuer, validity, subject
        raise ValueError("a certificate has no subject")
    serial, _, _, validity, subject = fields[:5]
    ends = list(_values(validity.content))
    if serial.tag != INTEGER or len(ends) != 2:  # noqa: PLR2004 - not before, not after
        raise ValueError("a certificate has no serial number, or no validity")
    return Certificate(
        serial=serial.content.lstrip(b"\0").hex() or "00",
        name=_common_name(subject.content),
        expires_at=_time(ends[1]),
    )


def _common_name(subject: bytes) -> str:
    name = ""
    for part in _values(subject):
        for pair in _values(part.content):
            kind, value, *_ = (*_values(pair.content), _Value(0, b""), _Value(0, b""))
            if kind == _Value(OID, COMMON_NAME):
                name = escape(value.content)
    return name


def _time(value: _Value) -> float:
    if value.tag not in FORMS:
        raise ValueError(f"a time has the tag {value.tag:#x}")
    text = value.content.decode("ascii")
    found = datetime.strptime(text, FORMS[value.tag]).replace(tzinfo=UTC)
    if value.tag == UTC_TIME:
        century = 2000 if int(text[:2]) < CENTURY else 1900
        found = found.replace(year=century + int(text[:2]))
    return found.timestamp()


def _one(data: bytes, tag: int) -> bytes:
    found = next(_values(data), None)
    if found is None or found.tag != tag:
        raise ValueError("not a certificate")
    return found.content


def _values(data: bytes) -> Iterator[_Value]:
    """Yield tag and content of each value. Raises ValueError at one that is cut."""
    at = 0
    while at < len(data):
        tag, at = data[at], at + 1
        length, at = _length(data, at)
        if at + length > len(data):
            raise ValueError("a value is cut")
        yield _Value(tag, data[at : at + length])
        at += length


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return a length, and where the content begins (X.690, section 8.1.3)."""
    if at >= len(data):
        raise ValueError("a value has no length")
    first, at = data[at], at + 1
    if first < 0x80:  # noqa: PLR2004 - the short form
        return first, at
    size = first & 0x7F
    if not 1 <= size <= 4 or at + size > len(data):  # noqa: PLR2004 - 4 GiB are enough
        raise ValueError("a length is cut, or too long")
    return int.from_bytes(data[at : at + size], "big"), at + size
