"""What is read of a certificate: those of openssl, and whatever else may come."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.model.charon import Certificate
from vtid.vici.certificates import read_certificate

# openssl req -x509 -newkey ec … -days 4000 -subj "/C=EU/O=vtid/CN=gw-a.example.net"
GATEWAY = base64.b64decode(
    """
    MIIBtDCCAVmgAwIBAgIEEjSrzTAKBggqhkjOPQQDAjA3MQswCQYDVQQGEwJFVTENMAsGA1UECgwEdnRpZDEZMBcG
    A1UEAwwQZ3ctYS5leGFtcGxlLm5ldDAeFw0yNjExMjkxMDQ0MDlaFw0zNzExMTExMDQ0MDlaMDcxCzAJBgNVBAYT
    AkVVMQ0wCwYDVQQKDAR2dGlkMRkwFwYDVQQDDBBndy1hLmV4YW1wbGUubmV0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
    AQcDQgAESULYkh8RTzCM2qmg0vT18OIBDwRTCTVna0vj574+H8ZKobrh4qkrfHRcpwXoN4EsS5zTXoLArMYuPhSy
    I/sLaKNTMFEwHQYDVR0OBBYEFEg3h9oL5ZqNqcJusUY8mb2+zOGLMB8GA1UdIwQYMBaAFEg3h9oL5ZqNqcJusUY8
    mb2+zOGLMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAMk0JCzcBGotXZKr+xz1aYfhGWDLNEdr
    8eJWTB9DIzD+AiEA2dFM/BG6kT9aAb+zZ9WJFPMw3SspsiYg0sJAN3Dir2A=
    """
)

# … -days 12000 -subj "/O=no name": its end is a GeneralizedTime
NAMELESS = base64.b64decode(
    """
    MIIBZjCCAQ6gAwIBAgIBBzAKBggqhkjOPQQDAjASMRAwDgYDVQQKDAdubyBuYW1lMCAXDTI2MTEyOTEwNDQwOVoY
    DzIwNTkxMDA3MTA0NDA5WjASMRAwDgYDVQQKDAdubyBuYW1lMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEyps/
    Jf2F7OqonlBizyyiVjHvsTYr5RVy/DaPwYasWMxb88a0AiYEIcS2esigrAPXOLPYWlT/P+RkTjWx8OhkHqNTMFEw
    HQYDVR0OBBYEFJZRZcik6BF+HPG2dJg/eqDbZqgtMB8GA1UdIwQYMBaAFJZRZcik6BF+HPG2dJg/eqDbZqgtMA8G
    A1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRgAwQwIfMfQYE0JeriGuLcg+vr8ff1OMfKF5cWlxkObrHqyV7wIg
    Uc/S4eb+h9YnVzB6BwPeoJHeLN5wR9DNOX87jnwsI2Q=
    """
)

# the key of the first, made for these tests
KEY = base64.b64decode(
    """
    MHcCAQEEIBO5Ntugkflgse9Y0zDjNGztT7w2n19RynYx+M4hTMDjoAoGCCqGSM49AwEHoUQDQgAESULYkh8RTzCM
    2qmg0vT18OIBDwRTCTVna0vj574+H8ZKobrh4qkrfHRcpwXoN4EsS5zTXoLArMYuPhSyI/sLaA==
    """
)


def at(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


def test_serial_name_and_end() -> None:
    ends = at(2037, 11, 11, 10, 44, 9)
    assert read_certificate(GATEWAY) == Certificate("1234abcd", "gw-a.example.net", ends)


def test_one_without_a_name_that_ends_after_2049() -> None:
    assert read_certificate(NAMELESS) == Certificate("07", "", at(2059, 10, 7, 10, 44, 9))


def test_a_year_of_two_digits_may_be_of_the_last_century() -> None:
    old = GATEWAY.replace(b"371111104409Z", b"991111104409Z")
    assert read_certificate(old).expires_at == at(1999, 11, 11, 10, 44, 9)


def test_a_name_that_misleads_is_escaped() -> None:
    hostile = GATEWAY.replace(b"gw-a.example.net", b"gw-a\n\x1b[2Jexam\xff\xfe\xfd")
    name = read_certificate(hostile).name
    assert name.isprintable()
    assert name.startswith("gw-a")


@pytest.mark.parametrize("length", range(0, len(GATEWAY), 7))
def test_a_certificate_that_is_cut_is_none(length: int) -> None:
    with pytest.raises(ValueError, match=r"cut|not a certificate"):
        read_certificate(GATEWAY[:length])


@given(st.binary())
def test_anything_else_is_none_as_well(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        read_certificate(data)


@given(st.integers(0, len(GATEWAY) - 1), st.integers(0, 255))
def test_a_damaged_one_raises_nothing_else(place: int, byte: int) -> None:
    damaged = GATEWAY[:place] + bytes((byte,)) + GATEWAY[place + 1 :]
    with suppress(ValueError):
        assert read_certificate(damaged).name.isprintable()
