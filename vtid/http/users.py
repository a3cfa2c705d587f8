"""Users: HTTP basic authentication (RFC 7617) by bcrypt hashes. Part of the edge.

* Hashes are those of exporter-toolkit's `basic_auth_users`, and the system's libcrypt compares
  them (crypt(3)): a bcrypt of our own would be slow, another package one more to trust.
* A hash takes a good part of a second on purpose. So they are compared one at a time, in a worker
  thread, and a password that was right is known again at once: a scrape does not wait for whoever
  guesses.
* A user that does not exist takes as long as one that does.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ctypes
import hashlib
import hmac
import os
from functools import cache
from typing import TYPE_CHECKING

from vtid.http.listen import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")

_DATA_SIZE = 256 * 1024
"""Bytes for struct crypt_data: 32 KiB in libxcrypt, 128 KiB in glibc."""

_TABLE = "[metrics.basic_auth_users]"

_PROBE = b"$2y$04$" + b"." * 22


class Users:
    """The users that may pass; anyone may where there are none."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        """Take bcrypt hashes by user. Raises ServerError where the system cannot compare them."""
        self._hashes = {user.encode(): found.encode() for user, found in hashes.items()}
        self._known: dict[bytes, bytes] = {}
        self._key = os.urandom(32)
        self._turn = asyncio.Lock()
        if self._hashes and not _crypt(b"", _PROBE).startswith(_PROBE):
            raise ServerError(f"{_TABLE}: the libcrypt of this system lacks bcrypt")

    async def may_pass(self, authorization: str) -> bool:
        """Whether an Authorization header has the name and the password of a user."""
        if not self._hashes:
            return True
        found = credentials(authorization)
        if found is None:
            return False
        user, password = found
        digest = hmac.digest(self._key, user + b":" + password, hashlib.sha256)
        if hmac.compare_digest(self._known.get(user, b""), digest):
            return True
        hashed = self._hashes.get(user)
        async with self._turn:
            setting = hashed or next(iter(self._hashes.values()))
            got = await asyncio.to_thread(_crypt, password, setting)
        is_right = hashed is not None and hmac.compare_digest(got, hashed)
        if is_right:
            self._known[user] = digest
        return is_right


def credentials(authorization: str) -> tuple[bytes, bytes] | None:
    """Return user and password of an Authorization header; None where it has none.

    A NUL would end the password for crypt(3), and is in none.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = text.partition(b":")
    return (user, password) if colon and b"\0" not in password else None


def _crypt(password: bytes, setting: bytes) -> bytes:
    """Hash a password as a setting or an older hash says; empty where that is not possible."""
    data = ctypes.create_string_buffer(_DATA_SIZE)
    return _library().crypt_r(password, setting, data) or b""


@cache
def _library() -> ctypes.CDLL:
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.crypt_r.restype = ctypes.c_char_p
        library.crypt_r.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        return library
    raise ServerError(
        f"{_TABLE}: {LIBRARIES[0]} is missing: install libcrypt1 (Debian) or libxcrypt"
    )
