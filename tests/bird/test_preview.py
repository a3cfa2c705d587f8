from __future__ import annotations

from vtid.bird.preview import difference, without_passwords


def test_passwords_are_hidden_however_they_are_written() -> None:
    text = 'a;\n  password "x; y}";\n passwords { PASSWORD  "z" { id 1; }; };\n password w;\n b'
    assert without_passwords(text) == (
        'a;\n  password "…";\n passwords { PASSWORD  "…" { id 1; }; };\n password "…"\n b'
    )
    assert without_passwords("no password") == "no password"


def test_difference() -> None:
    assert difference("/f", "a\nb\n", "a\nc\n") == (
        "--- /f\n+++ /f (wanted)\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    )
    assert not difference("/f", "a\n", "a\n")


def test_a_changed_password_is_a_difference_that_tells_neither() -> None:
    lines = without_passwords(difference("/f", 'password "a";\n', 'password "b";\n'))
    assert lines.splitlines()[-2:] == ['-password "…";', '+password "…";']
