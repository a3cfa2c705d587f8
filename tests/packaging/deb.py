"""Build vtid's Debian packages and try them: `python -m tests.packaging.deb [SUITE ...]`.

One package per release, since the private environment is bound to the release's Python. It is
built in a tree with that release's tools, tried in a bare one, and then as a service in the lab's
machine, where it takes over from the version before. What needs the network is fetched on the way,
and cached: the trees, the packages that vtid depends on, and the wheels.

Rules of this file:

* The standard library only, like all that runs on the host before anything is installed.
* Everything is built and tried without network, and nothing of the host changes.
* One commit gives one version and the same bytes: all times are the commit's.
* The version before is built from its commit by that commit's own build.sh.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import host
from tests.lab.machine import native, systems, tree
from tests.packaging import source
from tests.packaging.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.machine.systems import System

CACHE = tree.CACHE.with_name("vtid-deb")
OUT = host.OUT / "deb"
SCRIPTS = "/src/tests/packaging"
LIMIT = 900.0
"""Seconds that a build or a trial may take."""

ENVIRONMENT = "HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin"
"""Of build and trial: nothing of the host's."""

LOCKS = ("requirements.txt", "requirements-build.txt")

BUILD_TOOLS = ("debhelper", "dh-apparmor", "lintian", "python3-venv")
DEPENDS = ("libnftables1", "passwd", "python3")
"""What the package depends on, as debian/control says."""

LATER = ("bird2",)
"""What is installed beside it in the trial."""

BARE_HOOKS = (
    'chroot "$1" apt-get -qq install --download-only --no-install-recommends '
    + " ".join((*DEPENDS, *LATER)),
    'rm -f "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"',  # here, /usr/share/doc is of interest
)
"""Nothing of it is installed: the trial's apt finds it in its cache, without network."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "build": (f"--include={','.join(BUILD_TOOLS)}",),
    "bare": (
        "--include=systemd,udev",
        "--skip=cleanup/apt",
        *(f"--customize-hook={hook}" for hook in BARE_HOOKS),
    ),
}
"""How the trees are made: mmdebstrap's options."""


def main(suites: list[str]) -> int:
    """Build and try the packages of Debian releases, by default all; return the exit status."""
    started = time.monotonic()
    try:
        tree.make_cache()
        found = [systems.chosen(suite, "2")[0] for suite in suites] or list(systems.SYSTEMS)
        for system in found:
            if status := _make(system):
                return status
    except tree.LabError as error:
        print(f"deb: error: {error}", file=sys.stderr)
        return 2
    tree.say(f"packages are in {OUT} ({time.monotonic() - started:.0f} s)")
    return 0


def _make(system: System) -> int:
    out = OUT / system.suite
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    if status := _build(system, out, Source(tree.REPO)):
        return status
    (package,) = out.glob("*.deb")
    if status := _run(system, "bare", out, f"bash {SCRIPTS}/trial.sh /out/{package.name}"):
        return status
    service = ["python3", "-m", "tests.packaging.service"]
    there = [f"/out/{one.relative_to(host.OUT)}" for one in (*_before(system, out), package)]
    return host.main(["run", "--os", system.suite, "--", *service, *there])


def _build(system: System, out: Path, built: Source) -> int:
    """Build a source's package; it is in `out` then."""
    shutil.copytree(_wheels(system, built), out / "wheels")
    words = [f"{SCRIPTS}/build.sh", built.version(system.release), str(built.epoch())]
    status = _run(system, "build", out, shlex.join(["bash", *words]), built.folder)
    shutil.rmtree(out / "wheels")
    return status


def _before(system: System, out: Path) -> list[Path]:
    """The package of the version before, if there is one, in a folder of its own below `out`."""
    if not (commit := source.earlier()):
        tree.say("there is no version before: the package is tried as an upgrade of itself")
        return []
    kept = CACHE / f"before-{system.suite}-{commit}"
    if not kept.exists():
        for old in CACHE.glob(f"before-{system.suite}-*"):
            shutil.rmtree(old)
        with tree.timed(f"package of {commit}, the version before"):
            _keep(system, commit, kept)
    (package,) = kept.glob("*.deb")
    (out / "before").mkdir()
    return [Path(shutil.copy(package, out / "before"))]


def _keep(system: System, commit: str, kept: Path) -> None:
    """Build the package of an earlier commit; its bytes never change."""
    work = kept.with_name(f"building-{system.suite}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with tempfile.TemporaryDirectory(prefix="vtid-deb-") as made:
        if _build(system, work, source.unpacked(commit, Path(made))):
            raise tree.LabError(f"{commit}, the version before, cannot be built: see {work}")
    work.rename(kept)


def _run(system: System, kind: str, out: Path, command: str, repo: Path = tree.REPO) -> int:
    """Run a command in a tree of that kind, with that repository in /src."""
    with _tree(system.suite, kind) as root, tempfile.TemporaryDirectory(prefix="vtid-deb-") as made:
        rooms = native.Rooms(root, repo, out, Path(made))
        (rooms.control / "run.sh").write_text(f"exec env -i {ENVIRONMENT} {command}\n")
        return native.run(rooms, LIMIT)


@contextmanager
def _tree(suite: str, kind: str) -> Iterator[Path]:
    """A Debian of that kind, made if need be, held while in use."""
    CACHE.mkdir(parents=True, exist_ok=True)
    recipe = repr(OPTIONS[kind]).encode()
    build = CACHE / f"{suite}-{kind}-{hashlib.sha256(recipe).hexdigest()[:16]}"
    with (CACHE / f"{suite}-{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not build.exists():
            for old in CACHE.glob(f"{suite}-{kind}-*"):
                shutil.rmtree(old)
            with tree.timed(f"Debian tree {suite}-{kind}"):
                tree.install_tools()
                work = build.with_suffix(".building")
                tree.debootstrap(suite, work, "--mode=root", *OPTIONS[kind])
                work.rename(build)
        yield build


def _wheels(system: System, built: Source) -> Path:
    """Folder with the locked wheels for the release's Python, fetched by the pip that runs this."""
    locks = [built.folder / lock for lock in LOCKS]
    key = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()[:16]
    wheels = CACHE / f"wheels-{system.python}-{key}"
    if not wheels.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tree.timed(f"wheels for Python {system.python}"):
            work = wheels.with_suffix(".building")
            shutil.rmtree(work, ignore_errors=True)
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            python = ["--only-binary=:all:", "--python-version", system.python]
            files = [word for lock in locks for word in ("--requirement", str(lock))]
            tree.run_logged(
                [*download, *python, "--require-hashes", "--dest", work, *files],
                "check the network and pip's configuration",
            )
            work.rename(wheels)
    return wheels


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
