#!/bin/sh
# Makes the user, and hands it its configuration. The service is neither enabled
# nor started: agent.yaml has to be edited first.
set -e
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers sealgate.conf
elif ! getent passwd sealgate >/dev/null; then
	useradd --system --no-create-home --home-dir /var/lib/sealgate --shell /usr/sbin/nologin sealgate
fi
chown root:sealgate /etc/sealgate /etc/sealgate/agent.yaml
chmod 0750 /etc/sealgate
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	# An upgrade: the new program takes over, and reads the spool of the old one.
	if [ "$1" = configure ] && [ -n "$2" ] || [ "$1" = 2 ]; then
		systemctl try-restart sealgate.service ||
			echo "sealgate: the service did not come up with this version: journalctl -u sealgate says why" >&2
	fi
fi
exit 0
