"""The ESP algorithms of a CHILD_SA. Pure.

Rules of this file:

* It imports nothing: `vtictl mtu` starts fast because of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EspAlgorithms:
    """Negotiated ESP algorithms, named as VICI names them (`AES_GCM_16`, `HMAC_SHA2_256_128`).

    Key sizes are in bits, 0 where the algorithm has one size only. `integ` is empty for AEAD.
    """

    encr: str
    encr_keysize: int = 0
    integ: str = ""
    integ_keysize: int = 0
    esn: bool = False

    def __str__(self) -> str:
        encr = f"{self.encr}-{self.encr_keysize}" if self.encr_keysize else self.encr
        return f"{encr}/{self.integ}" if self.integ else encr
