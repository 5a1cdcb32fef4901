#!/bin/bash
# After packages, overlay, users and files: render the site's configuration and switch it on.
set -e
. /.kconfig
. /.profile

Echo "configuring $kiwi_iname $kiwi_iversion (profiles: $kiwi_profiles)"

export SERVER_NAME=$kiwi_iname SITE=/srv/www
envsubst '$SERVER_NAME $SITE' < /etc/nginx/templates/web > /etc/nginx/sites-available/web
rm -r /etc/nginx/templates
ln -sf ../sites-available/web /etc/nginx/sites-enabled/web
rm -f /etc/nginx/sites-enabled/default

# A container's log is its standard output.
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log

chown -R editor:editor /srv/www
