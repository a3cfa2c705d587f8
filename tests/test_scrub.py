"""Scrub: what looks like a secret goes, the rest stays, and JSON stays JSON."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.scrub import HIDDEN, scrub

KNOWN = "hunter2/+x"

WRITTEN = (
    "fetch https://operator:hunter2%2F@example.net/x failed",
    'password "hunter2 of one";',
    "password = hunter2",
    "PASSWORD: hunter2",
    '{"password": "hunter2", "port": 179}',
    '{"detail": "protocol bgp a { password \\"hunter2\\"; }"}',
    '{"error": "{\\"token\\": \\"hunter2\\"}"}',
    'password "hunter2 of one',
    'cut {"about": "password \\"hunter2 of',
    'detail="x" password="a\\"hunter2" after',
    '2026 {"detail": "password \\"a\\\\\\"hunter2\\""}',
    "read {'password': 'hunter2'}",
    "password = 'hunter2'",
    "BGP_PASSWORD=hunter2",
    '{"client_secret": "hunter2"}',
    "'auth-token': hunter2",
    "api_key=hunter2&x=1",
    "Authorization: Bearer hunter2hunter2",
    "Authorization: Basic aHVudGVyMjpodW50ZXIyaHVudGVyMg==",
    "secret = 0sahunter2hunter2hunter2hunter2",
    "enc cbc(aes) 0xhunter2aaaaaaaaaaaaaaaaaaaaaaaa",
    "$2y$10$hunter2wpxu2ND0aCqiiZTeNQVI9T69qdV20uSMkpdlBMcv0WzSWoO0",
    "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\nafter",
    "-----BEGIN RSA PRIVATE KEY-----\nhunter2 (cut)",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    assert "hunter2" not in scrub(text)
    assert HIDDEN in scrub(text).replace("\\u2026", HIDDEN)


@pytest.mark.parametrize("text", [one for one in WRITTEN if one.startswith("{")])
def test_json_stays_json(text: str) -> None:
    assert json.loads(scrub(text)).keys() == json.loads(text).keys()


@pytest.mark.parametrize(
    "text",
    [
        '{"password_file": "/etc/peer.password", "bgp": {"password": null}}',
        'vtid_tunnel_mtu_bytes{tunnel="a"} 1406',
        "spi 0xc0ffee01, mark 0x2a, if_id 0x76746964",
        "set a token of 3 characters, or no password at all",
        "http://127.0.0.1:9100/metrics and 2001:db8::1",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert scrub(text) == text


def test_what_is_known_is_hidden_wherever_it_stands() -> None:
    assert scrub(f"a{KNOWN}b", [KNOWN, "ab"]) == f"a{HIDDEN}b"
    assert scrub("xabcdef", ["abcd", "abcdef"]) == f"x{HIDDEN}", "the longest one first"
    for secret in ("back\\slash", 'a "quote"', "Straße"):
        assert scrub(f"2026 {json.dumps({'a': secret})}", [secret]) == f'2026 {{"a": "{HIDDEN}"}}'
    assert scrub("abc", ["abc"]) == "abc", "too short to be told from a word"


def test_hostile_text_takes_no_longer_than_other_text() -> None:
    """Each of these would take minutes if the time grew with the square of the length."""
    for piece in (
        "password ",
        'password "',
        "password=\\",
        "a",
        "://",
        "://a:",
        "-----BEGIN ",
        " ",
    ):
        began = time.process_time()
        scrub(piece * (300_000 // len(piece)))
        assert time.process_time() - began < 10, piece


@given(
    st.recursive(
        st.text() | st.none() | st.integers(),
        lambda x: st.dictionaries(st.sampled_from(["password", "token", "a"]), x),
    )
)
def test_any_json_stays_json(value: object) -> None:
    json.loads(scrub(json.dumps(value)))
