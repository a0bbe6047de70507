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

# A run that was cut short, of join.sh or of this, may have left any of it.
if [ -e /etc/systemd/system/$unit ]; then
    systemctl stop $unit || true
    if [ -e /opt/dnssd/venv/bin/dnssd ] && ! leave; then
        echo "dnssd: uninstall: leaving failed, nothing is removed; see journalctl -u $unit, then run this again; to give its records up, remove /opt/dnssd/venv first" >&2
        exit 1
    fi
fi
for each in $unit dnssd-sleep.service; do
    [ ! -e "/etc/systemd/system/$each" ] || systemctl disable "$each"
done
for each in /etc/systemd/system/dnssd-sleep.service /etc/logrotate.d/dnssd /etc/systemd/system/$unit; do
    rm -f "$each" "$each.new"
done
rm -rf /opt/dnssd /etc/dnssd/secrets /var/log/dnssd.log*
systemctl daemon-reload
