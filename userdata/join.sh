#!/bin/sh
# User-data: this host joins a DNS-SD service at every start, and leaves it at every stop.
# Run again, it changes nothing; with other options it leaves by the old ones first.
set -eu
changed=

put() {
    content=$(cat)
    [ "$content" != "$(cat "$1" 2>/dev/null)" ] || return 0
    mkdir -p "${1%/*}"
    (umask 077 && printf '%s\n' "$content" >"$1.new")
    chmod "$2" "$1.new"
    changed="$changed $1"
}

put /opt/dnssd/install.sh 755 <<'END_OF_FILE'
@install.sh@
END_OF_FILE
@SECRETS@
put /etc/systemd/system/dnssd-join.service 644 <<'END_OF_FILE'
@systemd/dnssd-join.service@
END_OF_FILE
put /etc/systemd/system/dnssd-sleep.service 644 <<'END_OF_FILE'
@systemd/dnssd-sleep.service@
END_OF_FILE
put /etc/logrotate.d/dnssd 644 <<'END_OF_FILE'
@logrotate@
END_OF_FILE
# Only now that all of it is on the disk: a full one takes no host out of service, and a loss of
# power leaves no empty file.
[ -z "$changed" ] || sync
[ -z "$changed" ] || [ ! -e /etc/systemd/system/dnssd-join.service ] ||
    systemctl stop dnssd-join.service || true
for file in $changed; do
    mv "$file.new" "$file"
done
systemctl enable dnssd-join.service dnssd-sleep.service
[ -d /run/systemd/system ] || exit 0 # an image is being built, nothing runs
systemctl daemon-reload
# Without waiting: this may be part of a boot that the unit itself waits for.
systemctl start --no-block dnssd-join.service
