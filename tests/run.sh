#!/usr/bin/env bash
# Everything that must pass before a change lands, in one command: tests/run.sh
# Needs Rust (rustup's stable with rustfmt and clippy). As root on Debian it installs the other packages it needs;
# otherwise it names them. Every stage is timed and has a hard limit.
set -euo pipefail
cd "$(dirname "$0")/.."

# Command that shows a package is there, and the Debian packages that bring it. git: a dependency's build asks it.
needs=(
    "git --version=git"
    "cc --version=gcc libc6-dev"
    "python3 -c 'import venv, ensurepip'=python3 python3-venv"
    "node --version=nodejs"
    "npm --version=npm"
    "curl --version=curl"
    "openssl version=openssl"
    "test -e /usr/lib/nginx/modules/ngx_nchan_module.so=nginx libnginx-mod-nchan"
    "/usr/sbin/haproxy -v=haproxy"
    "chromium-headless-shell --version || chromium --version=chromium-headless-shell"
)

install_missing() {
    local missing=() need
    for need in "${needs[@]}"; do
        if ! bash -c "${need%=*}" >/dev/null 2>&1; then
            read -ra packages <<<"${need##*=}"
            missing+=("${packages[@]}")
        fi
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "missing Debian packages: ${missing[*]}"
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "error: install them first, like: sudo apt-get install ${missing[*]}" >&2
        exit 2
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
}

# stage NAME SECONDS COMMAND...: runs it, at most that long, and tells how long it took.
stage() {
    local name=$1 limit=$2 start=$SECONDS
    shift 2
    echo "== $name"
    if ! timeout --kill-after=10 "$limit" "$@"; then
        echo "error: $name failed after $((SECONDS - start)) s (limit $limit s): $*" >&2
        exit 1
    fi
    echo "== $name: $((SECONDS - start)) s"
}

command -v cargo >/dev/null || {
    echo "error: cargo is not here; see https://rustup.rs" >&2
    exit 2
}
# A ring's table is limited by the open files that are allowed.
ulimit -n "$(ulimit -Hn)"
# Settings of a server that runs here must not reach the servers under test.
unset "${!LONGWIRE_@}"
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

stage packages 300 bash -c "$(declare -p needs); $(declare -f install_missing); install_missing"
stage format 60 cargo fmt --all --check
stage lints 400 cargo clippy --workspace --all-targets --profile ci --quiet -- -D warnings
stage build 400 cargo test --workspace --profile ci --no-run --quiet
# A build script that watches what it writes would have everything built again by each command.
stage rebuild 120 bash -c '! cargo test --workspace --profile ci --no-run 2>&1 | grep "Compiling"'
stage tests 300 env SOAK_SECONDS=3 cargo test --workspace --profile ci --quiet --no-fail-fast
# The soak takes a minute of the clock and little of the machine: it runs beside what waits as much.
soak_log=$(mktemp)
timeout --kill-after=10 300 env SOAK_SECONDS=60 cargo test --workspace --profile ci --quiet --test soak -- --nocapture >"$soak_log" 2>&1 &
soak=$!
trap 'kill "$soak" 2>/dev/null || true; rm -f "$soak_log"' EXIT
if [ -x tests/interop/run.sh ]; then
    stage interop 330 env LONGWIRE_BIN="${CARGO_TARGET_DIR:-target}/ci/longwire" tests/interop/run.sh
fi
echo "== soak, begun beside interop"
wait "$soak" || {
    cat "$soak_log"
    echo "error: the soak failed" >&2
    exit 1
}
tail -n 20 "$soak_log"
echo "all stages passed in $SECONDS s"
