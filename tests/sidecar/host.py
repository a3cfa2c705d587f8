"""Build the images of charon, BIRD and vtid, and try them as pods: `python -m tests.sidecar.host`.

Rules of this file:

* Images are built with buildah, without an engine and without a registry: the base image is made
  from Debian's own archive. The package index may need a certificate of the host; it is mounted for
  the build and is not in the image.
* Nothing of a container runs on the host: podman is in the machine (QEMU, Debian 13).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import host
from tests.lab.machine import native, systems, tree, vm
from tests.lab.machine.tree import LabError, say

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = "bookworm"
"""Debian of the images."""

CACHE = tree.CACHE.with_name("vtid-sidecar")
IMAGES = {
    "vtid": ("Dockerfile", "."),
    "charon": ("tests/sidecar/charon.Dockerfile", "tests/sidecar"),
    "bird": ("tests/sidecar/bird.Dockerfile", "tests/sidecar"),
}
"""Dockerfile and build context of each image."""

PODMAN = ("podman", "crun", "conmon", "netavark", "aardvark-dns", "catatonit", "nftables", "jq")
LIMIT = 1500.0
"""Seconds that the trial may take; processes are about six times slower in the machine."""

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def main() -> int:
    """Build, run the trial, return its exit status."""
    try:
        _tools()
        CACHE.mkdir(parents=True, exist_ok=True)
        _base()
        for name, (file, context) in IMAGES.items():
            _image(name, file, context)
        _export()
        return _trial()
    except LabError as error:
        print(f"sidecar: error: {error}", file=sys.stderr)
        return 2
    except subprocess.TimeoutExpired:
        print(f"sidecar: error: not done within {LIMIT:.0f} s, ended", file=sys.stderr)
        return 124


def _tools() -> None:
    missing = [name for name in ("buildah", "mmdebstrap") if not shutil.which(name)]
    if missing:
        tree._make_cache()
        tree.install_tools(*missing)


def _buildah(*arguments: str | Path) -> list[str | Path]:
    places: list[str | Path] = ["--root", CACHE / "storage", "--runroot", CACHE / "run"]
    return ["buildah", *places, "--storage-driver", "vfs", *arguments]


def _said(*arguments: str | Path) -> str:
    found = subprocess.run(_buildah(*arguments), check=True, text=True, stdout=subprocess.PIPE)
    return found.stdout.strip()


def _base() -> None:
    """Make the base image, as debian:bookworm-slim, unless it is there."""
    name = f"docker.io/library/debian:{SUITE}-slim"
    if _said("images", "--quiet", "--filter", f"reference={name}"):
        return
    started = time.monotonic()
    archive = CACHE / "base.tar"
    without = [f"--dpkgopt=path-exclude=/usr/share/{one}/*" for one in tree.UNWANTED_FILES]
    archives = tree._archives(SUITE)
    tree.run_logged(
        [
            "mmdebstrap",
            "--variant=minbase",
            *without,
            *tree._apt_proxies(),
            SUITE,
            archive,
            *archives,
        ],
        "check the network and /etc/apt/sources.list*",
    )
    container = _said("from", "scratch")
    _said("add", "--quiet", container, archive, "/")
    _said("commit", "--quiet", "--rm", container, name)
    archive.unlink()
    say(f"built: base image ({time.monotonic() - started:.0f} s)")


def _image(name: str, file: str, context: str) -> None:
    started = time.monotonic()
    bud = _buildah("bud", "--isolation", "chroot", "--layers", *_index(), "--tag")
    command = [*bud, f"localhost/{name}:latest", "--file", tree.REPO / file, tree.REPO / context]
    tree.run_logged(command, "see what the build says")
    say(f"built: image {name} ({time.monotonic() - started:.0f} s)")


def _index() -> Iterator[str]:
    """Yield the mounts with which pip reaches the host's package index."""
    if not CERTIFICATES.exists():
        return
    settings = CACHE / "pip.conf"
    settings.write_text("[global]\ncert = /run/ca.crt\n")
    for source, target in ((CERTIFICATES, "/run/ca.crt"), (settings, "/etc/pip.conf")):
        yield f"--volume={source}:{target}:ro"


def _export() -> None:
    """Put the images where the machine finds them, as an OCI layout: they share their base."""
    layout = host.OUT / "sidecar"
    shutil.rmtree(layout, ignore_errors=True)
    layout.mkdir(parents=True)
    for name in IMAGES:
        place = f"oci:{layout}/images:{name}"
        _said("push", "--quiet", "--disable-compression", f"localhost/{name}:latest", place)


def _trial() -> int:
    (basis,) = (one for one in systems.SYSTEMS if one.suite == "trixie")
    system = systems.System(basis.suite, basis.release, basis.python, basis.birds, PODMAN)
    with tree.prepared(system) as build, tempfile.TemporaryDirectory(prefix="vtid-lab-") as control:
        rooms = native.Rooms(build / "tree", tree.REPO, host.OUT, Path(control))
        command = shlex.join(["python3", "-m", "tests.sidecar.trial", *sys.argv[1:]])
        (rooms.control / "run.sh").write_text(host._script(command))
        (rooms.control / "shell.sh").write_text(host.SHELL)
        tree.install_tools()
        return vm.run(build, rooms, LIMIT)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
