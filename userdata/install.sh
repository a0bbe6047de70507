#!/bin/sh
# Install dnssd into /opt/dnssd/venv; where it is installed already, do nothing.
# SPEC is the path or address of a wheel, or git+https://... A name is refused: pip would look for
# it on the package index, where dnssd is anybody's to register, and run as root what it finds.
set -eu
spec=${1:?"usage: install.sh SPEC"}
venv=/opt/dnssd/venv

fail() {
    echo "dnssd: install: $1" >&2
    exit 1
}

find_python() {
    for python in python3.13 python3.12 python3.11 python3; do
        # Debian's python3 has no ensurepip until python3-venv is installed.
        if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

install_packages() {
    if command -v dnf >/dev/null; then
        dnf install -y -q "$@"
    elif command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
    else
        fail "neither dnf nor apt-get is here; put Python 3.11 or newer, and git if needed, on PATH"
    fi
}

case $spec in
    /* | *://*) ;;
    *) fail "$spec: a name on a package index may be anybody's; give the path or address of a wheel, or git+https://..." ;;
esac
if [ "$spec" = "$(cat $venv/spec 2>/dev/null)" ] && $venv/bin/dnssd --version >/dev/null 2>&1; then
    exit
fi
if ! find_python >/dev/null; then
    if command -v dnf >/dev/null; then
        install_packages python3.11 python3.11-pip # Amazon Linux 2023
    else
        install_packages python3 python3-venv # Ubuntu 24.04, Debian 12
    fi
fi
case $spec in
    *git+*) command -v git >/dev/null || install_packages git ;;
esac
# Anew after a first installation that was cut short, which may have left halves of packages, and
# where the system has put another Python under it, which finds none.
if ! [ -e $venv/spec ] || ! $venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python) || fail "no Python 3.11 or newer, even in this system's packages; put one on PATH"
    "$python" -m venv --clear $venv
fi
$venv/bin/pip install --quiet --disable-pip-version-check --no-input --no-cache-dir --upgrade "$spec" ||
    fail "pip could not install $spec: its own words are above"
$venv/bin/dnssd --version
sync # or a stamp could outlive, after a loss of power, what it stands for
printf '%s\n' "$spec" >$venv/spec
