#!/usr/bin/env bash
# How fast and how frugal renewd is: tests/bench/measure.sh [N…]      (default: 1000 10000 100000)
#
# Prints, for each number of certificates N, on hosts that the example `inventory` makes:
#   floor    the minimal loop over the same files (example `floor`), CPU: a certificates, b manifests too, c all stats too
#   plan     a pass with nothing due as a whole process, `renewd plan`
#   once     the same, `renewd once`, against the simulator, from which it reads the profile
#   ready    `renewd run` from start until READY=1 comes at $NOTIFY_SOCKET, and the CPU time by then
#   version, status   `renewd --version`, and `renewd status` on the running daemon
#   rest     wake-ups (voluntary context switches, summed over the threads), CPU and resident memory with nothing due
# and, each on hosts of its own:
#   reload   one changed drop-in of 10,000: from its rename until the log says that the inventory changed, less the
#            300 ms of quiet that the watch waits for; and which drop-in files were opened for it
#   replace  1,000 and 10,000 ECDSA certificates due at once, by `renewd once` against the simulator; and in the same
#            round each part of a replacement alone (example `replacement`), CPU, and the ratio to the sum of the parts
# Figures are medians, with (least..most). The machine's noise shows in them: compare within one run.
#
# Needs no root, and python3; strace for the counts of files opened and of syncs. 100,000 certificates take 4 GB below
# $TMPDIR, which is cleaned up. Times, to shorten it:
#   ROUNDS=5  REST=600  SETTLE=60 (from READY to the begin of REST)  PARTS="pass rest reload replace"
#   RELOAD=10000 (files)  REPLACE="1000 10000"
# and how many certificates a drop-in file of pass and rest holds: PER_FILE=1000
set -euo pipefail
cd "$(dirname "$0")/../.."
ROUNDS=${ROUNDS:-5} REST=${REST:-600} SETTLE=${SETTLE:-60} PARTS=${PARTS:-pass rest reload replace}
RELOAD=${RELOAD:-10000} REPLACE=${REPLACE:-1000 10000} PER_FILE=${PER_FILE:-1000}
[ $# -gt 0 ] || set -- 1000 10000 100000
source tests/bench/common.sh
floor=$(realpath -m "$target/examples/floor")
replacement=$(realpath -m "$target/examples/replacement")

pass() {
    local n=$1 dir=$2 shown=$work/shown-$1
    say "n = $n: a pass with nothing due"
    "$floor" "$dir" --rounds "$ROUNDS" | sed '1!s/^/floor /; 1s/^/      /' | tee "$work/floor"
    printf 'plan  '; meter run --rounds "$ROUNDS" -- "$renewd" plan --config "$dir/renewd.toml" | tee "$work/plan"
    printf 'once  '; meter run --rounds "$ROUNDS" -- "$renewd" once --config "$dir/renewd.toml" | tee "$work/once"
    ratios
    nothing_was_due "$n" "$dir" "$shown"
    for _ in $(seq "$ROUNDS"); do
        start "$dir"
        echo "$ready"
        stop "$daemon"
    done > "$shown"
    printf 'ready '
    column "$shown" 2 'wall' s
    column "$shown" 3 '  CPU' s
    echo
    printf 'version '; meter run --rounds "$ROUNDS" -- "$renewd" --version
    start "$dir"
    printf 'status  '; meter run --rounds "$ROUNDS" -- "$renewd" status --config "$dir/renewd.toml"
    printf 'memory after that: '; meter memory "$daemon"
    stop "$daemon"
}

# CPU of the whole process in that of the floors, by the medians.
ratios() {
    local pass
    for pass in plan once; do
        awk -v pass="$pass" 'NR == FNR { if ($1 == "floor") floor[$2] = $4 / 1000; next }
            match($0, /CPU [0-9.]+/) { cpu = substr($0, RSTART + 4, RLENGTH - 4)
                printf "%s in floors: %.1f a, %.1f b, %.1f c\n", pass, cpu / floor["a"], cpu / floor["b"], cpu / floor["c"] }' \
            "$work/floor" "$work/$pass"
    done
}

# A figure about work that was done in error is worth nothing.
nothing_was_due() {
    local n=$1 dir=$2 shown=$3 lines
    "$renewd" plan --json --config "$dir/renewd.toml" > "$shown"
    python3 - "$n" "$shown" << 'PYTHON'
import json, sys
plan = json.load(open(sys.argv[2]))["certificates"]
due = [one["name"] for one in plan if one["due"] or one["action"] != "wait"]
if len(plan) != int(sys.argv[1]) or due:
    sys.exit("%d certificates in the plan, due are: %s" % (len(plan), due[:5]))
PYTHON
    lines=$(wc -l < "$dir/state/journal")
    if [ "$lines" != $((3 * n + 1)) ]; then fail "the journal has $lines lines: something was done"; fi
}

rest() {
    local n pids=()
    say "at rest for $REST s, begun $SETTLE s after READY"
    for n; do
        start "$work/host-$n"
        pids+=("$daemon")
    done
    sleep "$SETTLE"
    meter rest "$REST" "${pids[@]}" > "$work/rest"
    for n; do
        printf 'n = %s: ' "$n"
        grep "^${pids[0]} " "$work/rest" | cut -d' ' -f2-
        printf 'n = %s: ' "$n"; meter memory "${pids[0]}"
        stop "${pids[0]}"
        pids=("${pids[@]:1}")
    done
}

reload() {
    local dir=$work/reload file shown=$work/reload.txt round
    say "reload of one changed drop-in among $RELOAD files"
    host "$dir" --count "$RELOAD" --per-file 1
    start "$dir"
    # The first look after the start reads everything once more.
    wait_quiet "$daemon"
    file=$dir/certs.d/host000007.toml
    : > "$shown"
    for round in $(seq "$ROUNDS"); do
        changed "$file" "$((20 + round))d"
        meter change "$daemon" "$dir/log" 'the inventory changed' "$work/changed" "$file" >> "$shown"
        # What a file that changed a moment ago may still bring.
        wait_quiet "$daemon"
    done
    awk '{ print $1 - 0.3, $2 }' "$shown" > "$shown.net"
    printf 'less 0.3 s of quiet: '
    column "$shown.net" 1 'wall' s
    column "$shown.net" 2 '  CPU' s
    echo
    local before after
    before=$(meter cpu "$daemon")
    changed "$file" 27d
    mv "$work/changed" "$file"
    sleep 3
    wait_quiet "$daemon"
    after=$(meter cpu "$daemon")
    awk -v a="$before" -v b="$after" 'BEGIN { printf "all that one change costs: CPU %.3f s\n", b - a }'
    if have strace; then
        changed "$file" 28d
        strace -f -q -e trace=%file -o "$work/opened" -p "$daemon" &
        local tracer=$!
        sleep 1
        mv "$work/changed" "$file"
        sleep 3
        wait_quiet "$daemon"
        kill "$tracer" 2> /dev/null || true
        wait "$tracer" || true
        printf 'calls on drop-in files for one change: open %s, stat %s\n' \
            "$(grep -c 'open.*certs\.d/.*\.toml' "$work/opened" || true)" \
            "$(grep -c 'stat.*certs\.d/.*\.toml' "$work/opened" || true)"
    fi
    stop "$daemon"
    rm -rf "$dir"
}

# The drop-in with another renewal window, ready to be renamed.
changed() {
    grep -v '^renew_before' "$1" | sed '/^name = /a renew_before = "'"$2"'"' > "$work/changed"
    chmod 0640 "$work/changed"
}

replace() {
    local n=$1 round
    say "mass replacement: $n ECDSA certificates due at once, after their parts alone"
    : > "$work/ratios"
    for round in $(seq "$ROUNDS"); do
        fresh_simulator
        "$replacement" "$work/sim" "$work/parts-$round" --count "$n" --rounds 1 > "$work/sum"
        awk 'NR > 1 { printf "%s %.3f ms%s", $1, $2 / 1000, $1 == "sum" ? "\n" : "  " }' "$work/sum"
        replaced "$n" "$work/bare-$round"
    done
    column "$work/ratios" 1 'CPU per certificate in the sum of its parts:' ''
    echo
    echo "requests:"
    # By method and endpoint, identifiers left out.
    sed -nE 's/^[^ ]+ ([0-9-]+) ([A-Z]+) ([^? ]+).*/\1 \2 \3/p' "$work/sim.log" |
        sed -E 's#/[0-9a-fA-F-]{16,}#/ID#g' | sort | uniq -c | sort -rn |
        awk -v n="$n" '{ printf "  %7d  %.3f a certificate  %s %s %s\n", $1, $1 / n, $3, $4, $2 }'
    # Not before: ext4 steps over the inodes of what was removed in the last minutes, one by one.
    rm -rf "$work"/parts-* "$work"/bare-*
}

# With a simulator and a host of its own.
replaced() {
    local n=$1 dir=$2 before after installed
    fresh_simulator
    bare "$n" "$dir"
    before=$(meter cpu "$simulator")
    meter run -- "$renewd" once --config "$dir/renewd.toml" | tee "$work/replaced"
    after=$(meter cpu "$simulator")
    awk -v a="$before" -v b="$after" -v n="$n" \
        'BEGIN { printf "the simulator: CPU %.3f s, %.3f ms a certificate\n", b - a, (b - a) * 1000 / n }'
    awk -v n="$n" 'NR == FNR { if ($1 == "sum") sum = $2 / 1e6; next }
        match($0, /CPU [0-9.]+/) { print substr($0, RSTART + 4, RLENGTH - 4) / n / sum }' "$work/sum" "$work/replaced" >> "$work/ratios"
    installed=$(find "$dir/state/certs" -name live | wc -l)
    [ "$installed" = "$n" ] || fail "$installed of $n certificates are installed"
}

# From two runs, so that what a pass costs by itself does not count.
syncs() {
    have strace || return 0
    say "system calls of a replacement, by strace"
    local n
    for n in 100 300; do
        fresh_simulator
        bare "$n" "$work/bare-$n"
        strace -f -q -c -U name,calls -o "$work/calls-$n" "$renewd" once --config "$work/bare-$n/renewd.toml" 2> /dev/null
    done
    awk 'FNR == NR { few[$1] = $2; next } $2 ~ /^[0-9]+$/ && $1 != "total" {
            each = ($2 - few[$1]) / 200; if (each >= 0.05) printf "  %-18s %8.2f a certificate, %d in any case\n", $1, each, few[$1] - each * 100
        }' "$work/calls-100" "$work/calls-300" | sort -k2 -rn
}

bare() {
    host "$2" --count "$1" --bare
    cat >> "$2/renewd.toml" << TOML
requests_per_minute = 100000
max_concurrent_requests = 16
TOML
}

build
uname -sr; nproc | sed 's/$/ cores/'; "$renewd" --version; date -u
fresh_simulator
if [[ " $PARTS " =~ \ (pass|rest)\  ]]; then
    for n; do
        host "$work/host-$n" --count "$n" --per-file "$PER_FILE"
        if [[ " $PARTS " = *" pass "* ]]; then pass "$n" "$work/host-$n"; fi
    done
fi
if [[ " $PARTS " = *" rest "* ]]; then rest "$@"; fi
if [[ " $PARTS " = *" reload "* ]]; then reload; fi
if [[ " $PARTS " = *" replace "* ]]; then
    for n in $REPLACE; do replace "$n"; done
    syncs
fi
