#!/bin/sh
# Stops the service when the package goes, not when a newer one takes its place.
set -e
if [ -d /run/systemd/system ]; then
	case "$1" in
	remove | 0) systemctl --quiet disable --now sealgate.service ;;
	esac
fi
exit 0
