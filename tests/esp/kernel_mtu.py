"""Ask the kernel what fits through a VTI, for each ESP algorithm that it has.

Run as root in a network namespace of its own (`unshare --net`), with the outer family, the outer
MTU and, for NAT-T, `encap`: it prints a JSON object from the algorithms' VICI names to the MTU, and
fails with what `ip` says where the kernel refuses one. Each pair of algorithms gets an SA, a policy
and a VTI under a mark and to a peer of its own: a second VTI between the same addresses is refused
(EEXIST) whatever its key. A UDP packet that is too large and must not be fragmented makes the
kernel say what would fit (ip(7), IP_MTU).
"""

import contextlib
import json
import socket
import subprocess
import sys
import time

PATIENCE = 100
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14

INSIDE = "198.18.0.1"
PREFIX = {"4": ("192.0.2.", "/24"), "6": ("2001:db8::", "/64")}

AEAD = {
    "AES_GCM_8": ("rfc4106(gcm(aes))", 20, 64),
    "AES_GCM_12": ("rfc4106(gcm(aes))", 20, 96),
    "AES_GCM_16": ("rfc4106(gcm(aes))", 36, 128),
    "AES_CCM_8": ("rfc4309(ccm(aes))", 19, 64),
    "AES_CCM_12": ("rfc4309(ccm(aes))", 19, 96),
    "AES_CCM_16": ("rfc4309(ccm(aes))", 35, 128),
    "NULL_AES_GMAC": ("rfc4543(gcm(aes))", 20, 128),
    "CHACHA20_POLY1305": ("rfc7539esp(chacha20,poly1305)", 36, 128),
}
CIPHERS = {
    "NULL": ("ecb(cipher_null)", 0),
    "AES_CBC": ("cbc(aes)", 16),
    "AES_CTR": ("rfc3686(ctr(aes))", 20),
    "CAMELLIA_CBC": ("cbc(camellia)", 32),
    "3DES_CBC": ("cbc(des3_ede)", 24),
    "DES_CBC": ("cbc(des)", 8),
    "BLOWFISH_CBC": ("cbc(blowfish)", 16),
    "CAST_CBC": ("cbc(cast5)", 16),
    "SERPENT_CBC": ("cbc(serpent)", 16),
    "TWOFISH_CBC": ("cbc(twofish)", 16),
}
INTEGRITY = {
    "HMAC_MD5_96": ("hmac(md5)", 16, 96),
    "HMAC_MD5_128": ("hmac(md5)", 16, 128),
    "HMAC_SHA1_96": ("hmac(sha1)", 20, 96),
    "HMAC_SHA1_160": ("hmac(sha1)", 20, 160),
    "HMAC_SHA2_256_96": ("hmac(sha256)", 32, 96),
    "HMAC_SHA2_256_128": ("hmac(sha256)", 32, 128),
    "HMAC_SHA2_384_192": ("hmac(sha384)", 48, 192),
    "HMAC_SHA2_512_256": ("hmac(sha512)", 64, 256),
    "AES_XCBC_96": ("xcbc(aes)", 16, 96),
    "AES_CMAC_96": ("cmac(aes)", 16, 96),
}


def key(seed: int, size: int) -> str:
    """Return a key in hexadecimal that no cipher calls weak; empty for no key."""
    return "0x" + bytes((seed * 7 + i * 37) % 256 for i in range(size)).hex() if size else '""'


def algorithms() -> dict[str, str]:
    """Return the arguments of `ip xfrm state add` by VICI names."""
    found = {name: f"aead {alg} {key(1, size)} {icv}" for name, (alg, size, icv) in AEAD.items()}
    for cipher, (alg, size) in CIPHERS.items():
        for integrity, (hash_alg, hash_size, icv) in INTEGRITY.items():
            if cipher in {"AES_CBC", "AES_CTR"} or integrity == "HMAC_SHA2_256_128":
                auth = f"auth-trunc {hash_alg} {key(2, hash_size)} {icv}"
                found[f"{cipher}/{integrity}"] = f"enc {alg} {key(1, size)} {auth}"
    return found


def underlay(outer: str, mtu: str) -> list[str]:
    """Return commands of `ip` for the way outside and the address inside."""
    return [
        f"link add out0 mtu {mtu} type dummy",
        f"address add {'1'.join(PREFIX[outer])} dev out0" + (" nodad" if outer == "6" else ""),
        "link set out0 up",
        f"address add {INSIDE} dev lo",
        "link set lo up",
    ]


def tunnel(number: int, transform: str, outer: str, mtu: str) -> list[str]:
    """Return commands of `ip` for a tunnel with its own mark, peer and route."""
    prefix = PREFIX[outer][0]
    local, remote = f"{prefix}1", f"{prefix}{number + 1}"
    ends, rest = f"src {local} dst {remote} proto esp", f"reqid {number} mode tunnel"
    any_family = "flag af-unspec"  # inside, as charon has it
    kind = "vti" if outer == "4" else "vti6"
    return [
        f"xfrm state add {ends} spi {number + 999} {rest} mark {number} {any_family} {transform}",
        f"xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out mark {number} tmpl {ends} {rest}",
        f"link add vti{number} type {kind} local {local} remote {remote} key {number}",
        f"link set vti{number} mtu {mtu} up",
        f"route add {inside(number)} dev vti{number} src {INSIDE}",
    ]


def inside(number: int) -> str:
    """Return the address behind a tunnel."""
    return f"198.18.{number}.1"


def fitting(address: str, mtu: int) -> int:
    """Send packets of `mtu` bytes that must not be fragmented until the kernel says what fits.

    An IPv6 address outside takes a moment to become usable; `mtu` itself means that none did.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        sock.connect((address, 9))
        for _ in range(PATIENCE):
            with contextlib.suppress(OSError):  # that it is too large, or no way out yet
                sock.send(bytes(mtu - 28))
            answer = sock.getsockopt(socket.IPPROTO_IP, IP_MTU)
            if answer < mtu:
                break
            time.sleep(0.1)
        return answer


def main(outer: str, mtu: str, *options: str) -> None:
    """Print the answers, as JSON."""
    encap = " encap espinudp 4500 4500 0.0.0.0" if "encap" in options else ""
    numbered = dict(enumerate(algorithms().items(), 1))
    commands = underlay(outer, mtu)
    for number, (_, transform) in numbered.items():
        commands += tunnel(number, transform + encap, outer, mtu)
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)
    answers = {name: fitting(inside(number), int(mtu)) for number, (name, _) in numbered.items()}
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
