"""MTU: the largest packet that fits into an ESP tunnel, as the kernel counts it.

Rules of this file:

* Pure, and light: `vtictl mtu` imports it.
* Algorithms have the names that VICI gives them; an unknown one is an error, never a guess.

A packet of `mtu` bytes fills the outer MTU like this; what is encrypted, from the packet to the
next header, is padded to a multiple of the block size (RFC 4303 section 2):

    outer IP │ UDP │ SPI, sequence │ IV │ packet │ padding │ pad length, next header │ ICV
    20 or 40 │ 8   │ 8             │ iv │ mtu    │ …       │ 2                       │ icv

Sources: the kernel's `xfrm_state_mtu` (net/xfrm/xfrm_state.c), `esp_init_state` and
`esp_init_authenc` (net/ipv4/esp4.c, net/ipv6/esp6.c), `aead_list`, `aalg_list` and `ealg_list`
(net/xfrm/xfrm_algo.c); the names from strongSwan's `encryption_algorithm_names` and
`integrity_algorithm_names` (libstrongswan/crypto/crypters/crypter.c and signers/signer.c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from vtid.esp.algorithms import EspAlgorithms

IPV4_TCP_HEADERS: Final = 40
"""Bytes of an IPv4 and a TCP header without options (RFC 9293 section 3.7.1)."""

IPV6_TCP_HEADERS: Final = 60
"""Bytes of an IPv6 and a TCP header without options (RFC 9293 section 3.7.1)."""

IPV6_MIN_MTU: Final = 1280
"""Bytes; below it, the kernel takes IPv6 from an interface (RFC 8200, section 5)."""

_OUTER_IP: Final = {4: 20, 6: 40}
_UDP: Final = 8
_ESP_HEADER: Final = 8
_TRAILER: Final = 2
_AH_HEADER: Final = 12
_AH_ALIGNMENT: Final = 8
_MIN_ALIGNMENT: Final = 4


class UnknownAlgorithm(ValueError):  # noqa: N818 - reads as what it says
    """An algorithm whose sizes are not known; the text names it."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the tunnel adds to a full packet, part by part, in bytes."""

    outer_ip: int
    udp: int
    """NAT-T encapsulation (RFC 3948)."""
    esp_header: int
    """SPI and sequence number."""
    iv: int
    icv: int
    trailer: int
    """Pad length and next header."""
    alignment: int
    """The rest of the outer MTU that is too small for one more block."""

    @property
    def total(self) -> int:
        """Return the bytes of the outer MTU that are lost to the inner packet."""
        return (
            self.outer_ip
            + self.udp
            + self.esp_header
            + self.iv
            + self.icv
            + self.trailer
            + self.alignment
        )


@dataclass(frozen=True, slots=True)
class MtuResult:
    """What fits into a tunnel, in bytes; 0 or less if the overhead takes the whole outer MTU."""

    mtu: int
    mss4: int
    """Largest TCP segment in IPv4."""
    mss6: int
    """Largest TCP segment in IPv6."""
    overhead: Overhead


def tunnel_mtu(esp: EspAlgorithms, outer_family: int, *, encap: bool, underlay: int) -> MtuResult:
    """Return the largest packet that an ESP tunnel carries over an outer MTU of `underlay` bytes.

    `outer_family` is 4 or 6; `encap` says whether ESP goes in UDP. Raises `UnknownAlgorithm`.
    """
    cipher, icv = _sizes(esp)
    outer_ip, udp = _OUTER_IP[outer_family], _UDP if encap else 0
    room = underlay - outer_ip - udp - _ESP_HEADER - cipher.iv - icv
    alignment = room % max(_MIN_ALIGNMENT, cipher.block)
    mtu = room - alignment - _TRAILER
    return MtuResult(
        mtu=mtu,
        mss4=mtu - IPV4_TCP_HEADERS,
        mss6=mtu - IPV6_TCP_HEADERS,
        overhead=Overhead(
            outer_ip=outer_ip,
            udp=udp,
            esp_header=_ESP_HEADER,
            iv=cipher.iv,
            icv=icv,
            trailer=_TRAILER,
            alignment=alignment,
        ),
    )


