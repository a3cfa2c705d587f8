from __future__ import annotations

from vtid.bird.quote import address, interface, policy, quoted, symbol


def test_words() -> None:
    assert symbol("t1") == "t1"
    assert symbol("1st.t-1:x") == "'1st.t-1:x'"
    assert policy("none") == "none"
    assert policy("all-of-it") == "filter 'all-of-it'"
    assert address("2001:DB8:0::1") == "2001:db8::1"
    assert interface("vti{1}") == '"vti{1}"'
    assert quoted('a "b"\r\n\x00é') == '"a ?b?????"'
