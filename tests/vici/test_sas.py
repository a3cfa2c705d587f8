"""What real messages mean, and what hostile ones come to."""

from __future__ import annotations

import copy
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vici.golden_files import recorded
from vtid.esp.algorithms import EspAlgorithms
from vtid.model.input import (
    Alert,
    ChildDown,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeRekeyed,
    IkeUpdated,
    Input,
)
from vtid.model.sa import ChildSa, IkeSa, Mark, SaMode
from vtid.vici.codec import decode_packet
from vtid.vici.sas import (
    EVENTS,
    MAX_TEXT,
    SaError,
    address,
    child_sa,
    escape,
    identity,
    number,
    parse_event,
    parse_ike_sas,
    parse_list_sa,
)

if TYPE_CHECKING:
    from vtid.vici.codec import Message

NOW = 1_700_000_000.0


def first(event: str, after: str = "", end: str = "a") -> Message:
    """The first recorded event of that name after a command with these words."""
    return next(
        decode_packet(packet.payload).message
        for packet in recorded(end)
        if packet.event == event and after in packet.after
    )


def up() -> dict[str, Any]:
    return copy.deepcopy(first("child-updown", "--child masked"))


def child_of(message: dict[str, Any]) -> dict[str, Any]:
    child: dict[str, Any] = message["six"]["child-sas"]["masked-2"]
    return child


MASKED = ChildSa(
    unique_id=2,
    connection="six",
    child="masked",
    ike_unique_id=1,
    local_host="2001:db8::1",
    remote_host="2001:db8::2",
    mode=SaMode.TUNNEL,
    protocol="ESP",
    esp=EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128", 0, esn=True),
    mark_in=Mark(0x1F00, 0xFF00),
    mark_out=Mark(0x1E00, 0xFF00),
    reqid=2,
    local_id="a.example",
    remote_id="b.example",
    local_ts=("10.0.1.0/24",),
    remote_ts=("10.0.2.0/24",),
    installed_at=NOW - 1,
    rekey_at=NOW + 3299,
    expires_at=NOW + 3960,
)
IKE = IkeSa(
    unique_id=1,
    initiator=True,
    encr="AES_GCM_16",
    encr_keysize=256,
    prf="PRF_HMAC_SHA2_384",
    dh="ECP_384",
    established_at=NOW - 1,
    rekey_at=NOW + 13435,
)


def test_child_up() -> None:
    assert parse_event("child-updown", up(), NOW) == [ChildUp(MASKED, IKE)]


def test_what_all_sas_say_is_there_once() -> None:
    one, other = (copy.deepcopy(first("child-updown", "--child masked")) for _ in range(2))
    sas = [child_sa("six", each["six"], child_of(each), NOW) for each in (one, other)]  # type: ignore[arg-type]
    hosts_and_marks = ("local_host", "remote_host", "mark_in", "mark_out")
    for key in ("esp", "child", "protocol", "local_id", *hosts_and_marks):
        assert getattr(sas[0], key) is getattr(sas[1], key)
    assert sas[0].local_ts[0] is sas[1].local_ts[0]


def test_an_ike_sa_behind_a_nat() -> None:
    (ike,) = parse_ike_sas(first("list-sa"), NOW)
    assert (ike.unique_id, ike.nat, ike.integ) == (2, ("remote",), "HMAC_SHA2_256_128")
    assert ike.proposal == "AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048"


def test_an_ike_sa_that_cannot_be_used_costs_itself_only() -> None:
    message = up()
    message["six"]["rekey-time"] = b"soon"
    assert parse_event("child-updown", message, NOW) == [ChildUp(MASKED)]
    assert parse_ike_sas(message, NOW) == []


def test_what_is_overdue_comes_now() -> None:
    message = up()
    message["six"]["reauth-time"] = b"-3"
    child_of(message)["rekey-time"] = b"-1"
    (event,) = parse_event("child-updown", message, NOW)
    assert isinstance(event, ChildUp)
    assert event.ike
    assert (event.sa.rekey_at, event.ike.reauth_at) == (NOW, NOW)


def test_the_new_ike_sa_of_a_rekey_is_told() -> None:
    (event,) = parse_event("ike-rekey", first("ike-rekey"), NOW)
    assert isinstance(event, IkeRekeyed)
    assert event.ike == replace(IKE, unique_id=3, established_at=NOW, rekey_at=NOW + 13278)


