"""The newest CHILD_SA of a tunnel and its IKE_SA, as series."""

from __future__ import annotations

from dataclasses import replace

from tests.http.samples import DOWN, IKE, UP, sa, status
from tests.http.test_metrics import labels_of, read, value

NAME = UP.tunnel


def test_deadlines_and_key_sizes() -> None:
    series = read(status(UP))
    for name, wanted in {
        "sa_installed_timestamp_seconds": 1000,
        "sa_rekey_timestamp_seconds": 4000,
        "sa_expiry_timestamp_seconds": 4600,
        "encryption_key_bytes": 32,
        "ike_established_timestamp_seconds": 990,
        "ike_rekey_timestamp_seconds": 15000,
        "ike_reauth_timestamp_seconds": 80000,
        "ike_encryption_key_bytes": 16,
    }.items():
        assert value(series, f"vtid_tunnel_{name}", tunnel=NAME) == wanted, name


def test_info_says_how_the_peers_speak() -> None:
    (info,) = labels_of(read(status(UP)), "vtid_tunnel_ike_info")
    assert info == {
        "tunnel": NAME,
        "version": "2",
        "role": "initiator",
        "proposal": "AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_384",
        "nat": "local+remote",
    }
    free = replace(UP, ike=replace(IKE, nat=(), initiator=False))
    (info,) = labels_of(read(status(free)), "vtid_tunnel_ike_info")
    assert (info["role"], info["nat"]) == ("responder", "none")


def test_what_has_one_key_size_or_no_deadline_has_no_series() -> None:
    bare = replace(UP, sas=(replace(sa(), rekey_at=0.0, expires_at=0.0),), ike=None)
    names = {name for name, _ in read(status(bare, DOWN))}
    assert "vtid_tunnel_sa_installed_timestamp_seconds" in names
    assert "vtid_tunnel_integrity_key_bytes" not in names
    assert not {name for name in names if "ike" in name or "rekey_t" in name or "expiry" in name}


def test_a_rekey_of_either_sa_makes_no_new_series() -> None:
    other = replace(IKE, unique_id=4, established_at=5000.0, rekey_at=20000.0)
    later = replace(sa(8, installed_at=5000.0), rekey_at=8000.0, expires_at=8600.0)
    assert read(status(UP)).keys() == read(status(replace(UP, sas=(later,), ike=other))).keys()
