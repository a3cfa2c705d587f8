"""Record what a real charon lists of its connections and SAs; golden/README.md has the command.

Rules of this file: those of `record`.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from tests.charon import Charon, pair
from tests.vici.record import Recorder

GATEWAY = """
connections {
    site {
        version = 2
        local_addrs = 2001:db8::1
        remote_addrs = 2001:db8::2
        mobike = no
        local { auth = psk; id = a.example; }
        remote { auth = psk; id = b.example; }
        children {
            bgp { local_ts = 0.0.0.0/0,::/0;
                remote_ts = 0.0.0.0/0,::/0; mark_in = 42; mark_out = 42; }
            lan { local_ts = 10.1.0.0/16;
                remote_ts = 10.2.0.0/16,10.4.0.0/16; if_id_in = 7; if_id_out = 7; }
            lan2 { local_ts = 10.3.0.0/16;
                remote_ts = 10.5.0.0/16[tcp/443]; if_id_in = 7; if_id_out = 7; }
            split { local_ts = 10.6.0.0/16; remote_ts = 10.7.0.0/16; if_id_in = 8; if_id_out = 9; }
            policy { local_ts = 10.8.0.0/16; remote_ts = 10.9.0.0/16; }
            gre { local_ts = dynamic[gre]; remote_ts = dynamic[gre]; mode = transport; }
            idle { local_ts = 10.10.0.0/16; remote_ts = 10.11.0.0/16; }
        }
    }
    rw {
        version = 2
        local_addrs = 192.0.2.1
        pools = rw
        local { auth = psk; id = gw.example; }
        remote { auth = psk; }
        children {
            net { local_ts = 10.1.0.0/16; mark_in = %unique; mark_out = %unique; }
        }
    }
    bypass {
        remote_addrs = 127.0.0.1
        children {
            lan { local_ts = 10.1.0.0/16; remote_ts = 10.1.0.0/16; mode = pass; }
        }
    }
}
pools { rw { addrs = 10.99.0.0/24; } }
secrets { ike-all { secret = golden; } }
"""
"""The gateway: each kind of child that a suggestion has to tell apart, and a road warrior."""

CHILDREN = ("bgp", "lan", "lan2", "split", "policy")

PEER = """
connections {
    site {
        version = 2
        local_addrs = 2001:db8::2
        remote_addrs = 2001:db8::1
        mobike = no
        local { auth = psk; id = b.example; }
        remote { auth = psk; id = a.example; }
        children {
            bgp { local_ts = 0.0.0.0/0,::/0;
                remote_ts = 0.0.0.0/0,::/0; mark_in = 42; mark_out = 42; }
            lan { local_ts = 10.2.0.0/16,10.4.0.0/16;
                remote_ts = 10.1.0.0/16; if_id_in = 7; if_id_out = 7; }
            lan2 { local_ts = 10.5.0.0/16[tcp/443];
                remote_ts = 10.3.0.0/16; if_id_in = 7; if_id_out = 7; }
            split { local_ts = 10.7.0.0/16; remote_ts = 10.6.0.0/16; if_id_in = 8; if_id_out = 9; }
            policy { local_ts = 10.9.0.0/16; remote_ts = 10.8.0.0/16; }
            gre { local_ts = dynamic[gre]; remote_ts = dynamic[gre]; mode = transport; }
        }
    }
    home {
        version = 2
        local_addrs = 192.0.2.2
        remote_addrs = 192.0.2.1
        vips = 0.0.0.0
        local { auth = psk; id = carol@example.com; }
        remote { auth = psk; id = gw.example; }
        children { net { remote_ts = 10.1.0.0/16; mark_in = 5; mark_out = 5; } }
    }
}
secrets { ike-all { secret = golden; } }
"""


def lines(text: str) -> str:
    """One setting a line, as swanctl.conf wants it."""
    return re.sub(r"; *", "\n", re.sub(r"\{ *|(?=\})", lambda found: found[0] + "\n", text))


def main() -> None:
    with pair(lines(GATEWAY), lines(PEER)) as (a, b):
        for charon, nets in ((a, (1, 3, 6, 8, 10)), (b, (2, 4, 5, 7, 9))):
            for net in nets:  # kernel-libipsec routes from an address in the selectors
                charon.ip("address", "add", f"10.{net}.0.1/32", "dev", "lo")
        b.ip("address", "add", "10.99.0.1/32", "dev", "lo")  # its virtual IP
        for child in CHILDREN:
            a.swanctl("--initiate", "--ike", "site", "--child", child)
        b.swanctl("--initiate", "--ike", "home", "--child", "net")
        recorder = listing(a)
    text = "".join(json.dumps(line) + "\n" for line in recorder.lines)
    (Path(sys.argv[1]) / "conns.jsonl").write_text(re.sub(r"vtid-\w+-", "", text))


def listing(charon: Charon) -> Recorder:
    """Have a charon list connections and SAs."""
    recorder = Recorder(charon)
    recorder.send(3, "list-conn")
    for command in ("list-conns", "list-sas"):
        recorder.after = command
        recorder.send(0, command)
        time.sleep(2)
    return recorder


if __name__ == "__main__":
    main()
