# On a bare Debian without network: install the package, use it, purge it, and look for traces.
#
# $1 is the package. What it depends on lies in apt's cache; its service runs elsewhere, in
# tests/test_systemd_lab.py.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

# Where apt, dpkg and passwd keep what they do for any package; and what netbase leaves, which Python
# brings: /etc/hosts.
elsewhere=(-path /proc)
for path in /sys /dev /run /tmp /src /out /ctl /mnt /var/lib/apt /var/lib/dpkg /var/cache /var/log \
    '/etc/*-' /etc/.pwd.lock /etc/ld.so.cache /etc/hosts; do
    elsewhere+=(-o -path "$path")
done

# Type, mode, owner and content of every other file.
snapshot() {
    { find / -xdev \( "${elsewhere[@]}" \) -prune -o -printf '%p %y %m %U:%G %l\n'
        find / -xdev \( "${elsewhere[@]}" \) -prune -o -type f -print0 | xargs -0 sha256sum
    } | sort
}

fail() { echo "FAIL  $*"; exit 1; }

# apt is quiet unless it fails.
apt() {
    apt-get "$1" -qq --no-install-recommends "${@:2}" >/tmp/apt.log 2>&1 ||
        { tail -n 30 /tmp/apt.log; fail "apt $*"; }
}

snapshot >/tmp/before
apt install "$1"
echo "PASS  apt install $(basename "$1") on Debian $(cat /etc/debian_version): $(dpkg-query -W -f '${Installed-Size}' vtid) KiB"

for file in /usr/lib/udev/rules.d/99-vtid.rules /usr/lib/systemd/network/90-vtid.network \
    /usr/lib/systemd/networkd.conf.d/vtid.conf /usr/lib/systemd/system/vtid.service \
    /usr/lib/systemd/system/strongswan.service.d/vtid.conf /etc/apparmor.d/vtid \
    /usr/lib/sysusers.d/vtid.conf /usr/lib/tmpfiles.d/vtid.conf \
    /usr/share/doc/vtid/examples/{vtid.toml,namespaces.conf,no-probes.conf,sidecar/pod.yaml} \
    /usr/share/doc/vtid/{configure,hooks,security}.md \
    /usr/share/man/man8/vtid.8 /usr/share/man/man1/vtictl.1 /usr/share/man/man5/vtid.toml.5 \
    /usr/share/bash-completion/completions/vtictl /usr/share/zsh/vendor-completions/_vtictl \
    /usr/share/fish/vendor_completions.d/vtictl.fish; do
    [ -e "$file" ] || [ -e "$file.gz" ] || fail "no $file"
done
dpkg --verify vtid || fail "dpkg --verify"
[ "$(stat -c '%U:%G %a' /etc/vtid)" = "root:vtid 2750" ] || fail "/etc/vtid"
[ -z "$(ls /etc/vtid)" ] || fail "a configuration is there"
echo "PASS  the files are there, and no configuration"

install -m 640 /usr/share/doc/vtid/examples/vtid.toml /etc/vtid/
setpriv --reuid=vtid --regid=vtid --init-groups vtid --check --config /etc/vtid/vtid.toml ||
    fail "vtid --check"
setpriv --reuid=65534 --clear-groups cat /etc/vtid/vtid.toml 2>/dev/null && fail "anybody reads it"
vtictl ready >/dev/null 2>&1 && fail "vtictl finds a vtid that is not there"
[ -n "$(find /usr/lib/vtid -name '*.pyc' -print -quit)" ] || fail "nothing is compiled"
/usr/lib/vtid/bin/python3 -I -c 'import vtid.daemon.daemon, aiohttp, pyroute2, vici' ||
    fail "the private environment"
echo "PASS  vtid --check as vtid's user"

apt purge --autoremove vtid
snapshot >/tmp/after
diff /tmp/before /tmp/after || fail "the purge leaves traces"
echo "PASS  apt purge leaves no trace"

apt install "$1"
apt install bird2
id -nG vtid | grep -qw bird || fail "a BIRD that is installed later does not let vtid in"
echo "PASS  vtid's user joins BIRD's group when BIRD is installed later"

bird_files=/var/lib/vtid/bird
sed -i "1i include \"$bird_files/*.conf\";\ninclude \"$bird_files/main.conf\";" /etc/bird/bird.conf
touch "$bird_files/other.conf"
apt purge vtid
[ "$(ls "$bird_files")" = main.conf ] || fail "a purge leaves: $(ls "$bird_files")"
bird -p -c /etc/bird/bird.conf || fail "BIRD does not start after a purge"
apt install "$1"
[ "$(stat -c '%U:%G %a' "$bird_files")" = "vtid:bird 2755" ] || fail "$bird_files is not vtid's"
setpriv --reuid=vtid --regid=vtid --init-groups /usr/lib/vtid/bin/python3 -I -c "
from vtid.bird.include import IncludeFile
from vtid.bird.render import HEADER
IncludeFile('$bird_files/main.conf').replace(HEADER)" || fail "vtid cannot replace $bird_files/main.conf"
echo "PASS  a purge leaves what BIRD includes, and the next installation takes it over"
