# In a tree with the tools of Debian: build the package twice, compare, and let lintian look.
#
# $1 version, $2 date of the commit in seconds; /out/wheels has the wheels; the package goes to /out.
set -euo pipefail
version=$1
export SOURCE_DATE_EPOCH=$2 WHEELS=/out/wheels

build() {
    local work=/tmp/$1/vtid
    mkdir -p "$work"
    cp -r /src/{debian,docs,etc,man,systemd,vtid,CHANGELOG.md,README.md,pyproject.toml} "$work"
    cp /src/requirements{,-build}.txt "$work"
    cd "$work"
    find . -name __pycache__ -prune -exec rm -r {} +
    cat >debian/changelog <<X
vtid ($version) unstable; urgency=medium

  * Built from the commit of this date; see CHANGELOG.md.

 -- vtid maintainers <vtid@vtid.invalid>  $(date -uRd "@$SOURCE_DATE_EPOCH")
X
    BUILD_ENV=/tmp/$1/env debian/rules binary >"/out/$1.log" 2>&1 ||
        { tail -n 40 "/out/$1.log"; exit 1; }
}

build first
(umask 077 && TZ=Pacific/Auckland build second-time)
package=$(basename /tmp/first/vtid_*.deb)
cmp "/tmp/first/$package" "/tmp/second-time/$package" || {
    for time in first second-time; do dpkg-deb -R "/tmp/$time/$package" "/tmp/$time/contents"; done
    diff -r /tmp/{first,second-time}/contents | head -n 20
    exit 1
}
echo "PASS  two builds are equal: $(sha256sum "/tmp/first/$package")"
lintian --fail-on error,warning --tag-display-limit 0 "/tmp/first/$package"
echo "PASS  lintian has no complaint"
cp "/tmp/first/$package" /out
