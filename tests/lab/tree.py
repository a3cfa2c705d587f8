"""The file system the lab runs on: a Debian 12 root tree in a cache folder of the host.

strongSwan, BIRD, nftables, a kernel's modules and the locked Python packages go into this tree and
never onto the host, so that no service of theirs is ever started there.

Rules of this file:

* The standard library only, like all that runs on the host before anything is installed.
* A build happens in a folder beside the final one and is renamed when it is whole: an interrupted
  build is never taken for a good one. The final folder's name is a hash of the recipe.
* The archive is the host's own where the host is Debian 12; its proxies and pip's configuration
  are respected. None of them is ever written into the repository.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPO = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("VTID_CACHE", "/var/cache/vtid-lab"))
LOCK_FILE = REPO / "requirements-dev.txt"

SUITE = "bookworm"
PYTHON_VERSION = "3.11"
NEEDED_BYTES = 3 << 30

PACKAGES = (
    "bird2",
    "busybox-static",
    "charon-systemd",
    "fping",
    "iproute2",
    "iputils-ping",
    "kmod",
    "libcharon-extra-plugins",
    "libnftables1",
    "libstrongswan-extra-plugins",
    "libstrongswan-standard-plugins",
    "nftables",
    "procps",
    "python3",
    "strongswan-swanctl",
    "systemd",
    "tcpdump",
    "util-linux",
)
HOST_TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "qemu-system-x86_64": "qemu-system-x86",
    "unshare": "util-linux",
}
UNWANTED_FILES = ("doc", "info", "locale", "man")
KERNEL_PARTS = (
    "arch",
    "crypto",
    "fs",
    "lib",
    "net",
    "drivers/block",
    "drivers/net",
    "drivers/virtio",
)

# Unpacks the kernel's package without installing it; $1 is the tree.
KERNEL_HOOK = r"""set -e
cd "$1/var/tmp"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
name=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: //p' | head -n 1)
apt-get -q download "$name"
dpkg-deb -x linux-image-*.deb kernel
rm linux-image-*.deb
"""


class LabError(Exception):
    """The lab cannot be prepared or run; the message is one line with the way out."""


def say(text: str) -> None:
    """Tell the person who waits what is being done."""
    print(f"lab: {text}", flush=True)


def key() -> str:
    """Name of the build: a hash of the recipe (this file) and of the locked Python packages."""
    recipe = Path(__file__).read_bytes() + LOCK_FILE.read_bytes()
    return hashlib.sha256(recipe).hexdigest()[:16]


@contextmanager
def prepared() -> Iterator[Path]:
    """Folder of a whole build with `tree/` and `root.img`, made if need be, held while in use.

    Any number of runs share a build; whoever has to make one waits for the others to end.
    """
    _make_cache()
    with (CACHE / "lock").open("w") as lock:
        build = CACHE / key()
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not build.exists():
            _lock_for_building(lock.fileno())
            if not build.exists():
                _build(build)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield build


def _make_cache() -> None:
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "lock").touch()
    except OSError as error:
        raise LabError(
            f"cannot use {CACHE}: {error.strerror}; run as root or set VTID_CACHE"
        ) from error


def _lock_for_building(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"another run uses {CACHE}; waiting for it to end before building")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _build(build: Path) -> None:
    """Make the build beside its place, put it there, and drop those of other recipes.

    Nobody else holds the lock, so what is left of interrupted builds and runs can go, too.
    """
    if os.geteuid() != 0:
        raise LabError("the lab's Debian tree is not built yet; run this once as root")
    free = shutil.disk_usage(CACHE).free
    if free < NEEDED_BYTES:
        raise LabError(
            f"{CACHE} has {free >> 20} MiB free, {NEEDED_BYTES >> 20} are needed; set VTID_CACHE"
        )
    for old in (*CACHE.glob("*.building"), *CACHE.glob("run-*")):
        shutil.rmtree(old)
    work = build.with_suffix(".building")
    work.mkdir()
    install_tools()
    tree = work / "tree"
    with _timed("Debian 12 tree with strongSwan, BIRD, nftables"):
        _debootstrap(tree)
    with _timed("kernel, unpacked"):
        _unpack_kernel(tree, work)
    with _timed("Python packages from the lock file"):
        _install_python(tree)
    with _timed("disk image for QEMU"):
        _make_image(tree, work / "root.img")
    work.rename(build)
    for other in CACHE.glob("????????????????"):
        if other != build:
            shutil.rmtree(other)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    say(f"built: {what} ({time.monotonic() - start:.0f} s)")


def run_logged(
    command: Sequence[str | Path], way_out: str, env: dict[str, str] | None = None
) -> None:
    """Run a command with its output in the cache's log; a failure is a `LabError`."""
    log = CACHE / "prepare.log"
    with log.open("ab") as output:
        output.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | (env or {}),
            check=False,
        )
    if result.returncode != 0:
        raise LabError(f"{command[0]} failed: {_last_words(log)}; {way_out} (all of it: {log})")


