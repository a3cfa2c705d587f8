from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.bird.quote import RenderError
from vtid.bird.render import HEADER, compose, line_at, parse, protocols, render
from vtid.bird.template import SHIPPED, Template, shipped
from vtid.model.bgp import BgpSession, BirdBlock, Secret

SESSION = BgpSession(
    name="vtid_t1",
    interface="vti1",
    local_address="2001:db8:ff::",
    neighbor="2001:db8:ff::1",
    local_as=65001,
    remote_as=65002,
    families=("ipv6", "ipv4"),
    export_filter="my-filter",
    preference=160,
    hold_time=6,
)


def block(*sessions: BgpSession, tunnel: str = "V2-1") -> BirdBlock:
    return BirdBlock("private", tunnel, sessions)


EBGP = """\
protocol bgp vtid_t1 {
  description "V2-1 on vti1";
  interface "vti1";
  local 2001:db8:ff:: as 65001;
  neighbor 2001:db8:ff::1 as 65002;
  direct;
  hold time 6;
  connect delay time 1;
  error wait time 1, 30;
  ipv6 {
    import all;
    export filter 'my-filter';
    preference 160;
  };
  ipv4 {
    import all;
    export filter 'my-filter';
    extended next hop on;
    preference 160;
  };
}
"""

IBGP_OVER_IPV4 = """\
protocol bgp vtid_t1 {
  description "V2-1 on vti1";
  interface "vti1";
  local as 65001;
  neighbor 169.254.1.1 as 65001;
  direct;
  connect delay time 1;
  error wait time 1, 30;
  ipv6 {
    import all;
    export none;
    next hop self;
  };
}
"""


def test_ebgp_with_both_families_over_ipv6() -> None:
    assert render(block(SESSION)) == EBGP


def test_ibgp_with_ipv6_over_ipv4() -> None:
    session = BgpSession("vtid_t1", "vti1", "169.254.1.1", 65001, 65001)
    assert render(block(session)) == IBGP_OVER_IPV4


def test_tunnel_without_sessions() -> None:
    for name in SHIPPED:
        assert render(block(), shipped(name)).strip() == ""


BIRD6 = """\
protocol bgp vtid_t1 {
  description "V2-1 on vti1";
  local 2001:db8:ff:: as 65001;
  neighbor 2001:db8:ff::1 as 65002;
  direct;
  hold time 6;
  error wait time 1, 30;
  import all;
  export filter 'my-filter';
  preference 160;
}
"""

BIRD6_IBGP_LINK_LOCAL = """\
protocol bgp vtid_t1 {
  description "V2-1 on vti1";
  interface "vti1";
  local as 65001;
  neighbor fe80::2 as 65001;
  direct;
  error wait time 1, 30;
  import all;
  export none;
  next hop self;
}
"""


def test_bird_1_6() -> None:
    assert render(block(replace(SESSION, families=("ipv6",))), shipped("bgp-1.6")) == BIRD6
    session = BgpSession("vtid_t1", "vti1", "fe80::2", 65001, 65001)
    assert render(block(session), shipped("bgp-1.6")) == BIRD6_IBGP_LINK_LOCAL


def test_only_ipv6_has_link_local_neighbours_that_need_an_interface() -> None:
    session = BgpSession("vtid_t1", "vti1", "169.254.1.1", 65001, 65001, families=("ipv4",))
    assert "interface" not in render(block(session), shipped("bgp-1.6"))


def test_a_template_cannot_end_its_block() -> None:
    with pytest.raises(RenderError, match=r"tunnel 'V2-1': own\.j2: .* mark of vtid"):
        render(block(SESSION), Template("# vtid end x", "own.j2"))


