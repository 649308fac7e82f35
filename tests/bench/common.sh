# What measure.sh and peers.sh have in common; sourced by them, in the project's folder.
# shellcheck shell=bash

target=${CARGO_TARGET_DIR:-target}/release
renewd=$(realpath -m "$target/renewd")
work=$(mktemp -d "${TMPDIR:-/tmp}/renewd-bench.XXXXXX")
chmod 0755 "$work"
simulator=
running=()

clean_up() {
    local pid
    for pid in "${running[@]}" $simulator; do kill "$pid" 2> /dev/null || true; done
    wait || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }
have() { command -v "$1" > /dev/null; }
meter() { python3 tests/bench/meter.py "$@"; }

# The program by itself, as it is shipped: the examples have features of dependencies that it has not.
build() {
    local name
    [ -x "$renewd" ] || cargo build --locked --release
    for name in inventory floor replacement tlm-sim; do
        [ -x "$target/examples/$name" ] || cargo build --locked --release --example "$name"
    done
}

# A simulator with nothing in it; its files are in $work/sim, its log in $work/sim.log.
fresh_simulator() {
    if [ -n "$simulator" ]; then
        kill "$simulator"
        wait "$simulator" || true
    fi
    rm -rf "$work/sim" "$work/sim.log"
    "$target/examples/tlm-sim" --dir "$work/sim" > "$work/sim.log" &
    simulator=$!
    until grep -qs 'Listening at' "$work/sim.log"; do
        kill -0 "$simulator" || fail "the simulator did not start"
        sleep 0.05
    done
}

# A host for the running simulator.
host() {
    local dir=$1 url profile
    shift
    url=$(sed -n 's/^url = "\(.*\)"/\1/p' "$work/sim/renewd.toml")
    profile=$(sed -n 's/^profile = "\(.*\)"/\1/p' "$work/sim/certs.d/example.toml")
    "$target/examples/inventory" "$dir" --url "$url" --profile "$profile" --ca-file "$work/sim/root.pem" \
        --api-key-file "$work/sim/api-key" "$@"
}

# Starts the daemon of a host; sets $daemon, and $ready to its id, the seconds until READY, and the CPU seconds by then.
start() {
    # With what the shipped unit sets for the C library.
    ready=$(MALLOC_ARENA_MAX=2 MALLOC_TOP_PAD_=65536 MALLOC_MMAP_THRESHOLD_=65536 meter ready --log "$1/log" -- "$renewd" run --config "$1/renewd.toml")
    daemon=${ready%% *}
    running+=("$daemon")
}

# It is no child of this shell.
stop() {
    kill "$1"
    while kill -0 "$1" 2> /dev/null; do sleep 0.02; done
}

# Until a process has used no CPU for two seconds.
wait_quiet() {
    local before after=none
    while before=$after; after=$(meter cpu "$1"); [ "$before" != "$after" ]; do sleep 2; done
}

# Median (least..most) of a column of a file.
column() {
    sort -g -k"$2,$2" "$1" | awk -v at="$2" -v name="$3" -v unit="$4" \
        '{ value[NR] = $at } END { printf "%s %.3f (%.3f..%.3f) %s", name, value[int(NR / 2) + 1], value[1], value[NR], unit }'
}
