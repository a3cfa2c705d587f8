"""What a reload leaves behind: how it ended, and whether the file is the one in use."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from vtid.bird.own_template import OwnTemplate
from vtid.bird.template import shipped
from vtid.config.load import load
from vtid.daemon import reload
from vtid.daemon.reload import Reloader
from vtid.http.api import ReloadResult

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from vtid.config.keys import Config

GOOD, OTHER, BAD = "", "# changed\n", "nonsense = 1\n"
BIRD = '[[bird]]\nname = "a"\nsocket = "/b.ctl"\ninclude = "/b.conf"\ntemplate = "bgp-1.6"\n'


async def use(_config: Config) -> ReloadResult:
    return ReloadResult(ok=True)


def reloader(directory: Path, text: str = GOOD) -> tuple[Reloader, Path]:
    file = directory / "vtid.toml"
    file.write_text(text)
    return Reloader(file, load(text), use), file


async def test_the_digest_is_that_of_the_file_in_use(tmp_path: Path) -> None:
    one, file = reloader(tmp_path)
    assert one.digest == hashlib.sha256(b"").hexdigest()
    file.write_text(OTHER)
    await one.reload(ready=False)
    accepted = one.digest
    assert accepted == hashlib.sha256(OTHER.encode()).hexdigest()
    file.write_text(BAD)
    await one.reload(ready=False)
    assert one.digest == accepted
    assert one.stale
    assert one.results == {"done": 1, "refused": 1}


async def test_a_template_is_compiled_before_it_is_used(tmp_path: Path) -> None:
    """In the thread that reads the file: in the event loop it would hold everything."""
    compiled: list[int] = []

    async def to_use(config: Config) -> ReloadResult:
        compiled.append(shipped.cache_info().misses)
        (bird,) = config.birds
        OwnTemplate(bird.template)
        compiled.append(shipped.cache_info().misses)
        return ReloadResult(ok=True)

    file = tmp_path / "vtid.toml"
    file.write_text(BIRD)
    shipped.cache_clear()
    assert (await Reloader(file, load(GOOD), to_use).reload(ready=False)).ok
    assert compiled == [1, 1]


async def test_a_file_that_changed_is_seen_without_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "LOOK", 0)
    one, file = reloader(tmp_path)
    watching = asyncio.create_task(one.watch())
    async with asyncio.timeout(10):
        for change in (lambda: file.write_text(OTHER), file.unlink):
            change()
            while not one.stale:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.001)
            file.write_text(GOOD)
            while one.stale:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    watching.cancel()
