"""Real charons for tests: two gateways in network namespaces, each with a VICI socket of its own.

    with pair(CONNECTIONS_A, CONNECTIONS_B) as (a, b):
        a.swanctl("--initiate", "--child", "net")

Rules of this file:

* Needs root, iproute2, charon-systemd and swanctl; everything is made in new namespaces and in a
  temporary directory, and goes when the context ends, whatever happened in between.
* Daemons are ended by the process id that started them, never by name.
* Where the kernel has no ESP, kernel-libipsec takes its place: IKE and VICI are the same, only
  that every CHILD_SA is UDP-encapsulated and no marked policy carries traffic.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

START_SECONDS = 60
"""Longest that a charon may take to open its socket; software emulation is slow."""

CHARON = (
    shutil.which("charon-systemd", path="/usr/sbin:/usr/libexec/strongswan") or "charon-systemd"
)
SWANCTL = shutil.which("swanctl", path="/usr/sbin:/usr/bin") or "swanctl"

PLUGINS = (
    "random nonce drbg aes sha1 sha2 hmac kdf gcm ccm ctr xcbc cmac chapoly gmp curve25519 openssl"
    " pem{libipsec} kernel-netlink socket-default updown vici"
)

STRONGSWAN_CONF = """
charon-systemd {{
    load = {plugins}
    install_routes = no
    install_virtual_ip = no
    retransmit_tries = 2
    retransmit_timeout = 1.0
    {extra}
    plugins {{
        vici {{ socket = unix://{vici} }}
    }}
    filelog {{
        log {{
            path = {log}
            flush_line = yes
            default = 1
        }}
    }}
}}
swanctl {{
    load = random
}}
"""


def run(*command: str, timeout: float = 60, env: dict[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed; raises with all of it on failure."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=timeout, env=env
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def has_esp(netns: str) -> bool:
    """Whether the kernel takes an ESP state (it loads the module where it has one)."""
    ends = ("src", "192.0.2.253", "dst", "192.0.2.254", "proto", "esp", "spi", "0xfff")
    algorithms = ("enc", "ecb(cipher_null)", "", "mode", "tunnel")
    try:
        run("ip", "-n", netns, "xfrm", "state", "add", *ends, *algorithms)
    except RuntimeError:
        return False
    run("ip", "-n", netns, "xfrm", "state", "delete", *ends)
    return True


@dataclass(slots=True)
class Charon:
    """A charon in a namespace that is there already; a context manager that starts and ends it.

    `swanctl_conf` is the text of its swanctl.conf, loaded at each start. `extra` is text for the
    charon section of strongswan.conf.
    """

    netns: str
    directory: Path
    swanctl_conf: str
    extra: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def vici(self) -> str:
        """Path of the VICI socket."""
        return str(self.directory / "charon.vici")

    @property
    def log(self) -> str:
        """What charon logged so far."""
        path = self.directory / "charon.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_strongswan_conf()
        (self.directory / "swanctl.conf").write_text(self.swanctl_conf)
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start charon, wait for its VICI socket and load the configuration."""
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.netns, CHARON],
            env=self._env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_for_socket()
        self.load()

    def load(self) -> None:
        """Load swanctl.conf as it is now in `directory`."""
        self.swanctl("--load-all", "--noprompt")

    def set_up(self, extra: str) -> None:
        """Change `extra` while charon runs."""
        self.extra = extra
        self._write_strongswan_conf()
        self.swanctl("--reload-settings")

    def stop(self) -> None:
        """End charon in order; it deletes its SAs at the peer."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End charon at once, as a crash does; the peer hears nothing."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: the socket stays open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        self._signal(signal.SIGCONT)

    def swanctl(self, *arguments: str) -> str:
        """Run swanctl against this charon and return what it printed."""
        verb, *rest = arguments
        return run(SWANCTL, verb, "--uri", f"unix://{self.vici}", *rest, env=self._env())

    def ip(self, *arguments: str) -> str:
        """Run iproute2's ip in this gateway's namespace."""
        return run("ip", "-n", self.netns, *arguments)

    def _write_strongswan_conf(self) -> None:
        libipsec = "" if has_esp(self.netns) else " kernel-libipsec"
        conf = STRONGSWAN_CONF.format(
            plugins=PLUGINS.format(libipsec=libipsec),
            vici=self.vici,
            log=self.directory / "charon.log",
            extra=self.extra,
        )
        (self.directory / "strongswan.conf").write_text(conf)

    def _env(self) -> dict[str, str]:
        return {
            **os.environ,
            "STRONGSWAN_CONF": str(self.directory / "strongswan.conf"),
            "SWANCTL_DIR": str(self.directory),
        }

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _wait_for_socket(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"charon in {self.netns} ended at start:\n{self.log}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"charon in {self.netns} opened no socket:\n{self.log}")
            time.sleep(0.05)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.vici) == 0


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """Make a named network namespace with `lo` up, delete it at the end."""
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        run("ip", "netns", "delete", name)


def connect(one: str, other: str, one_addresses: list[str], other_addresses: list[str]) -> None:
    """Join two namespaces by a veth pair, `eth0` in both, with these addresses."""
    run("ip", "-n", one, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", other)
    for netns, addresses in ((one, one_addresses), (other, other_addresses)):
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            run("ip", "-n", netns, "address", "add", address, "dev", "eth0", *nodad)
        run("ip", "-n", netns, "link", "set", "eth0", "up")


@contextmanager
def pair(conf_a: str, conf_b: str, *, extra: str = "") -> Iterator[tuple[Charon, Charon]]:
    """Two charons joined by eth0: 192.0.2.1 and 2001:db8::1 here, .2 and ::2 there.

    `conf_a` and `conf_b` are texts of swanctl.conf. Both run and have loaded theirs, the second
    one first, so that connections of the first with `start_action = start` find a responder.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vtid-")))
        a, b = (stack.enter_context(namespace(f"{directory.name}-{end}")) for end in "ab")
        connect(a, b, ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"])
        second = stack.enter_context(Charon(b, directory / "b", conf_b, extra))
        first = stack.enter_context(Charon(a, directory / "a", conf_a, extra))
        yield first, second
