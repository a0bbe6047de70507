#!/bin/sh
# The reverse of agent.sh: leave, and remove what it put here.
set -eu
unit=dnssd-agent.service
if [ -e /etc/systemd/system/$unit ]; then
    # Stopped, it leaves; where it has failed, once it is started again.
    [ ! -e /opt/dnssd/venv/bin/dnssd ] || systemctl is-active --quiet $unit ||
        systemctl start --job-mode=ignore-dependencies $unit || true
    systemctl stop $unit
    systemctl disable $unit
fi
rm -f /etc/systemd/system/$unit /etc/systemd/system/$unit.new
rm -rf /opt/dnssd /etc/dnssd /run/dnssd /run/dnssd-agent.ending
systemctl daemon-reload
