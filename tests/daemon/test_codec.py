"""Every input and every operation survives the way to JSON and back."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import LAB, LAB_TEXT, sa
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.daemon.codec import _CLASSES, from_json, named, to_json
from vtid.model.bgp import HIDDEN, BgpSession, Secret
from vtid.model.input import ChildDown, ChildUp, Input, OpDone, ViciLost
from vtid.model.operation import Op, SetUp

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(ConfigLoaded, st.just(ConfigLoaded(LAB)))
st.register_type_strategy(Secret, st.just(Secret(HIDDEN)))
st.register_type_strategy(Op, st.one_of(*map(st.from_type, _CLASSES[Op].values())))


@pytest.mark.parametrize("kind", _CLASSES[Input].values())
@settings(max_examples=20)
@given(data=st.data())
def test_an_input_comes_back_as_it_was(kind: type[Input], data: st.DataObject) -> None:
    value = data.draw(st.from_type(kind))
    assert from_json(Input, json.loads(json.dumps(named(value)))) == value


@pytest.mark.parametrize("kind", _CLASSES[Op].values())
@settings(max_examples=20)
@given(data=st.data())
def test_an_operation_comes_back_as_it_was(kind: type[Op], data: st.DataObject) -> None:
    value = data.draw(st.from_type(kind))
    assert from_json(Op, json.loads(json.dumps(named(value)))) == value


def test_what_is_at_its_default_is_left_out() -> None:
    assert to_json(ChildDown(7)) == {"unique_id": 7}
    assert "reqid" not in to_json(sa(1))
    assert {field.name for field in fields(sa(1))} > to_json(sa(1)).keys()


def test_passwords_are_not_written() -> None:
    session = BgpSession("t1", "vti1", "::1", 1, 2, password=Secret("topmost"))
    assert "topmost" not in json.dumps(to_json(session))
    with_password = LAB_TEXT.replace("remote_as", 'password = "topmost"\nremote_as')
    assert "topmost" not in json.dumps(named(ConfigLoaded(load(with_password))))


def test_an_operation_in_a_result_is_named() -> None:
    op = SetUp(tunnel="vti3", reason="up", netns="", name="vti3")
    assert named(OpDone(op)) == {
        "OpDone": {"op": {"SetUp": {"tunnel": "vti3", "reason": "up", "netns": "", "name": "vti3"}}}
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "Input: '' is no input"),
        ({"System": {}}, "'System' is no input"),
        ({"ChildDown": {}}, "Input.ChildDown: 'unique_id' is missing"),
        ({"ChildDown": {"unique_id": "7"}}, "Input.ChildDown.unique_id: '7' is not of type int"),
        ({"ChildDown": {"unique_id": True}}, "not of type int"),
        ({"ChildDown": {"unique_id": 7, "x": 1}}, "'x' is no field of ChildDown"),
        ({"ViciLost": []}, "[] is not of type dict"),
        ({"LinkSnapshot": {"netns": "", "links": [[1]], "addresses": []}}, "1 items, not 2"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_path(data: object, words: str) -> None:
    with pytest.raises(ValueError, match="Input") as caught:
        from_json(Input, data)
    assert words in str(caught.value)


def test_hostile_words_stay_words() -> None:
    event = ViciLost('"}\n{"at": 0}\x1b]0;\u2028')
    line = json.dumps(named(event))
    assert "\n" not in line
    assert from_json(Input, json.loads(line)) == event
    assert from_json(Input, named(ChildUp(sa(1)))) == ChildUp(sa(1))
