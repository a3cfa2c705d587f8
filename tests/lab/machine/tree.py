"""The file system the lab runs on: a Debian root tree in a cache folder of the host.

strongSwan, BIRD, nftables, a kernel's modules and the locked Python packages go into this tree and
never onto the host, so that no service of theirs is ever started there.

Rules of this file:

* The standard library only, like all that runs on the host before anything is installed.
* A build happens in a folder beside the final one and is renamed when it is whole: an interrupted
  build is never taken for a good one. The final folder's name has a hash of the recipe.
* The archive is the host's own where the host is a Debian; its proxies and pip's configuration
  are respected. None of them is ever written into the repository. The host's list of sources is
  only read, for any Debian.
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

    from tests.lab.machine.systems import System

REPO = Path(__file__).resolve().parents[3]
# a folder of our own even below $VTID_CACHE: what an earlier run left in it is removed
CACHE = Path(os.environ.get("VTID_CACHE", "/var/cache")) / "vtid-lab"
LOCK_FILE = REPO / "requirements-dev.txt"

KEYRINGS = Path("/usr/share/keyrings")
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

# Unpacks packages without installing them; $1 is the tree.
UNPACK_HOOK = r"""set -e
cd "$1/var/tmp"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
unpack() { apt-get -q download "$1"; dpkg-deb -x "$1"_*.deb "$2"; rm "$1"_*.deb; }
unpack "$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: //p' | head -n 1)" kernel
"""


class LabError(Exception):
    """The lab cannot be prepared or run; the message is one line with the way out."""


def say(text: str) -> None:
    """Tell the person who waits what is being done."""
    print(f"lab: {text}", flush=True)


def key(system: System) -> str:
    """Name of the build: the suite, and a hash of the recipe and the locked Python packages."""
    recipe = Path(__file__).read_bytes() + repr(system).encode() + LOCK_FILE.read_bytes()
    return f"{system.name}-{hashlib.sha256(recipe).hexdigest()[:16]}"


@contextmanager
def prepared(system: System) -> Iterator[Path]:
    """Folder of a whole build with `tree/` and `root.img`, made if need be, held while in use.

    Any number of runs share a build; whoever has to make one waits for the others to end.
    """
    make_cache()
    with (CACHE / "lock").open("w") as lock:
        build = CACHE / key(system)
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not build.exists():
            _lock_for_building(lock.fileno())
            if not build.exists():
                _build(system, build)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield build


def make_cache() -> None:
    """Make the folder of the builds and of their log."""
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


def _build(system: System, build: Path) -> None:
    """Make the build beside its place, put it there, and drop those of other recipes for it.

    Nobody else holds the lock, so what is left of interrupted builds and runs can go, too.
    """
    if os.geteuid() != 0:
        raise LabError(
            f"the lab's tree of Debian {system.release} is not built yet; run this once as root"
        )
    free = shutil.disk_usage(CACHE).free
    if free < NEEDED_BYTES:
        raise LabError(
            f"{CACHE} has {free >> 20} MiB free, {NEEDED_BYTES >> 20} are needed; set VTID_CACHE"
        )
    for old in (*CACHE.glob("*.building"), *CACHE.glob("run-*")):
        shutil.rmtree(old)
    work = build.with_suffix(".building")
    work.mkdir()
    tree = work / "tree"
    with timed(f"Debian {system.release} tree with strongSwan, BIRD, nftables"):
        _make_tree(system, tree)
    with timed("kernel, unpacked"):
        _unpack_kernel(tree, work)
    with timed("Python packages from the lock file"):
        _install_python(system, tree)
    with timed("disk image for QEMU"):
        _make_image(tree, work / "root.img")
    work.rename(build)
    for other in CACHE.glob(f"{system.name}-*"):
        if other != build:
            shutil.rmtree(other)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Tell what was built, and how long that took."""
    start = time.monotonic()
    yield
    say(f"built: {what} ({time.monotonic() - start:.0f} s)")


def run_logged(
    command: Sequence[str | Path], way_out: str, env: dict[str, str] | None = None
) -> None:
    """Run a command with its output in the cache's log; a failure is a `LabError`."""
    log = CACHE / "prepare.log"
    with log.open("ab") as output:
        start = output.tell()
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
        raise LabError(
            f"{command[0]} failed: {_cause(log.read_bytes()[start:])}; {way_out} (all of it: {log})"
        )