def test_encapsulation_and_interface_ids() -> None:
    (event,) = parse_event("child-updown", first("child-updown", "interface"), NOW)
    assert isinstance(event, ChildUp)
    sa = event.sa
    assert (sa.encap, sa.mark_in, sa.if_id_in, sa.if_id_out) == (True, None, 7, 8)
    assert sa.local_id == "C=CH, O=Green, CN=a.example"


def test_transport_mode_is_told_as_such() -> None:
    (event,) = parse_event("child-updown", first("child-updown", "plain"), NOW)
    assert isinstance(event, ChildUp)
    assert event.sa.mode is SaMode.TRANSPORT
    assert event.sa.esp == EspAlgorithms("CHACHA20_POLY1305")


def summary(event: Input) -> str:
    match event:
        case ChildUp(sa):
            words: tuple[object, ...] = ("up", sa)
        case ChildDown(unique_id):
            words = ("down", unique_id)
        case ChildRekeyed(old, sa):
            words = ("rekey", old, sa)
        case IkeDown(unique_id):
            words = ("ike down", unique_id)
        case IkeRekeyed(old, new):
            words = ("ike rekey", old, new)
        case IkeUpdated(unique_id, local, remote):
            words = ("ike update", unique_id, local, remote)
        case _:
            words = (event,)
    return " ".join(map(str, words))


def test_the_recorded_run_tells_its_story() -> None:
    packets = [packet for packet in recorded("a") if packet.event in EVENTS]
    inputs = [
        event
        for packet in packets
        for event in parse_event(packet.event, decode_packet(packet.payload).message, NOW)
    ]
    assert [summary(event) for event in inputs] == [
        "up six/net{1}",
        "up six/masked{2}",
        "up four/interface{3}",
        "up four/plain{4}",
        "rekey 1 six/net{5}",
        "rekey 2 six/masked{6}",
        "ike rekey 1 3",
        "ike update 2 2001:db8::1 2001:db8::2",
        "down 6",
        "ike down 3",
        "down 5",
        "ike down 2",
        "down 3",
        "down 4",
    ]


def test_a_moved_ike_sa_is_told_with_its_new_endpoints() -> None:
    message = first("ike-update", "address del")
    section = message["four"]
    assert isinstance(section, dict)
    assert section["local-host"] == b"192.0.2.1"
    assert parse_event("ike-update", message, NOW) == [IkeUpdated(2, "2001:db8::1", "2001:db8::2")]


@pytest.mark.parametrize("end", ["a", "b"])
def test_a_listing_has_no_rekeyed_and_deleted_sas(end: str) -> None:
    listings: dict[str, set[str]] = {}
    states: set[bytes] = set()
    for packet in recorded(end):
        if packet.event != "list-sa":
            continue
        message = decode_packet(packet.payload).message
        sas, errors = parse_list_sa(message, NOW)
        assert not errors
        listings.setdefault(packet.after, set()).update(map(str, sas))
        states |= {child["state"] for ike in message.values() for child in children(ike)}
    assert b"DELETED" in states
    assert list(listings.values()) == [
        {"six/net{1}", "six/masked{2}", "four/interface{3}", "four/plain{4}"},
        {"six/net{5}", "six/masked{2}", "four/interface{3}", "four/plain{4}"},
        {"six/net{5}", "six/masked{6}", "four/interface{3}", "four/plain{4}"},
        {"six/net{5}", "six/masked{6}", "four/interface{3}", "four/plain{4}"},
        {"six/net{5}", "six/masked{6}", "four/interface{3}", "four/plain{4}"},
        {"six/net{5}", "four/interface{3}", "four/plain{4}"},
        {"four/interface{3}", "four/plain{4}"},
    ]


def children(ike: Any) -> list[dict[str, bytes]]:
    return list(ike["child-sas"].values())


@pytest.mark.parametrize(
    ("state", "live"),
    [
        ("CREATED", False),
        ("ROUTED", False),
        ("INSTALLING", False),
        ("INSTALLED", True),
        ("UPDATING", True),
        ("REKEYING", True),
        ("REKEYED", False),
        ("RETRYING", False),
        ("DELETING", False),
        ("DELETED", False),
        ("DESTROYING", False),
    ],
)
def test_live_states(state: str, live: bool) -> None:  # noqa: FBT001 - pytest's parameter
    message = up()
    child_of(message)["state"] = state.encode()
    assert bool(parse_list_sa(message, NOW)[0]) is live