def _last_words(log: Path) -> str:
    """The last error line of a log, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines[-40:] if line.startswith(("E:", "ERROR", "error", "mke2fs:"))]
    return (errors or lines)[-1]


def install_tools() -> None:
    """Install what the host itself needs from its own archive; none of it brings a service."""
    missing = [package for tool, package in HOST_TOOLS.items() if not shutil.which(tool)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"this is no Debian: install {', '.join(missing)} by hand, then try again")
    if os.geteuid() != 0:
        raise LabError(f"{', '.join(missing)} missing; run this once as root")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with _timed(f"installed {' '.join(missing)}"):
        # A foreign archive that does not answer matters only if a package is missing for it.
        subprocess.run(
            ["apt-get", "-qq", "update"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        install = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *missing]
        run_logged(install, "check the network and /etc/apt", quiet)


def _debootstrap(tree: Path) -> None:
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNWANTED_FILES]
    run_logged(
        [
            "mmdebstrap",
            "--variant=minbase",
            "--mode=root",
            f"--include={','.join(PACKAGES)}",
            f"--customize-hook={KERNEL_HOOK}",
            *excludes,
            *_apt_proxies(),
            SUITE,
            tree,
            *_archives(),
        ],
        "check the network and /etc/apt/sources.list*",
    )
    for name in ("src", "out", "ctl"):
        (tree / name).mkdir()


def _apt_proxies() -> list[str]:
    settings = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
    lines = settings.stdout.splitlines()
    return [
        f"--aptopt={line}"
        for line in lines
        if line.startswith("Acquire::") and "::proxy" in line.lower() and '""' not in line
    ]


def _archives() -> list[str]:
    """The host's own sources.list lines for Debian 12, else Debian's."""
    fields = "$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI) $(SIGNED_BY)"
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", fields, "Identifier: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    wanted = {SUITE, f"{SUITE}-updates", f"{SUITE}-security"}
    found = []
    for line in targets.stdout.splitlines():
        origin, codename, component, uri, *_ = [*line.split(" "), "", "", "", ""]
        if origin == "Debian" and codename in wanted and component == "main":
            found.append(f"deb {uri} {codename} main")
    if any(f" {SUITE} " in line for line in found):
        return found
    debian = "http://deb.debian.org/debian"
    return [
        f"deb {debian} {SUITE} main",
        f"deb {debian} {SUITE}-updates main",
        f"deb {debian}-security {SUITE}-security main",
    ]


def _unpack_kernel(tree: Path, work: Path) -> None:
    """Put the modules a network lab can use into the tree, and the kernel beside it."""
    unpacked = tree / "var/tmp/kernel"
    (image,) = (unpacked / "boot").glob("vmlinuz-*")
    image.rename(work / "vmlinuz")
    (modules,) = (unpacked / "lib/modules").iterdir()
    target = tree / "lib/modules" / modules.name
    for part in KERNEL_PARTS:
        shutil.copytree(modules / "kernel" / part, target / "kernel" / part)
    for listing in modules.glob("modules.*"):
        shutil.copy(listing, target)
    shutil.rmtree(unpacked)
    run_logged(["chroot", tree, "depmod", modules.name], "remove the cache folder and try again")


def _install_python(tree: Path) -> None:
    """Install the locked packages for the tree's Python with the pip that runs this."""
    run_logged(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--target", tree / "opt/vtid", "--python-version", PYTHON_VERSION),
            *("--only-binary=:all:", "--require-hashes", "--requirement", LOCK_FILE),
        ],
        "check the network and pip's configuration",
    )


def _make_image(tree: Path, image: Path) -> None:
    # Room for what a run writes; the file is sparse, and QEMU throws the changes away.
    with image.open("wb") as file:
        file.truncate(3 << 30)
    options = ["-q", "-t", "ext4", "-m", "0", "-O", "^has_journal"]
    run_logged(["mke2fs", *options, "-d", tree, image], "check the space on the disk")
