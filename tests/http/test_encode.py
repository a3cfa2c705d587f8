"""Values of the model as JSON."""

from __future__ import annotations

import json

import pytest

from tests.http.samples import DELETE, FULL, UP, status
from vtid.http import encode as encode_module
from vtid.http.answers import Names
from vtid.http.encode import encode
from vtid.model.bgp import BgpSession, Secret
from vtid.model.link import Observed


def test_a_status_keeps_its_shape() -> None:
    read = json.loads(encode(FULL))
    assert read["version"] == "0.1.0"
    assert read["tunnels"][0]["state"] == "up"
    assert read["tunnels"][0]["sas"][0]["esp"]["encr"] == "AES_GCM_16"
    assert read["tunnels"][0]["clamp"] == {"mss4": UP.clamp.mss4, "mss6": UP.clamp.mss6}  # type: ignore[union-attr]
    assert read["tunnels"][1]["link"] is None
    assert read["namespaces"] == [["", ""], ["private", ""]]


@pytest.mark.parametrize(
    "value", [FULL, UP, DELETE, [UP], (), "x", None, Observed(), Secret("topmost"), Names(())]
)
def test_a_value_in_pieces_is_the_same(value: object) -> None:
    assert encode(value) == encode_module._dump(value)


def test_no_piece_has_more_than_one_tunnel() -> None:
    few, many = (max(map(len, encode_module.pieces(status(*[UP] * count)))) for count in (1, 100))
    assert many == few + 1


def test_an_operation_says_which() -> None:
    assert json.loads(encode([DELETE])) == [
        {
            "op": "DeleteLink",
            "tunnel": "private/vti42",
            "reason": "its policy is gone",
            "netns": "private",
            "name": "vti42",
            "ifindex": 9,
        }
    ]


def test_sets_are_sorted() -> None:
    observed = Observed(addresses=frozenset({"b", "a"}))
    assert json.loads(encode(observed))["addresses"] == ["a", "b"]


def test_passwords_are_hidden() -> None:
    session = BgpSession("t1", "vti1", "::1", 1, 2, password=Secret("topmost"))
    assert "topmost" not in encode(session)


def test_what_has_no_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="type has no JSON form"):
        encode(Observed)


def test_hostile_text_is_ascii() -> None:
    assert encode("\x1b\udcff\u202e").isascii()
