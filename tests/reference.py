"""The reference of the configuration: etc/vtid.toml as the page docs/configure.md.

python -m tests.reference       writes the page; tests/test_docs.py fails while they differ
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "etc" / "vtid.toml"
PAGE = ROOT / "docs" / "configure.md"

HEAD = """# Configure

`/etc/vtid/vtid.toml` has the tables below. `vtid --check --config FILE` reports every error with
its line and key. `vtictl reload` (or `systemctl reload vtid`) applies a change; a bad file changes
nothing. What takes effect at the next start only is named by the reload.

Files `conf.d/*.toml` beside it are read as well, in the order of their names, one for each site
for example: `[[tunnel]]` and `[[bird]]` of all files are one list, any other table stands in one of
them, and `[defaults]` counts for all. Hidden files and other endings (`.bak`, `.toml~`) are left
out. `vtid --check` reads them with the file that is named; one of `conf.d` that is named itself is
checked alone.

`VTID_CONFIG` in the environment names another file than `/etc/vtid/vtid.toml`, for `vtid` and
`vtictl`, and `VTID_LOG=json` has the log in JSON.

Durations are written `"500ms"`, `"3s"`, `"1m"` or `"1h"`; a bare number is in seconds. Keys of
`[defaults]` and `[defaults.bgp]` count for every tunnel and session that does not set them.

Generated from [etc/vtid.toml](../etc/vtid.toml) by `python -m tests.reference`: edit that file.
"""

_TABLE = re.compile(r"(\[\[?[a-z_.]+\]?\])")
_KEY = re.compile(r"(#?)([a-z_0-9]+) = (.*)")


def page(text: str) -> str:
    """Return the page for the reference configuration `text`."""
    parts = [HEAD.strip()]
    for block in text.split("\n\n")[1:]:
        parts += _parts(block.splitlines())
    return "\n\n".join(parts) + "\n"


def _parts(block: list[str]) -> list[str]:
    """Return a block as paragraphs: a table with its purpose, or keys with what they mean."""
    parts: list[str] = []
    words: list[str] = []
    keys: list[str] = []
    for line in block:
        if table := _TABLE.fullmatch(line):
            parts += [f"## `{table[1]}`", *filter(None, ["\n".join(words)])]
            words = []
        elif key := _KEY.fullmatch(line):
            default = key[1] and not re.search(r"No\s+default[:.,]", " ".join(words))
            keys.append(f"`{key[2]}` ({'default' if default else 'for example'} `{key[3]}`)")
        else:
            parts += _entry(keys, words) if keys else ()
            words = words if not keys else []
            keys = []
            words.append(line.removeprefix("#").strip())
    return [*parts, *_entry(keys, words)]


def _entry(keys: list[str], words: list[str]) -> list[str]:
    heading = f"**{', '.join(keys)}**" if keys else ""
    return [part for part in (heading, "\n".join(words)) if part]


def main() -> None:
    PAGE.write_text(page(SOURCE.read_text()))


if __name__ == "__main__":
    main()
