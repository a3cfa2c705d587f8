"""Run a command on the lab's tree in a QEMU machine with Debian's kernel.

Rules of this file:

* KVM first, with a time limit: a `/dev/kvm` may exist and its guest still hang. What was seen is
  remembered for this machine and kernel. Then software emulation.
* The machine has no network. The disk image is never written to. The repository is read-only, and
  the exit status comes back in a file: no file, no success.
* QEMU is ended by its own process number, whatever happens to us; Ctrl-C is not for it.
* Under software emulation the guest's kernel can panic ("Oops: int3"): it patches a static key
  while another CPU runs it. A packet socket holds the key of timestamps for the whole run. If the
  guest panics all the same, the run begins again once, and says so at once and in the end.
"""

from __future__ import annotations

import gzip
import json
import lzma
import os
import platform
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.lab.machine import moving
from tests.lab.machine.running import Running, announced
from tests.lab.machine.tree import CACHE, LabError, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.machine.native import Rooms

BOOTED = b"vtid-lab: booted"
READY = b"vtid-lab: ready"
DONE = b"vtid-lab: done"
KVM_PATIENCE = 10.0
"""Seconds in which a guest under KVM must have shown its first sign of life."""
BOOT_PATIENCE = 120.0
"""Seconds in which the machine must be ready for the command."""
PANIC = (b"Kernel panic", b"Oops: ")
"""What the guest's kernel says when it dies."""

VERDICTS = CACHE / "kvm.json"

MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "9p", "9pnet_virtio")

INIT = """#!/bin/busybox sh
export PATH=/bin
mount -t devtmpfs dev /dev
echo "vtid-lab: booted"
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do insmod "$module"; done </modules
mount -t ext4 /dev/vda /mnt
cd /mnt
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm
mount -t devpts pts dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
common=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o "$common,ro,cache=loose" src src
mount -t 9p -o "$common" out out
mount -t 9p -o "$common" ctl ctl
cat >run/start <<'X'
echo "vtid-lab: ready"
python3 -S /src/tests/lab/machine/console.py /dev/ttyS1 bash /ctl/shell.sh </dev/null &
python3 -S /src/tests/lab/machine/steady.py &
bash /ctl/run.sh </dev/null
echo $? >/ctl/status
sync
echo "vtid-lab: done"
echo o >/proc/sysrq-trigger
sleep 60
X
exec switch_root /mnt /bin/bash /run/start
"""


def run(
    build: Path, rooms: Rooms, limit: float | None, *, name: str = "console", kept: bool = False
) -> int:
    """Boot, run `control/run.sh`, return its exit status; the console's log is called `name`.

    Raises `LabError` when the machine does not come up or dies, and `subprocess.TimeoutExpired`
    when it took more than `limit` seconds.
    """
    if platform.machine() != "x86_64":
        raise LabError(f"no machine to emulate for {platform.machine()}: use a kernel with VTI")
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as work:
        initrd = Path(work) / "initrd"
        initrd.write_bytes(_initrd(rooms.tree, Path(work) / "initrd.d"))
        for accelerator in _accelerators():
            machine = _Machine(
                command=_qemu(build, initrd, rooms, accelerator),
                console=rooms.out / f"{name}.log",
                temporary=Path(work),
                kvm=accelerator == "kvm",
            )
            with announced(Running(kept, console=str(_shell_socket(rooms)))):
                if _run_again(machine, rooms, limit):
                    return _status(rooms, machine.console)
            _remember_kvm(works=False)
            say("the guest does not boot under KVM here; software emulation instead")
    raise LabError("QEMU could not be started")


def _run_again(machine: _Machine, rooms: Rooms, limit: float | None) -> bool:
    """Run a machine, a second time if its kernel panics; False if it gave no sign under KVM."""
    if not machine.run(limit):
        return False
    if not machine.panic:
        return True
    first = machine.console.with_suffix(".panic.log")
    first.write_bytes(machine.console.read_bytes())
    why = f"the guest's kernel panicked ({machine.panic}; {first})"
    say(f"{why}: a fault of the emulation; the run begins again, once")
    (rooms.control / "status").unlink(missing_ok=True)
    machine.begin()
    machine.run(limit)
    if machine.panic:
        raise LabError(f"the guest's kernel panicked twice: see {machine.console} and {first}")
    say(f"this was the second run: in the first, {why}")
    return True


def _shell_socket(rooms: Rooms) -> Path:
    """Path of the machine's second serial line, where `console.py` listens."""
    return rooms.control / "console.sock"


def _accelerators() -> tuple[str, ...]:
    emulation = "tcg,thread=multi"
    usable = os.access("/dev/kvm", os.R_OK | os.W_OK) and _verdicts().get(_machine_name(), True)
    return ("kvm", emulation) if usable else (emulation,)


def _machine_name() -> str:
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return f"{platform.release()} {cpu[0].partition(':')[2].strip() if cpu else ''}"


def _verdicts() -> dict[str, bool]:
    try:
        return dict(json.loads(VERDICTS.read_text()))
    except (OSError, ValueError):
        return {}


def _remember_kvm(*, works: bool) -> None:
    new = VERDICTS.with_suffix(".new")
    new.write_text(json.dumps(_verdicts() | {_machine_name(): works}))
    new.rename(VERDICTS)