def _cause(output: bytes) -> str:
    """The first error line of a command's output, which the others follow from, or its last."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "ERROR", "error", "mke2fs:"))]
    return (errors or lines[-1:] or ["it says nothing"])[0]


def install_tools(*more: str) -> None:
    """Install what the host itself needs from its own archive; none of it brings a service."""
    missing = [package for tool, package in HOST_TOOLS.items() if not shutil.which(tool)]
    missing += more
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"this is no Debian: install {', '.join(missing)} by hand, then try again")
    if os.geteuid() != 0:
        raise LabError(f"{', '.join(missing)} missing; run this once as root")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with timed(f"installed {' '.join(missing)}"):
        # A foreign archive that does not answer matters only if a package is missing for it.
        subprocess.run(
            ["apt-get", "-qq", "update"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        install = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *missing]
        run_logged(install, "check the network and /etc/apt", quiet)


def _missing_keyring(suite: str) -> list[str]:
    """The package with the keys of this Debian, unless the host has them."""
    known = any(KEYRINGS.glob(f"debian-archive-{suite}-stable.*"))
    return [] if known else ["debian-archive-keyring"]


def debootstrap(suite: str, target: Path, *options: str) -> None:
    """Make a minimal Debian, a folder or an archive, from the host's own mirrors."""
    install_tools(*_missing_keyring(suite))
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNWANTED_FILES]
    settings = ["--variant=minbase", *excludes, *options, *_apt_proxies()]
    run_logged(
        ["mmdebstrap", *settings, suite, target, *_archives(suite)],
        "check the network, /etc/apt/sources.list* and that debian-archive-keyring is recent",
    )


def _make_tree(system: System, tree: Path) -> None:
    birds = "".join(
        f'unpack {bird.unpacked} "$1/opt/bird-{bird.choice}"\n'
        for bird in system.birds
        if bird.unpacked
    )
    debootstrap(
        system.suite,
        tree,
        "--mode=root",
        f"--include={','.join((*PACKAGES, *system.more))}",
        f"--customize-hook={UNPACK_HOOK}{birds}",
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


def _archives(suite: str) -> list[str]:
    """Lines of a sources.list for the suite: at the host's own mirrors of Debian, or Debian's."""
    fields = "$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)"
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", fields, "Identifier: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = dict.fromkeys(_same_mirrors(targets.stdout.splitlines(), suite))
    if any(f" {suite} " in line for line in found):
        return list(found)
    debian = "http://deb.debian.org/debian"
    return [
        f"deb {debian} {suite} main",
        f"deb {debian} {suite}-updates main",
        f"deb {debian}-security {suite}-security main",
    ]


def _same_mirrors(targets: Sequence[str], suite: str) -> Iterator[str]:
    """Lines for the suite at the mirrors of `apt-get indextargets`: one has all releases."""
    for target in targets:
        origin, codename, component, uri, *_ = [*target.split(" "), "", "", "", ""]
        pocket = codename.partition("-")[2]
        if origin == "Debian" and component == "main" and pocket in ("", "updates", "security"):
            yield f"deb {uri} {suite}{'-' if pocket else ''}{pocket} main"


def _unpack_kernel(tree: Path, work: Path) -> None:
    """Put the modules a network lab can use into the tree, and the kernel beside it."""
    unpacked = tree / "var/tmp/kernel"
    (image,) = (unpacked / "boot").glob("vmlinuz-*")
    image.rename(work / "vmlinuz")
    (modules,) = unpacked.glob("**/lib/modules/*")
    target = tree / "lib/modules" / modules.name
    for part in KERNEL_PARTS:
        shutil.copytree(modules / "kernel" / part, target / "kernel" / part)
    for listing in modules.glob("modules.*"):
        shutil.copy(listing, target)
    shutil.rmtree(unpacked)
    run_logged(["chroot", tree, "depmod", modules.name], "remove the cache folder and try again")


def _install_python(system: System, tree: Path) -> None:
    """Install the locked packages for the tree's Python with the pip that runs this."""
    run_logged(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--target", tree / "opt/vtid", "--python-version", system.python),
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
