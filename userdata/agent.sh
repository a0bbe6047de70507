#!/bin/sh
# User-data: this host keeps its services in DNS while they are healthy, from start to stop.
# Run again, it changes nothing; with another configuration it touches only what has changed.
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
put /etc/dnssd/agent.toml 644 <<'END_OF_FILE'
@CONFIG@
END_OF_FILE
put /etc/systemd/system/dnssd-agent.service 644 <<'END_OF_FILE'
@systemd/dnssd-agent.service@
END_OF_FILE
# Only now that all of it is on the disk: a loss of power leaves no empty file.
[ -z "$changed" ] || sync
for file in $changed; do
    mv "$file.new" "$file"
done
systemctl enable dnssd-agent.service
[ -d /run/systemd/system ] || exit 0 # an image is being built, nothing runs
systemctl daemon-reload
# The unit for one service leaves by its own options.
[ ! -e /etc/systemd/system/dnssd-join.service ] || systemctl disable --now dnssd-join.service
# Without waiting: this may be part of a boot that the unit itself waits for.
case $changed in
    *.service* | *install.sh* | */secrets/*) systemctl restart --no-block dnssd-agent.service ;;
    *) systemctl reload-or-restart --no-block dnssd-agent.service ;;
esac
