"""Record what a real charon says over VICI, as golden files; README.md there has the command.

Rules of this file: it knows framing only (a length and a payload) and stores payloads as they
came, so that the codec under test has no part in making its own test data.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import sys
import time
from pathlib import Path
from threading import Thread

from tests.charon import Charon, pair

EVENTS = ("ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey", "list-sa")

SWANCTL_CONF = """
connections {{
    six {{
        version = 2
        local_addrs = 2001:db8::{me}
        remote_addrs = 2001:db8::{other}
        mobike = no
        proposals = aes256gcm16-prfsha384-ecp384
        local {{
            auth = psk
            id = {my_id}
        }}
        remote {{
            auth = psk
            id = {other_id}
        }}
        children {{
            net {{
                local_ts = ::/0,0.0.0.0/0
                remote_ts = ::/0,0.0.0.0/0
                esp_proposals = aes256gcm16-prfsha384-ecp384
                mark_in = 42
                mark_out = 42
            }}
            masked {{
                local_ts = 10.0.{me}.0/24
                remote_ts = 10.0.{other}.0/24
                esp_proposals = aes128-sha256-modp2048-esn
                mark_in = 0x1f00/0xff00
                mark_out = 0x1e00/0xff00
            }}
        }}
    }}
    four {{
        version = 2
        remote_addrs = {peer4}
        encap = yes
        proposals = aes128-sha256-modp2048
        local {{
            auth = psk
            id = "C=CH, O=Green, CN={my_id}"
        }}
        remote {{
            auth = psk
            id = "C=CH, O=Green, CN={other_id}"
        }}
        children {{
            interface {{
                local_ts = 0.0.0.0/0
                remote_ts = 0.0.0.0/0
                esp_proposals = aes128-sha256
                if_id_in = 7
                if_id_out = 8
            }}
            plain {{
                mode = transport
                esp_proposals = chacha20poly1305
            }}
        }}
    }}
}}
secrets {{
    ike-all {{
        secret = "golden"
    }}
}}
"""


def conf(me: int, other: int, peer4: str) -> str:
    """swanctl.conf of one end; the one with `%any` as `peer4` waits."""
    ids = {1: "a.example", 2: "b.example"}
    return SWANCTL_CONF.format(me=me, other=other, my_id=ids[me], other_id=ids[other], peer4=peer4)


class Recorder:
    """A VICI connection that has registered all events and notes every payload it reads."""

    def __init__(self, charon: Charon) -> None:
        self.lines: list[dict[str, str]] = []
        self.after = "connect"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(charon.vici)
        for event in EVENTS:
            self.send(3, event)
        Thread(target=self._read, daemon=True).start()

    def send(self, kind: int, name: str) -> None:
        payload = struct.pack("!BB", kind, len(name)) + name.encode()
        self.socket.sendall(struct.pack("!I", len(payload)) + payload)

    def _read(self) -> None:
        stream = self.socket.makefile("rb")
        while header := stream.read(4):
            payload = stream.read(struct.unpack("!I", header)[0])
            name = payload[2 : 2 + payload[1]].decode() if payload[0] == 7 else ""
            self.lines.append({"after": self.after, "event": name, "payload": payload.hex()})


def scenario(a: Charon, b: Charon) -> dict[str, Recorder]:
    """Everything that charon has an event for, once."""
    recorders = {"a": Recorder(a), "b": Recorder(b)}

    def do(charon: Charon, *command: str, listing: bool = True) -> None:
        for recorder in recorders.values():
            recorder.after = f"{charon.netns[-1]}: swanctl {' '.join(command)}"
        charon.swanctl(*command)
        if listing:
            settle()

    def settle() -> None:
        time.sleep(1)
        for recorder in recorders.values():
            recorder.after += "; list-sas"
            recorder.send(0, "list-sas")
        time.sleep(1)

    for child in ("net", "masked", "interface", "plain"):
        do(a, "--initiate", "--child", child, listing=False)
    settle()
    do(a, "--rekey", "--child", "net")
    do(b, "--rekey", "--child", "masked")
    do(a, "--rekey", "--ike", "six")
    # Without any IPv4 address left, MOBIKE moves the IKE_SA to IPv6.
    for recorder in recorders.values():
        recorder.after = "a: ip address del 192.0.2.1/24 dev eth0"
    a.ip("address", "del", "192.0.2.1/24", "dev", "eth0")
    time.sleep(4)
    settle()
    do(a, "--terminate", "--child", "masked")
    do(a, "--terminate", "--ike", "six")
    do(b, "--terminate", "--ike", "four")
    return recorders


def main() -> None:
    out = Path(sys.argv[1])
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (a, b):
        recorders = scenario(a, b)
        for name, recorder in recorders.items():
            text = "".join(json.dumps(line) + "\n" for line in recorder.lines)
            (out / f"{name}.jsonl").write_text(re.sub(r"vtid-\w+-", "", text))


if __name__ == "__main__":
    main()