def test_one_bad_sa_leaves_the_others() -> None:
    message = up()
    good = message["six"]["child-sas"]["masked-2"]
    message["six"]["child-sas"]["bad-9"] = {**good, "uniqueid": b"x"}
    sas, errors = parse_list_sa(message, NOW)
    assert sas == [MASKED]
    assert [str(error) for error in errors] == [
        "list-sa: six/bad-9: uniqueid is no unsigned 32-bit number: 'x'"
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("uniqueid", None, "uniqueid is missing"),
        ("uniqueid", b"-1", "'-1'"),
        ("uniqueid", b"4294967296", "4294967296"),
        ("mark-in", b"xyz", "mark-in is no"),
        ("mark-mask-out", b"1ffffffff", "mark-mask-out is no"),
        ("encr-keysize", b"\xff", "encr-keysize is no"),
        ("install-time", [b"1"], "install-time is no"),
    ],
)
def test_bad_child_values_are_named(key: str, value: bytes | None, words: str) -> None:
    message = up()
    child = child_of(message)
    child.pop(key)
    if value is not None:
        child[key] = value
    with pytest.raises(SaError, match="child-updown: six") as caught:
        parse_event("child-updown", message, NOW)
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [b"%any", b"", b"2001:db8::1/64", b"host.example", b"1.2.3"])
def test_bad_addresses_are_named(value: bytes) -> None:
    message = up()
    message["six"]["remote-host"] = value
    with pytest.raises(SaError, match="remote-host is no address"):
        parse_event("child-updown", message, NOW)


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        (b"2001:DB8:0::0:9", "2001:db8::9"),
        (b"fe80::1%eth0", "fe80::1"),
        (b"192.0.2.7", "192.0.2.7"),
    ],
)
def test_addresses_become_canonical(value: bytes, canonical: str) -> None:
    message = up()
    message["six"]["remote-host"] = value
    (event,) = parse_event("child-updown", message, NOW)
    assert isinstance(event, ChildUp)
    assert event.sa.remote_host == canonical


def test_virtual_ips_become_canonical() -> None:
    message = up()
    message["six"]["remote-vips"] = [b"fd00:0::7", b"fe80::1%eth0", b"192.0.2.7"]
    (event,) = parse_event("child-updown", message, NOW)
    assert isinstance(event, ChildUp)
    assert event.sa.remote_vips == ("fd00::7", "fe80::1", "192.0.2.7")


@given(st.binary(max_size=50) | st.ip_addresses().map(lambda one: str(one).encode()))
def test_an_address_is_what_python_takes_for_one(value: bytes) -> None:
    try:
        expected = str(ip_address(value.partition(b"%")[0].decode()))
    except ValueError:
        with pytest.raises(SaError):
            address({"host": value}, "host")
    else:
        assert address({"host": value}, "host") == expected


@given(st.binary(max_size=12) | st.integers(-10, 1 << 33).map(lambda one: str(one).encode()))
def test_a_number_is_what_python_takes_for_one_in_ascii(value: bytes) -> None:
    try:
        expected = int(value.decode("ascii"))
    except ValueError:
        expected = -1
    if 0 <= expected < 1 << 32:
        assert number({"n": value}, "n") == expected
    else:
        with pytest.raises(SaError):
            number({"n": value}, "n")


def test_what_is_not_there_has_its_default() -> None:
    message = up()
    child = child_of(message)
    for key in (
        *("mark-in", "mark-out", "esn", "install-time", "reqid", "encr-keysize", "integ-alg"),
        *("local-ts", "remote-ts"),
    ):
        del child[key]
    child["mode"] = b"PASS"
    (event,) = parse_event("child-updown", message, NOW)
    assert isinstance(event, ChildUp)
    assert event.sa.mode is SaMode.OTHER
    assert event.sa.esp == EspAlgorithms("AES_CBC")
    assert (event.sa.mark_in, event.sa.installed_at, event.sa.local_ts) == (None, 0.0, ())


def test_a_mark_without_mask_is_a_whole_one() -> None:
    (event,) = parse_event("child-updown", first("child-updown", "--child net"), NOW)
    assert isinstance(event, ChildUp)
    assert event.sa.mark_in == Mark(42)


