"""Texts that are read for BIRD: nothing is waited for, and no more is read than fits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from vtid.bird.files import read_text

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_read_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("\u0416")
    assert read_text(tmp_path / "a", 2) == "\u0416"
    with pytest.raises(OSError, match="larger than 1 bytes"):
        read_text(tmp_path / "a", 1)


def test_a_pipe_is_not_waited_for_and_a_device_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for one in (str(tmp_path / "pipe"), "/dev/zero"):
        with pytest.raises(OSError, match="no regular file"):
            read_text(one, 1000)
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path, 1000)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none", 1000)
