#!/bin/sh
# Drives a real server by clients that others wrote (Python's websockets, Node's ws, the Autobahn suite), and servers that others wrote
# by longwire-bench; reads its reports by what others wrote (Python's hdrhistogram, Chromium). The schema of the binary encoding is held
# to buf's rules, and to what was released of it.
# Usage: LONGWIRE_BIN=target/release/longwire tests/interop/run.sh [pytest arguments]
# Needs python3 with venv, node with npm, their registries for the first run, nginx with nchan, HAProxy, Chromium, and beside LONGWIRE_BIN
# longwire-bench and its peers. The Autobahn suite is skipped where no python2.7 is found.
set -eu
start=$(date +%s)
here=$(cd "$(dirname "$0")" && pwd)
: "${LONGWIRE_BIN:?is not set: the path of the longwire binary to test}"
LONGWIRE_BIN=$(realpath "$LONGWIRE_BIN")
export LONGWIRE_BIN PYTHONDONTWRITEBYTECODE=1

# Where a Python 2.7 is found; most of it is waiting for the registry.
python3 "$here/autobahn" --install &
autobahn=$!

venv=${CARGO_TARGET_DIR:-$here/../../target}/interop/venv
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed.txt"
fi
if ! cmp -s "$here/package.json" "$here/node_modules/installed.json"; then
    (cd "$here" && npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$here/package.json" "$here/node_modules/installed.json"
fi
for peer in ws socketio; do
    folder=$here/../../bench/peers/$peer
    if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/installed.json"; then
        npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
        cp "$folder/package-lock.json" "$folder/node_modules/installed.json"
    fi
done
wait "$autobahn"

buf=$here/node_modules/.bin/buf
(cd "$here/../../proto" && "$buf" lint && "$buf" format --diff --exit-code && "$buf" breaking --against "$here/released")
"$venv/bin/python" -m pytest -q -rs -p no:cacheprovider --durations=3 "$@" "$here"
node --test "$here"/*.test.mjs
echo "interop: passed in $(($(date +%s) - start)) s"
