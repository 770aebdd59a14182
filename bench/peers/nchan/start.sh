#!/bin/sh
# Starts nginx with nchan on 127.0.0.1:PORT, in the foreground and beside the system's own nginx.
# Usage: start.sh PORT       needs Debian's nginx and libnginx-mod-nchan
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# Each server has a folder that is named after its process; those of servers that are gone are taken away.
base=${TMPDIR:-/tmp}/longwire-nchan
for old in "$base".*; do
    kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"
done
dir=$base.$$
mkdir -m 700 "$dir"
sed -e "s|@PORT@|$1|g" -e "s|@DIR@|$dir|g" "$here/nginx.conf" >"$dir/nginx.conf"
# nginx takes this process's place, so that who started it measures and ends the right one.
exec "$(command -v nginx || echo /usr/sbin/nginx)" -p "$dir" -c "$dir/nginx.conf"
