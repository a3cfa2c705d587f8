"""Packed: a long text of an answer, which is never there as a whole. Pure.

It is compressed while it is written, a piece at a time, and unpacked so for who wants it plain:
10,000 tunnels are 20 MB of JSON and 80 MB of metrics, of which each slow client may hold one.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 4096
"""Compressed bytes that are unpacked at once: about 80 KiB of text, a fraction of a millisecond."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A text."""

    compressed: bytes
    """With gzip."""
    size: int
    """Bytes of the text."""

    def plain(self) -> Iterator[bytes]:
        """Yield the text in pieces."""
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        for start in range(0, len(self.compressed), _PIECE):
            yield unpack.decompress(self.compressed[start : start + _PIECE])


class Packer:
    """Compresses a text as it comes."""

    def __init__(self) -> None:
        self._pack = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
        self._pieces: list[bytes] = []
        self._size = 0

    def put(self, text: str) -> None:
        """Take a piece."""
        self.put_bytes(text.encode())

    def put_bytes(self, text: bytes) -> None:
        """Take a piece that is encoded already."""
        self._size += len(text)
        self._pieces.append(self._pack.compress(text))

    def packed(self) -> Packed:
        """Return all that came."""
        return Packed(b"".join((*self._pieces, self._pack.flush())), self._size)