def _initrd(tree: Path, folder: Path) -> bytes:
    """A first root with busybox and the modules that lead to the disk and the shares."""
    for name in ("bin", "dev", "proc", "sys", "mnt"):
        (folder / name).mkdir(parents=True)
    busybox = tree / "bin/busybox"
    (folder / "bin/busybox").write_bytes(busybox.read_bytes())
    (folder / "bin/busybox").chmod(0o755)
    for applet in ("sh", "mount", "insmod", "mkdir", "cat", "switch_root"):
        (folder / "bin" / applet).symlink_to("busybox")
    names = []
    for module in _with_dependencies(tree):
        name, content = _unpacked(module)
        (folder / name).write_bytes(content)
        names.append(f"/{name}\n")
    (folder / "modules").write_text("".join(names))
    (folder / "init").write_text(INIT)
    (folder / "init").chmod(0o755)
    members = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    pack = [str(busybox), "cpio", "-o", "-H", "newc"]
    packed = subprocess.run(
        pack, cwd=folder, input=members.encode(), capture_output=True, check=True
    )
    return gzip.compress(packed.stdout, 1)


def _unpacked(module: Path) -> tuple[str, bytes]:
    """Name and content of a module as any kernel takes it; Debian 13's are packed with xz."""
    if module.suffix == ".xz":
        return module.stem, lzma.decompress(module.read_bytes())
    return module.name, module.read_bytes()


def _with_dependencies(tree: Path) -> list[Path]:
    """Files of MODULES and of what they need, in an order in which they can be inserted."""
    (base,) = (tree / "lib/modules").iterdir()
    listing = (base / "modules.dep").read_text().splitlines()
    needs = {file: rest.split() for file, _, rest in (line.partition(":") for line in listing)}
    by_name = {Path(file).name.split(".")[0].replace("-", "_"): file for file in needs}
    ordered: dict[str, None] = {}
    for name in MODULES:
        if file := by_name.get(name):  # else it is built into the kernel
            ordered.update(dict.fromkeys([*reversed(needs[file]), file]))
    return [base / file for file in ordered]


def _qemu(build: Path, initrd: Path, rooms: Rooms, accelerator: str) -> list[str]:
    shares = (
        ("src", rooms.repo, ",readonly=on"),
        ("out", rooms.out, ""),
        ("ctl", rooms.control, ""),
    )
    command = [
        *("setpriv", "--pdeathsig", "KILL", "--", "qemu-system-x86_64"),
        *("-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max"),
        *("-smp", str(min(os.cpu_count() or 1, 4)), "-m", "2G"),
        *("-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
        *("-chardev", f"socket,id=shell,path={_quoted(_shell_socket(rooms))},server=on,wait=off"),
        *("-serial", "chardev:shell"),
        *("-kernel", str(build / "vmlinuz"), "-initrd", str(initrd)),
        *("-append", "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off"),
        *("-drive", f"file={build / 'root.img'},format=raw,if=virtio,snapshot=on"),
    ]
    for tag, path, mode in shares:
        share = f"local,path={_quoted(path)},mount_tag={tag},security_model=none{mode}"
        command += ["-virtfs", share]
    return command


def _quoted(path: Path) -> str:
    return str(path).replace(",", ",,")


@dataclass(slots=True)
class _Machine:
    """One QEMU process and what its console has said so far."""

    command: Sequence[str]
    console: Path
    temporary: Path
    kvm: bool
    booted: bool = False
    ready: bool = False
    done: bool = False
    started: float = field(default_factory=time.monotonic)
    panic: str = ""
    """What the guest's kernel said when it died; empty if it did not."""

    def begin(self) -> None:
        """Forget what the machine has said."""
        self.booted = self.ready = self.done = False
        self.started, self.panic = time.monotonic(), ""

    def run(self, limit: float | None) -> bool:
        """Run to the end with the console shown; False if the guest gave no sign under KVM."""
        process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            env=os.environ | {"TMPDIR": str(self.temporary)},
        )
        assert process.stdout is not None
        try:
            with self.console.open("wb") as log:
                return self._follow(process.stdout, log, limit)
        finally:
            process.kill()
            process.wait()

    def _follow(self, output: IO[bytes], log: IO[bytes], limit: float | None) -> bool:
        rest = b""
        while True:
            readable, _, _ = select.select([output], [], [], 0.5)
            if not self.ready:
                moving.show("the machine boots", self._age())
            if readable:
                chunk = os.read(output.fileno(), 65536)
                if not chunk:
                    return self.booted or not self.kvm
                *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
                self._take(lines, log)
            if self.kvm and not self.booted and self._age() > KVM_PATIENCE:
                return False
            self._check_time(limit)

    def _take(self, lines: list[bytes], log: IO[bytes]) -> None:
        for line in lines:
            log.write(line + b"\n")
            if not self.panic and not self.done and any(words in line for words in PANIC):
                self.panic = line.decode("utf-8", "replace").strip()
            if line.startswith(BOOTED):
                self._note_boot()
            elif line.startswith(READY):
                self.ready = True
                say(f"machine ready after {self._age():.0f} s")
            elif line.startswith(DONE):
                self.done = True
            elif self.ready and not self.done:
                sys.stdout.buffer.write(line + b"\n")
        log.flush()
        sys.stdout.flush()

    def _note_boot(self) -> None:
        self.booted = True
        if self.kvm:
            _remember_kvm(works=True)

    def _age(self) -> float:
        return time.monotonic() - self.started

    def _check_time(self, limit: float | None) -> None:
        if limit is not None and self._age() > limit:
            raise subprocess.TimeoutExpired(list(self.command), limit)
        if not self.ready and self._age() > BOOT_PATIENCE:
            raise LabError(
                f"the machine was not ready within {BOOT_PATIENCE:.0f} s: see {self.console}"
            )


def _status(rooms: Rooms, console: Path) -> int:
    try:
        return int((rooms.control / "status").read_text())
    except (OSError, ValueError):
        raise LabError(f"the machine ended without an exit status: see {console}") from None
