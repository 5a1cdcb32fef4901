#!/bin/sh
# Before the image's own packages: dpkg leaves out translations from now on.
set -e
mkdir -p /etc/dpkg/dpkg.cfg.d
cat > /etc/dpkg/dpkg.cfg.d/50no-translations <<'END'
path-exclude=/usr/share/locale/*
path-include=/usr/share/locale/locale.alias
END