def outcome(name: str, message: Message) -> list[Input] | str:
    try:
        return parse_event(name, message, NOW)
    except SaError as error:
        return str(error)


@pytest.mark.parametrize("name", sorted(EVENTS.keys() - {"alert"}))
@pytest.mark.parametrize("message", [{}, {"six": b"x"}, {"six": {}}, {"six": {"child-sas": {}}}])
def test_events_without_their_sections_are_refused_or_say_nothing(
    name: str, message: Message
) -> None:
    found = outcome(name, message)
    assert found == [] or (isinstance(found, str) and found.startswith(f"{name}: "))


def test_an_unexpected_event_is_refused() -> None:
    with pytest.raises(SaError, match=r"'log\\n'"):
        parse_event("log\n", {}, NOW)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"peer.example", "peer.example"),
        ("Grün".encode(), "Grün"),
        (b"a\nb\x1b[31m\x7f", r"a\nb\x1b[31m\x7f"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("right\u202eleft".encode(), r"right\u202eleft"),
        (b"x" * 10_000, "x" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_escape(value: bytes, shown: str) -> None:
    assert escape(value) == shown


@given(st.binary(max_size=2000))
def test_what_is_shown_is_printable_and_short(value: bytes) -> None:
    shown = escape(value)
    assert shown.isprintable()
    assert len(shown) <= MAX_TEXT


OU = "OU=" + "x" * 250
_LOOKS_HASHED = identity({"id": b"a\n"}, "id").encode()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"C=CH, {OU}, CN=gw1".encode(), f"C=CH, {OU}, CN=gw2".encode()),
        (b"gw1\n", rb"gw1\n"),
        (b"gw\xff", rb"gw\xff"),
        (b"a\n", _LOOKS_HASHED),
    ],
)
def test_no_peer_looks_like_another(one: bytes, other: bytes) -> None:
    shown = [identity({"id": value}, "id") for value in (one, other)]
    assert shown[0] != shown[1]
    assert all(text.isprintable() and len(text) <= MAX_TEXT for text in shown)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_identities_stay_apart(one: bytes, other: bytes) -> None:
    same = identity({"id": one}, "id") == identity({"id": other}, "id")
    assert same == (one == other)


def test_an_identity_that_can_be_shown_is_as_it_is() -> None:
    assert identity({"id": "C=CH, CN=Grün #7".encode()}, "id") == "C=CH, CN=Grün #7"
    assert not identity({}, "id")


values = st.binary(max_size=8) | st.lists(st.binary(max_size=4), max_size=2)
keys = st.sampled_from(
    ["up", "six", "old", "new", "child-sas", "masked-2", "uniqueid", "state", "local-host", "name"]
)


@given(
    st.sampled_from(sorted(EVENTS)),
    st.dictionaries(
        keys,
        st.recursive(values, lambda inner: st.dictionaries(keys, inner, max_size=5), max_leaves=15),
    ),
)
def test_any_message_is_inputs_or_one_clear_error(name: str, message: Any) -> None:
    parse_list_sa(message, NOW)
    found = outcome(name, message)
    assert isinstance(found, list) or found.isprintable()


def alert(kind: str, **ike: str) -> dict[str, Any]:
    about = {name.replace("_", "-"): value.encode() for name, value in ike.items()}
    return {"type": kind.encode()} | ({"ike-sa": {"net": about}} if ike else {})


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (
            alert("peer-auth-failed", remote_host="192.0.2.2", remote_id="b.example"),
            Alert("peer-auth-failed", "net", "192.0.2.2 (b.example)"),
        ),
        (
            alert("ts-mismatch", remote_host="192.0.2.2", remote_id="192.0.2.2"),
            Alert("ts-mismatch", "net", "192.0.2.2"),
        ),
        (alert("peer-init-unreachable", remote_id="%any"), Alert("peer-init-unreachable", "net")),
        (alert("invalid-ike-spi"), Alert("invalid-ike-spi")),
        (alert("retransmit-send", remote_host="192.0.2.2"), Alert("retransmit-send")),
        (alert("\x1b[2J", remote_host="\x1b[2J"), Alert("other", "net", r"\x1b[2J")),
        ({}, Alert("other")),
        ({"type": [b"x"], "ike-sa": b"y"}, Alert("other")),
    ],
)
def test_alerts(message: Message, found: Alert) -> None:
    assert parse_event("alert", message, NOW) == [found]
