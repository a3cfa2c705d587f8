"""What is suggested for the connections and SAs of a real charon (tests/vici/record_conns.py)."""

from __future__ import annotations

from pathlib import Path

from tests.vici.golden_files import recorded
from vtid.config.load import load
from vtid.core.desired import refusal
from vtid.core.policies import Policies
from vtid.core.suggest import suggest
from vtid.core.suggest_text import suggested
from vtid.vici.codec import decode_packet
from vtid.vici.conns import parse_list_conn
from vtid.vici.sas import parse_list_sa

GOLDEN = Path(__file__).parent / "golden" / "suggested.toml"

PARTS = [(one.event, decode_packet(one.payload).message) for one in recorded("conns")]
CONNECTIONS = [one for name, part in PARTS if name == "list-conn" for one in parse_list_conn(part)]
SAS = [sa for name, part in PARTS if name == "list-sa" for sa in parse_list_sa(part, 0.0)[0]]

TEXT = suggested(suggest(CONNECTIONS, SAS), "5.9.8", "/run/charon.vici")


def test_the_text_is_as_it_was_looked_through() -> None:
    assert GOLDEN.read_text() == TEXT


def test_each_sa_has_one_tunnel_that_carries_it_or_the_text_says_why_not() -> None:
    policies = Policies(load(TEXT))
    unserved = set()
    for sa in SAS:
        matching = policies.matching(sa)
        if not matching:
            unserved.add(sa.child)
            continue
        (policy,) = matching
        assert not refusal(sa, policy.kind) or policy.interface_in
    assert unserved == {"policy"}
    assert "left out: policy-based" in TEXT
