"""The sdist is the whole repository, and a wheel has the whole of `vtid/`; built from a copy.

Rules of this file: the build backend that is there does it, without network. What `build_py`
collects is what a wheel has; the archive itself would take a newer setuptools or `wheel`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
IGNORED = {".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().split())}


def ignored(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if any(fnmatch(name, pattern) for pattern in IGNORED)}


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def setup(folder: Path, *arguments: str) -> None:
    """Run a command of setuptools there."""
    script = f"import setuptools; setuptools.setup(script_args={arguments!r})"
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository without what git ignores."""
    copy = tmp_path_factory.mktemp("dists") / "source"
    return Path(shutil.copytree(ROOT, copy, ignore=ignored, symlinks=True))


@pytest.fixture(scope="module")
def unpacked(source: Path) -> Path:
    """The unpacked sdist."""
    work = source.with_name("work")
    shutil.copytree(source, work)
    setup(work, "sdist", "--dist-dir", str(source.parent))
    (sdist,) = source.parent.glob("*.tar.gz")
    shutil.unpack_archive(sdist, source.parent)
    return source.parent / sdist.name.removesuffix(".tar.gz")


def test_the_sdist_has_every_file_of_the_repository(source: Path, unpacked: Path) -> None:
    found = files(unpacked)
    assert files(source) - found == set()
    generated = {name for name in found - files(source) if ".egg-info/" not in name}
    assert generated == {"PKG-INFO", "setup.cfg"}


def test_a_wheel_of_the_sdist_has_all_of_vtid_and_nothing_else(
    unpacked: Path, tmp_path: Path
) -> None:
    setup(unpacked, "build_py", "--build-lib", str(tmp_path))
    assert files(tmp_path) == {
        name for name in files(unpacked) if PurePosixPath(name).parts[0] == "vtid"
    }
