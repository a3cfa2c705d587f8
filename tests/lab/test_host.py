"""The host's runner: what it decides and, where namespaces can be made, that it isolates."""

import lzma
import subprocess
from pathlib import Path

import pytest

from tests.lab import host
from tests.lab.machine import native, tree, vm


def rooms(tmp_path: Path, script: str, root: Path = Path("/")) -> native.Rooms:
    control, out = tmp_path / "ctl", tmp_path / "out"
    control.mkdir()
    out.mkdir()
    (control / "run.sh").write_text(script)
    return native.Rooms(root, tree.REPO, out, control)


def test_script_quotes_the_command(tmp_path: Path) -> None:
    script = host._script("printf '%s|' 'a b' '$HOME'").replace("cd /src", f"cd {tmp_path}")
    lines = [line for line in script.splitlines() if not line.startswith(("ip ", "hostname "))]
    result = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, check=True)
    assert result.stdout == b"a b|$HOME|"


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    base = tmp_path / "lib/modules/6.1"
    base.mkdir(parents=True)
    (base / "modules.dep").write_text(
        "kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs.ko\n"
        "kernel/net/9p/9pnet.ko:\n"
        "kernel/fs/netfs.ko:\n"
        "kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko\n"
    )
    names = [module.name for module in vm._with_dependencies(tmp_path)]
    assert names == ["netfs.ko", "9pnet.ko", "9p.ko", "9pnet_virtio.ko"]


def test_modules_are_unpacked(tmp_path: Path) -> None:
    for name, content in (("plain.ko", b"1"), ("packed.ko.xz", lzma.compress(b"2"))):
        (tmp_path / name).write_bytes(content)
    assert vm._unpacked(tmp_path / "plain.ko") == ("plain.ko", b"1")
    assert vm._unpacked(tmp_path / "packed.ko.xz") == ("packed.ko", b"2")


def test_a_failed_command_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "CACHE", tmp_path)
    with pytest.raises(
        tree.LabError, match=r"^sh failed: E: no archive; check the network \(.*\)$"
    ):
        tree.run_logged(["sh", "-c", "echo E: no archive; exit 100"], "check the network")


def test_no_exit_status_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(tree.LabError, match="without an exit status"):
        vm._status(rooms(tmp_path, ""), tmp_path / "console.log")


@pytest.mark.lab
def test_this_kernel_has_all_that_the_lab_needs(tmp_path: Path) -> None:
    place = rooms(tmp_path, host._script(host.TRIALS["gateway"]))
    assert native.trial(place) == ""
    assert native.run(place, limit=60) == 0  # what tried a kernel does not hinder what runs on it


@pytest.mark.lab
def test_native_run_leaves_nothing_behind(tmp_path: Path) -> None:
    script = """
        touch /etc/changed && ip link add only-here type dummy && ip netns add only-there
        touch /src/changed 2>/dev/null && exit 1
        sleep 1000 &
        echo "$$" >/out/pid
        exit 7
    """
    inside = rooms(tmp_path, host._script(script))
    assert native.run(inside, limit=60) == 7
    assert (inside.out / "pid").read_text() == "1\n"
    assert not Path("/etc/changed").exists()
    assert not Path("/run/netns/only-there").exists()
    assert not Path("/sys/class/net/only-here").exists()


@pytest.mark.lab
def test_native_run_ends_in_time(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        native.run(rooms(tmp_path, "sleep 1000"), limit=0.5)
