"""`vtictl mtu`: a table for people, JSON for programs, and exit status 64 for what it cannot do."""

import json
import re

import pytest

from vtid.ctl.main import main


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mtu", "--esp", "aes128-sha256", "--outer", "6"]) == 0
    assert (
        capsys.readouterr().out
        == """\
ESP   AES_CBC-128/HMAC_SHA2_256_128 in IPv6
mtu    1406
mss4   1366
mss6   1346

outer MTU                   1500
outer IP header              -40
UDP (NAT-T)                    0
SPI and sequence number       -8
IV                           -16
ICV                          -16
pad length, next header       -2
lost to block size           -12
mtu                         1406
"""
    )


def test_the_table_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    main(["mtu", "--esp", "3des-sha384", "--outer", "4", "--encap", "--underlay", "1337"])
    sums = capsys.readouterr().out.split("\n\n")[1]
    *parts, mtu = [int(line.split()[-1]) for line in sums.splitlines()]
    assert sum(parts) == mtu


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["mtu", "--esp", "aes256gcm16-x25519-esn", "--outer", "4", "--encap", "-o", "json"]
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 1,
        "esp": "AES_GCM_16-256",
        "outer": 4,
        "encap": True,
        "underlay": 1500,
        "mtu": 1438,
        "mss4": 1398,
        "mss6": 1378,
        "overhead": {
            "outer_ip": 20,
            "udp": 8,
            "esp_header": 8,
            "iv": 8,
            "icv": 16,
            "trailer": 2,
            "alignment": 0,
            "total": 62,
        },
        "alternatives": [],
    }


def test_a_choice_is_answered_with_the_smallest(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["mtu", "--esp", "aes128gcm16,aes256-sha512-sha1", "--outer", "6"]
    assert main([*argv, "-o", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["esp"], answer["mtu"]) == ("AES_CBC-256/HMAC_SHA2_512_256", 1390)
    others = {other["esp"]: other["mtu"] for other in answer["alternatives"]}
    assert others == {"AES_GCM_16-128": 1426, "AES_CBC-256/HMAC_SHA1_96": 1422}
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert "If AES_GCM_16-128 is chosen: mtu 1426, mss4 1386, mss6 1366" in shown


def test_it_says_which_ipv6_packets_are_lost(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["mtu", "--esp", "aes128gcm16", "--outer", "4", "--underlay"]
    main([*argv, "1336"])
    assert "With IPv6 inside" not in capsys.readouterr().out
    main([*argv, "1335"])
    assert "of 1279 to 1280 bytes are lost" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--esp", "aes128-sah256", "--outer", "4"], "unknown word 'sah256'.*sha256"),
        (["--esp", "default", "--outer", "4"], "depends on the plugins"),
        (["--esp", "aes256", "--outer", "6", "--underlay", "100"], "100 is all overhead"),
    ],
)
def test_refused(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mtu", *argv]) == 64
    shown = capsys.readouterr()
    assert not shown.out
    assert re.search(says, shown.err)


@pytest.mark.parametrize(
    "argv",
    [
        ["--outer", "5"],
        ["--outer", "4", "--underlay", "67"],
        ["--outer", "4", "--underlay", "65536"],
        ["--outer", "4", "--underlay", "1e3"],
        ["--outer", "4", "-o", "xml"],
    ],
)
def test_wrong_usage(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["mtu", "--esp", "aes128-sha256", *argv])
    assert stopped.value.code == 64