def ah_mtu(integ: str, outer_family: int, *, underlay: int) -> int:
    """Return the largest packet that an AH tunnel carries over an outer MTU of `underlay` bytes.

    `integ` is VICI's name of the integrity algorithm. The header of 12 bytes and the ICV fill a
    multiple of 8 bytes (RFC 4302, section 2; the kernel's `ah_init_state` in net/ipv4/ah4.c, which
    pads IPv4 like IPv6 unless XFRM_STATE_ALIGN4 is set). Raises `UnknownAlgorithm`.
    """
    if integ not in _ICVS:
        raise UnknownAlgorithm(f"unknown AH integrity algorithm {integ!r}")
    header = _AH_HEADER + _ICVS[integ]
    return underlay - _OUTER_IP[outer_family] - header - (-header % _AH_ALIGNMENT)


# --- sizes ---------------------------------------------------------------------------------------


class _Cipher(NamedTuple):
    """Sizes in bytes; `icv` is None where a separate integrity algorithm protects the packet."""

    block: int
    iv: int
    icv: int | None = None


def _sizes(esp: EspAlgorithms) -> tuple[_Cipher, int]:
    """Return the cipher and the ICV's size; encryption without integrity has none."""
    cipher = _CIPHERS.get(esp.encr)
    if cipher is None:
        raise UnknownAlgorithm(f"unknown ESP encryption algorithm {esp.encr!r}")
    if cipher.icv is not None:
        return cipher, cipher.icv
    if esp.integ and esp.integ not in _ICVS:
        raise UnknownAlgorithm(f"unknown ESP integrity algorithm {esp.integ!r}")
    return cipher, _ICVS[esp.integ] if esp.integ else 0


_STREAM: Final = _Cipher(block=1, iv=8)
_CBC8: Final = _Cipher(block=8, iv=8)
_CBC16: Final = _Cipher(block=16, iv=16)

_CIPHERS: Final = {
    "NULL": _Cipher(block=1, iv=0),
    "AES_CBC": _CBC16,
    "AES_CTR": _STREAM,
    "AES_CCM_8": _STREAM._replace(icv=8),
    "AES_CCM_12": _STREAM._replace(icv=12),
    "AES_CCM_16": _STREAM._replace(icv=16),
    "AES_GCM_8": _STREAM._replace(icv=8),
    "AES_GCM_12": _STREAM._replace(icv=12),
    "AES_GCM_16": _STREAM._replace(icv=16),
    "NULL_AES_GMAC": _STREAM._replace(icv=16),
    "CHACHA20_POLY1305": _STREAM._replace(icv=16),
    "CAMELLIA_CBC": _CBC16,
    "CAMELLIA_CTR": _STREAM,
    "CAMELLIA_CCM_8": _STREAM._replace(icv=8),
    "CAMELLIA_CCM_12": _STREAM._replace(icv=12),
    "CAMELLIA_CCM_16": _STREAM._replace(icv=16),
    "3DES_CBC": _CBC8,
    "DES_CBC": _CBC8,
    "BLOWFISH_CBC": _CBC8,
    "CAST_CBC": _CBC8,
    "SERPENT_CBC": _CBC16,
    "TWOFISH_CBC": _CBC16,
}

_ICVS: Final = {
    "HMAC_MD5_96": 12,
    "HMAC_MD5_128": 16,
    "HMAC_SHA1_96": 12,
    "HMAC_SHA1_128": 16,
    "HMAC_SHA1_160": 20,
    "HMAC_SHA2_256_96": 12,
    "HMAC_SHA2_256_128": 16,
    "HMAC_SHA2_256_256": 32,
    "HMAC_SHA2_384_192": 24,
    "HMAC_SHA2_384_384": 48,
    "HMAC_SHA2_512_256": 32,
    "HMAC_SHA2_512_512": 64,
    "AES_XCBC_96": 12,
    "AES_CMAC_96": 12,
    "CAMELLIA_XCBC_96": 12,
}
