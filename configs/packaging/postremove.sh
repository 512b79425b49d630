#!/bin/sh
# Purging removes what the gateway wrote: its keys, and messages that wait.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/sealgate
	rmdir --ignore-fail-on-non-empty /etc/sealgate 2>/dev/null || true
fi
exit 0