def test_error_of_a_template_names_tunnel_file_and_line() -> None:
    with pytest.raises(RenderError, match=r"tunnel 'V2-1': .*: own\.j2:2: .*no attribute 'mising'"):
        render(block(SESSION), Template("# x\n{{ sessions[0].mising }}", "own.j2"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "x { }"}, "no BIRD symbol"),
        ({"name": ""}, "no BIRD symbol"),
        ({"name": "x" * 64}, "no BIRD symbol"),
        ({"interface": 'a"b'}, "no interface name"),
        ({"interface": "a\nb"}, "no interface name"),
        ({"neighbor": "::1; }"}, "no IP address"),
        ({"neighbor": "fe80::1%eth0"}, "has a zone"),
        ({"local_address": "nowhere"}, "no IP address"),
        ({"local_as": -1}, "local_as -1"),
        ({"remote_as": 2**32}, "remote_as 4294967296"),
        ({"local_as": "1; }"}, "local_as '1; }'"),
        ({"preference": 65536}, "preference 65536"),
        ({"hold_time": 6.0}, "hold_time 6.0"),
        ({"export_filter": "all; }"}, "no BIRD symbol"),
        ({"families": ("vpn4",)}, "no address family"),
        ({"multihop": 256}, "multihop 256"),
        ({"role": "boss"}, "role 'boss' is none of customer, peer"),
        ({"limit_action": "panic"}, "limit_action 'panic'"),
        ({"graceful_restart": "no"}, "graceful_restart 'no'"),
        ({"import_limit": -1}, "import_limit -1"),
        ({"error_wait_time": (1, 65536)}, "error_wait_time 65536"),
        ({"connect_delay_time": 65536}, "connect_delay_time 65536"),
    ],
)
def test_what_bird_cannot_be_told(change: dict[str, object], message: str) -> None:
    session = replace(SESSION, **change)  # type: ignore[arg-type]
    with pytest.raises(RenderError, match=message) as caught:
        render(block(session))
    assert "tunnel 'V2-1'" in str(caught.value)


@pytest.mark.parametrize("text", ["", 'top"most', "top\nmost", "top\u00e9most"])
def test_an_error_does_not_repeat_the_password(text: str) -> None:
    with pytest.raises(RenderError, match="a password for BIRD") as caught:
        render(block(replace(SESSION, password=Secret(text))))
    assert "top" not in str(caught.value)
    assert "top" not in repr(block(replace(SESSION, password=Secret(text))))


names = st.text(max_size=12)
texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=30).map(lambda s: s + "\n")


@given(st.dictionaries(names, texts, max_size=5))
def test_parse_is_the_inverse_of_compose(blocks: dict[str, str]) -> None:
    blocks = {name: text.replace("# vtid ", "#") for name, text in blocks.items()}
    assert parse(compose(blocks)) == blocks


@given(st.dictionaries(names, st.just("x\n"), max_size=5))
def test_equal_blocks_make_equal_files(blocks: dict[str, str]) -> None:
    backwards = dict(reversed(blocks.items()))
    assert compose(backwards) == compose(blocks)


@pytest.mark.parametrize("lost", ['# vtid end "a"', '# vtid end "b"'])
def test_a_block_without_an_end_takes_no_other_with_it(lost: str) -> None:
    blocks = {"a": "1\n", "b": "2\n"}
    cut = compose(blocks).replace(lost, "")
    (left,) = blocks.keys() - {lost[-2]}
    assert parse(cut) == {left: blocks[left]}
    assert parse(compose(parse(cut))) == parse(cut)


@given(st.text(max_size=100))
def test_any_text_parses_or_raises(text: str) -> None:
    for candidate in (text, HEADER + text, f"{HEADER}# vtid begin {text}\n"):
        try:
            parse(candidate)
        except RenderError:
            continue


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# my own file\n",
        HEADER + "# vtid begin V2-1\n",
        HEADER + "# vtid begin 7\n",
        HEADER + "# vtid begin " + "[" * 100_000,
        HEADER + '# vtid begin "a"\n# vtid end "a"\n' * 2,
    ],
)
def test_files_that_are_not_ours(text: str) -> None:
    with pytest.raises(RenderError):
        parse(text)


def test_file_of_another_version_is_ours() -> None:
    assert parse("# Written by vtid 9.9; keep off\n") == {}


def test_line_of_a_tunnel() -> None:
    text = compose({"a": "x\n", 'b"': render(block(SESSION))})
    number = text.split("\n").index("    export filter 'my-filter';") + 1
    assert line_at(text, number) == ('b"', "    export filter 'my-filter';")
    for outside in (0, 1, 6, len(text.split("\n")), 10**6):
        assert line_at(text, outside) == (None, "")


def test_protocols_of_a_file() -> None:
    sessions = (SESSION, replace(SESSION, name="t1-v4"))
    assert protocols(compose({"a": render(block(*sessions))})) == {"vtid_t1", "t1-v4"}
    own = "protocol bgp a from b {}\n  protocol  bgp\n'c.d'{\n# protocol bgp x {\nprotocol bgp {}\n"
    assert protocols(own) == {"a", "c.d"}
    assert protocols(HEADER) == frozenset()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_session_in_a_vrf_says_so(name: str) -> None:
    text = render(block(replace(SESSION, vrf="blue", families=("ipv6",))), shipped(name))
    assert '  vrf "blue";\n' in text
    assert "vrf" not in render(block(replace(SESSION, families=("ipv6",))), shipped(name))
    with pytest.raises(RenderError):
        render(block(replace(SESSION, vrf='b"; x', families=("ipv6",))), shipped(name))
