"""What comes by chance can be repeated, and what is compared leaves out what differs by nature."""

from __future__ import annotations

from collections import Counter

from tests.chaos import daemon_faults, dump, kernel_faults, limit_faults  # noqa: F401 - see FAULTS
from tests.chaos.fault import FAULTS, drawn
from tests.chaos.tunnels import TUNNELS, policies
from vtid.config.load import load

NUMBER = 3000


def test_each_trial_can_be_drawn_again_without_those_before_it() -> None:
    whole = [str(drawn(7, number, FAULTS)) for number in range(50)]
    assert [str(drawn(7, number, FAULTS)) for number in reversed(range(50))] == whole[::-1]
    assert whole != [str(drawn(8, number, FAULTS)) for number in range(50)]


def test_what_a_fault_chooses_can_be_drawn_again() -> None:
    trial = drawn(7, 3, FAULTS)
    assert [one.random() for one in trial.draws()] == [one.random() for one in trial.draws()]


def test_all_faults_come_alone_and_in_company() -> None:
    trials = [drawn(1, number, FAULTS) for number in range(NUMBER)]
    alone = Counter(one.faults[0].name for one in trials if len(one.faults) == 1)
    both = [[one.subject for one in trial.faults] for trial in trials if len(trial.faults) > 1]
    assert set(alone) == {fault.name for fault in FAULTS}
    assert all(first != second for first, second in both)


def test_a_fault_can_be_chosen_by_its_name() -> None:
    names = {drawn(1, number, FAULTS, "hangs").faults[0].name for number in range(100)}
    assert names == {"charon hangs", "bird hangs", "vtid hangs"}


def test_both_ends_have_good_configurations() -> None:
    bird = '[[bird]]\nname = "life"\nsocket = "/run/bird.ctl"\ninclude = "/run/vtid.conf"\n'
    for at_a in (True, False):
        assert len(load(policies(at_a=at_a, bird=bird)).policies) == len(TUNNELS)
    assert len(load(policies(at_a=True, bird=bird, without="six")).policies) == len(TUNNELS) - 1


def test_a_link_that_was_made_anew_looks_the_same() -> None:
    def look(ifindex: int, local: str) -> dump.Dump:
        info = {"info_kind": "vti", "info_data": {"ikey": "0.0.0.1"}}
        address = {"local": local, "prefixlen": 64, "valid_life_time": ifindex}
        known = {"ifname": "four", "mtu": 1446, "group": "7", "flags": ["UP"], "linkinfo": info}
        return dump.links_of([{}, {**known, "ifindex": ifindex, "addr_info": [address]}])

    assert look(4, "fe80::4") == look(5, "fe80::5")
    (line,) = dump.differences(look(4, "2001:db8::1"), look(4, "2001:db8::2"))
    assert line.startswith('addresses of four: {"local": "2001:db8::1", "prefixlen": 64}, not ')


def test_what_is_missing_and_what_is_left_over_are_told() -> None:
    assert dump.differences({"a": "1", "left": "2"}, {"a": "1", "gone": "3"}) == [
        "gone: missing, not 3",
        "left: 2, not there at all",
    ]


def test_each_element_of_a_map_is_compared_for_itself() -> None:
    place = {"family": "inet", "table": "vtid"}
    sizes = {**place, "name": "mss4_out", "handle": 3, "elem": [["four", 1406]]}
    rule = {**place, "chain": "clamp", "handle": 9, "expr": [{"accept": None}]}
    found = dump.ruleset_of({"nftables": [{"metainfo": {}}, {"map": sizes}, {"rule": rule}]})
    assert 'element inet vtid  mss4_out ["four", 1406]' in found
    assert not [line for line in found if "handle" in line]
