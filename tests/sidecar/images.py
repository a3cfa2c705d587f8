"""Build the images of charon, BIRD and vtid for the trial: `python -m tests.sidecar.images`.

Rules of this file:

* Images are built with buildah, without an engine and without a registry: the base image is made
  from Debian's own archive. The package index may need a certificate of the host; it is mounted for
  the build and is not in the image.
* Nothing of a container runs on the host: the trial runs in the machine, where podman is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import host
from tests.lab.machine import tree

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

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def main() -> int:
    """Build and export the images; return the exit status."""
    try:
        tree.make_cache()
        if not shutil.which("buildah"):
            tree.install_tools("buildah")
        CACHE.mkdir(parents=True, exist_ok=True)
        _base()
        for name, (file, context) in IMAGES.items():
            _image(name, file, context)
        _export()
    except tree.LabError as error:
        print(f"sidecar: error: {error}", file=sys.stderr)
        return 2
    return 0


def _buildah(*arguments: str | Path) -> list[str | Path]:
    places: list[str | Path] = ["--root", CACHE / "storage", "--runroot", CACHE / "run"]
    return ["buildah", *places, "--storage-driver", "vfs", *arguments]


def _said(*arguments: str | Path) -> str:
    done = subprocess.run(_buildah(*arguments), check=False, text=True, capture_output=True)
    if done.returncode:
        raise tree.LabError(f"buildah {arguments[0]}: {done.stderr.strip()}; or remove {CACHE}")
    return done.stdout.strip()


def _base() -> None:
    """Make the base image, as debian:bookworm-slim, unless it is there."""
    name = f"docker.io/library/debian:{SUITE}-slim"
    if _said("images", "--quiet", "--filter", f"reference={name}"):
        return
    archive = CACHE / "base.tar"
    with tree.timed("base image"):
        tree.debootstrap(SUITE, archive)
        container = _said("from", "scratch")
        _said("add", "--quiet", container, archive, "/")
        _said("commit", "--quiet", "--rm", container, name)
        archive.unlink()


def _image(name: str, file: str, context: str) -> None:
    bud = _buildah("bud", "--isolation", "chroot", "--layers", *_index(), "--tag")
    command = [*bud, f"localhost/{name}:latest", "--file", tree.REPO / file, tree.REPO / context]
    with tree.timed(f"image {name}"):
        tree.run_logged(command, "see what the build says")


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


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
