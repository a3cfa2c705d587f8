"""Ask the kernel what fits through a VTI, for each ESP algorithm that it has.

Run as root in a network namespace of its own (`unshare --net`), with the outer family, the outer
MTU and, for NAT-T, `encap`: it prints a JSON object from the algorithms' VICI names to the MTU, or
to the error text of `ip` where the kernel refuses them. Each pair of algorithms gets an SA, a
policy and a VTI under a mark and to a peer of its own: a second VTI between the same addresses is
refused (EEXIST) whatever its key. A UDP packet that is too large and must not be fragmented makes
the kernel say what would fit (ip(7), IP_MTU).
"""

import contextlib
import json
import socket
import subprocess
import sys

IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14

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
    return "0x" + bytes((seed * 7 + i * 37) % 256 for i in range(size)).hex() if size else ""


def algorithms() -> dict[str, list[str]]:
    """Return the arguments of `ip xfrm state add` by VICI names."""
    found = {name: ["aead", alg, key(1, size), str(icv)] for name, (alg, size, icv) in AEAD.items()}
    for cipher, (alg, size) in CIPHERS.items():
        for integrity, (hash_alg, hash_size, icv) in INTEGRITY.items():
            if cipher in {"AES_CBC", "AES_CTR"} or integrity == "HMAC_SHA2_256_128":
                enc = ["enc", alg, key(1, size)]
                auth = ["auth-trunc", hash_alg, key(2, hash_size), str(icv)]
                found[f"{cipher}/{integrity}"] = enc + auth
    return found


def ip(*args: str) -> str:
    """Run `ip` and return its error text, empty on success."""
    return subprocess.run(["ip", *args], capture_output=True, text=True, check=False).stderr.strip()


def underlay(address: str, mtu: str) -> None:
    ip("link", "add", "out0", "mtu", mtu, "type", "dummy")
    ip("address", "add", address, "dev", "out0", "nodad")
    ip("link", "set", "out0", "up")


def vti_mtu(number: int, transform: list[str], outer: str, mtu: str, encap: list[str]) -> int | str:
    """Return the MTU through a tunnel of its own, or what `ip` says against it."""
    prefix = PREFIX[outer][0]
    local, remote = f"{prefix}1", f"{prefix}{number + 1}"
    mark = ["mark", str(number)]
    ends = ["src", local, "dst", remote]
    sa = ["proto", "esp", "spi", str(1000 + number), "reqid", str(number), "mode", "tunnel"]
    sa += ["flag", "af-unspec"]  # as charon does: any family inside
    selector = ["src", "0.0.0.0/0", "dst", "0.0.0.0/0", "dir", "out"]
    template = ["tmpl", *ends, "proto", "esp", "reqid", str(number), "mode", "tunnel"]
    kind = ["vti" if outer == "4" else "vti6", "local", local, "remote", remote]
    error = (
        ip("xfrm", "state", "add", *ends, *sa, *mark, *transform, *encap)
        or ip("xfrm", "policy", "add", *selector, *mark, *template)
        or ip("link", "add", f"vti{number}", "type", *kind, "key", str(number))
        or ip("link", "set", f"vti{number}", "mtu", mtu, "up")
        or ip("route", "add", f"198.18.{number}.1/32", "dev", f"vti{number}", "src", "198.18.0.1")
    )
    return error or fitting(f"198.18.{number}.1", int(mtu))


def fitting(address: str, mtu: int) -> int:
    """Send a packet of `mtu` bytes that must not be fragmented, and return what would fit."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        sock.connect((address, 9))
        with contextlib.suppress(OSError):  # the kernel may say at once that it is too large
            sock.send(bytes(mtu - 28))
        return sock.getsockopt(socket.IPPROTO_IP, IP_MTU)


def main(outer: str, mtu: str, *options: str) -> None:
    """Print the answers, as JSON."""
    underlay("1".join(PREFIX[outer]), mtu)
    ip("address", "add", "198.18.0.1/32", "dev", "lo")
    ip("link", "set", "lo", "up")
    no_original = "0.0.0.0"  # noqa: S104 - binds nothing
    encap = ["encap", "espinudp", "4500", "4500", no_original] if "encap" in options else []
    transforms = enumerate(algorithms().items(), 1)
    print(json.dumps({name: vti_mtu(n, args, outer, mtu, encap) for n, (name, args) in transforms}))


if __name__ == "__main__":
    main(*sys.argv[1:])
