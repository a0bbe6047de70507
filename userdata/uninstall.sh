#!/bin/sh
# The reverse of join.sh: leave, and remove what it put here.
set -eu
unit=dnssd-join.service
override=/run/systemd/system/$unit.d/uninstall.conf

# Whatever became of the last join: a start that does nothing, and a stop that leaves.
leave() {
    mkdir -p "${override%/*}"
    printf '[Service]\nExecStartPre=\nExecStart=\nExecStart=/bin/true\n' >$override
    systemctl daemon-reload
    # At once: where this is part of a boot, the unit's turn comes after it.
    systemctl start --job-mode=ignore-dependencies $unit
    systemctl stop $unit
    rm $override
    systemctl daemon-reload
    ! systemctl is-failed --quiet $unit
}

[ -e /etc/systemd/system/$unit ] || exit 0
systemctl stop $unit || true
if [ -e /opt/dnssd/venv/bin/dnssd ] && ! leave; then
    echo "dnssd: uninstall: leaving failed, nothing is removed; see journalctl -u $unit, then run this again" >&2
    exit 1
fi
systemctl disable $unit dnssd-sleep.service
rm -rf /opt/dnssd /etc/systemd/system/dnssd-join.service /etc/systemd/system/dnssd-sleep.service \
    /etc/logrotate.d/dnssd /var/log/dnssd.log*
systemctl daemon-reload
