"""Whether BIRD's configuration includes a file, and the pattern that is advised."""

from __future__ import annotations

import pytest

from vtid.core.doctor_bird import includes, pattern

FILE = "/var/lib/vtid/bird/main.conf"


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        (f'include "{FILE}";', True),
        ('include "/var/lib/vtid/bird/*.conf";', True),
        ('router id 1.1.1.1;\n  include "/var/lib/vtid/*/m*.conf"; # ours', True),
        (f'router id 1.1.1.1; include "{FILE}";', False),
        ('include "../../var/lib/vtid/bird/main.conf";', False),
        ('include "/var/lib/vtid/bird/mai*";', True),
        ('include "/var/lib/vtid/bird/other*.conf";', False),
        ('include "/var/lib/*.conf";', False),
        (f'# include "{FILE}";', False),
        (f'/* old\ninclude "{FILE}";\n*/', False),
        (f'/*\n*/ include "{FILE}";', False),
        (f'/* never ends\ninclude "{FILE}";', False),
        (f'# not /* a comment\ninclude "{FILE}";', True),
        (f'include "/etc/bird/*.inc";\ninclude "{FILE}"; /* x */', True),
        (f'log "/*" all;\ninclude "{FILE}";\nlog "*/" all;', True),
        (f'include "{FILE}.old";', False),
        (f'log "{FILE}" all;', False),
    ],
)
def test_an_include_is_found_by_name_and_by_pattern(conf: str, expected: bool) -> None:  # noqa: FBT001
    assert includes(f"{conf}\n", FILE) is expected


def test_relative_names_begin_where_bird_conf_is() -> None:
    assert includes('include "vtid/*.conf";', "/etc/bird/vtid/main.conf")


@pytest.mark.parametrize(
    ("file", "others", "expected"),
    [
        (FILE, (), "/var/lib/vtid/bird/*.conf"),
        (FILE, ("/var/lib/vtid/other/b.conf",), "/var/lib/vtid/bird/*.conf"),
        (FILE, ("/var/lib/vtid/bird/main2.conf",), "/var/lib/vtid/bird/main.con[f]"),
        ("/etc/bird/vtid.conf", ("/etc/bird/bird.conf",), "/etc/bird/vtid.con[f]"),
        ("/var/lib/vtid/bird/x.inc", (), "/var/lib/vtid/bird/x.in[c]"),
    ],
)
def test_the_pattern_takes_this_file_and_no_other(
    file: str, others: tuple[str, ...], expected: str
) -> None:
    assert pattern(file, others) == expected
    assert includes(f'include "{expected}";', file)
    assert not any(includes(f'include "{expected}";', one) for one in others)
