"""What a bug report has of this machine; with a daemon and secrets, tests/ctl/test_bundle.py."""

from __future__ import annotations

from dataclasses import fields

from vtid.config.load import load
from vtid.daemon.collect import _secrets, link_line
from vtid.kernel.messages import LinkInfo


def test_vars_may_be_secret_from_six_characters_on_digits_or_not() -> None:
    values = 'pin = "12345678", number = 123456, word = "hunter", short = "ours5", area = 12345'
    text = f'[[tunnel]]\nconnection = "a"\ninterface = "vti1"\nvars = {{ {values} }}\n'
    assert sorted(_secrets(load(text))) == ["123456", "12345678", "hunter"]


def test_the_name_of_a_link_steers_no_terminal() -> None:
    """The kernel refuses only slashes, colons and white space in it."""
    empty = dict.fromkeys((one.name for one in fields(LinkInfo)), 0)
    texts = dict.fromkeys(("kind", "alias", "local", "remote"), "")
    link = LinkInfo(**{**empty, **texts, "ifindex": 7, "name": "a\x1b[2J"})  # type: ignore[arg-type]
    line = link_line(link)
    assert line.isprintable()
    assert line.startswith("7: a\\x1b[2J kind device")
