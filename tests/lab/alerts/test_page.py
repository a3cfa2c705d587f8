from __future__ import annotations

from tests.lab.alerts.page import PAGE, page


def test_the_table_is_what_the_lab_checks() -> None:
    text = PAGE.read_text()
    assert text == page(text)
