#!/usr/bin/env bash
# renewd beside what hosts run today: tests/bench/peers.sh [N]      (default: 1000 certificates; as root)
#
# Measures renewd, certbot, certmonger and lego on the same N certificates in the same run, and prints one Markdown table
# of medians with (least..most). Those of Debian's packages that are missing are installed; no service of theirs is
# started: what runs, runs in namespaces of its own, with the loopback as the only network and its own /run, and ends
# with the script.
#
# The method: nothing is due, so that no CA is needed.
#   renewd      `renewd once` against the simulator, from which it reads the profile; `renewd run` until READY=1
#   certbot     `certbot renew -n -q --no-random-sleep-on-renew` on lineages as its own would be
#   lego        `lego … renew` once for each certificate, its only way; it asks for the CA's directory each time, which a
#               stub on the loopback gives
#   certmonger  a daemon on a bus of its own that knows all requests, self-signed CA: from start until all are monitored
#               and neither it nor a helper has used CPU for two seconds (which do not count). Its request files are
#               written directly: to be told of 1,000 by `getcert` takes minutes. CPU is its own and its helpers'.
# A renewal, where it can be done without a CA of the peer's: renewd replaces N that are due against the simulator (a key, a
# CSR, a request over TLS, the gate, a synced install each); certmonger re-signs RENEWALS by its self-signed CA, with the
# key that is there.
#   ROUNDS=3  REST=60 (seconds at rest)  RENEWALS=20  CERTMONGER=N  LEGO=N (smaller numbers for those, said in the table)
set -euo pipefail
cd "$(dirname "$0")/../.."
N=${1:-1000}
ROUNDS=${ROUNDS:-3} REST=${REST:-60} RENEWALS=${RENEWALS:-20} CERTMONGER=${CERTMONGER:-$N} LEGO=${LEGO:-$N}

if [ -z "${PEERS_INSIDE:-}" ]; then
    [ "$(id -u)" = 0 ] || { echo "$0: needs root, for packages and namespaces" >&2; exit 1; }
    packages=()
    need() { command -v "$1" > /dev/null || packages+=("$2"); }
    need certbot certbot
    need certmonger certmonger
    need lego lego
    need dbus-daemon dbus
    need ip iproute2
    need python3 python3
    need openssl openssl
    need /usr/bin/time time
    if [ "${#packages[@]}" -gt 0 ]; then
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' | install -m 0755 /dev/stdin "$policy"
        fi
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
    fi
    (source tests/bench/common.sh; build)
    status=0
    PEERS_INSIDE=1 timeout "${LIMIT:-3600}" \
        unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$N" || status=$?
    exit "$status"
fi

ip link set lo up
source tests/bench/common.sh
rows=$work/rows

# Figures of `meter run`, as cells of the table.
cell() { sed -nE "s/.*$1 ([0-9.]+( \([^)]*\))?).*/\1/p" "$2"; }
row() {
    local IFS="|"
    printf "|%s|\n" "$*" | sed -E "s/ *\| */ | /g; s/^ //; s/ $//" >> "$rows"
}

measure_renewd() {
    say "renewd"
    fresh_simulator
    host "$work/host" --count "$N"
    meter run --rounds "$ROUNDS" -- "$renewd" once --config "$work/host/renewd.toml" | tee "$work/pass"
    for _ in $(seq "$ROUNDS"); do
        start "$work/host"
        echo "$ready" >> "$work/ready"
        [ "$(wc -l < "$work/ready")" = "$ROUNDS" ] || stop "$daemon"
    done
    sleep 5
    meter rest "$REST" "$daemon" | tee "$work/rest"
    meter memory "$daemon" | tee "$work/memory"
    stop "$daemon"
    fresh_simulator
    host "$work/due" --count "$N" --bare
    printf 'requests_per_minute = 100000\nmax_concurrent_requests = 16\n' >> "$work/due/renewd.toml"
    meter run -- "$renewd" once --config "$work/due/renewd.toml" | tee "$work/due.pass"
    [ "$(find "$work/due/state/certs" -name live | wc -l)" = "$N" ] || fail "not all were replaced"
    rm -rf "$work/due"
    row "$("$renewd" --version)" "$N" "$(cell wall "$work/pass")" "$(cell CPU "$work/pass")" \
        "$(sed -E 's/.*peak ([0-9.]+).*/\1/' "$work/pass")" \
        "$(column "$work/ready" 2 '' '')" "$(column "$work/ready" 3 '' '')" \
        "$(sed -E 's/.*; Rss ([0-9.]+).*/\1/' "$work/memory")" "$(at_rest)" \
        "$(per "$(cell wall "$work/due.pass")" "$N") / $(per "$(cell CPU "$work/due.pass")" "$N")"
}

# Milliseconds for one of N, from seconds for all.
per() { awk -v seconds="$1" -v n="$2" 'BEGIN { printf "%.1f", seconds * 1000 / n }'; }
at_rest() { sed -E 's/.*wake-ups ([0-9]+) in.*/\1/' "$work/rest"; }

measure_certbot() {
    local name source options
    say "certbot"
    for source in "$work/host/state/certs/"*; do
        name=${source##*/}.example.test
        certbot_lineage "$source/live" "$work/certbot" "$name"
    done
    mkdir -p "$work/certbot/accounts"
    options=(--config-dir "$work/certbot" --work-dir "$work/certbot/work" --logs-dir "$work/certbot/logs")
    options+=(renew -n --no-random-sleep-on-renew)
    certbot "${options[@]}" > "$work/said" 2>&1 || fail "certbot: $(tail -n 3 "$work/said")"
    [ "$(grep -c 'expires on .* (skipped)' "$work/said")" = "$N" ] || fail "certbot looked at fewer than $N"
    meter run --rounds "$ROUNDS" -- certbot "${options[@]}" -q | tee "$work/pass"
    row "$(certbot --version)" "$N" "$(cell wall "$work/pass")" "$(cell CPU "$work/pass")" \
        "$(sed -E 's/.*peak ([0-9.]+).*/\1/' "$work/pass")" - - - - -
    rm -rf "$work/certbot"
}

certbot_lineage() {
    local live=$1 to=$2 name=$3 part
    mkdir -p "$to/archive/$name" "$to/live/$name" "$to/renewal"
    for part in cert chain fullchain privkey; do
        cp -L "$live/$part.pem" "$to/archive/$name/${part}1.pem"
        ln -s "../../archive/$name/${part}1.pem" "$to/live/$name/$part.pem"
    done
    cat > "$to/renewal/$name.conf" << CONF
version = 2.1.0
archive_dir = $to/archive/$name
cert = $to/live/$name/cert.pem
privkey = $to/live/$name/privkey.pem
chain = $to/live/$name/chain.pem
fullchain = $to/live/$name/fullchain.pem

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef0123456789abcdef
authenticator = standalone
server = https://127.0.0.1:14000/dir
key_type = ecdsa
CONF
}

measure_lego() {
    local source name stub port
    say "lego"
    python3 - "$work/port" << 'PYTHON' &
import http.server, json, os, sys
class Directory(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        here = "http://127.0.0.1:%d/" % self.server.server_port
        text = json.dumps({name: here + name for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Directory)
with open(sys.argv[1] + ".new", "w") as out:
    out.write(str(server.server_port))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
PYTHON
    stub=$!
    running+=("$stub")
    until [ -s "$work/port" ]; do sleep 0.05; done
    port=$(cat "$work/port")
    local account=$work/lego/accounts/127.0.0.1_$port/bench@example.test
    mkdir -p "$work/lego/certificates" "$account/keys"
    openssl ecparam -name prime256v1 -genkey -noout -out "$account/keys/bench@example.test.key"
    printf '{"email":"bench@example.test","registration":{"body":{"status":"valid"},"uri":"http://127.0.0.1:%s/1"}}\n' \
        "$port" > "$account/account.json"
    find "$work/host/state/certs" -mindepth 1 -maxdepth 1 | sort | head -n "$LEGO" > "$work/sources"
    while read -r source; do
        name=${source##*/}.example.test
        cp -L "$source/live/fullchain.pem" "$work/lego/certificates/$name.crt"
        cp -L "$source/live/privkey.pem" "$work/lego/certificates/$name.key"
        printf '{"domain":"%s","certUrl":"http://127.0.0.1:%s/c"}\n' "$name" "$port" > "$work/lego/certificates/$name.json"
        echo "$name"
    done < "$work/sources" > "$work/names"
    cat > "$work/each" << EACH
while read -r name; do
    lego --accept-tos --email bench@example.test --server http://127.0.0.1:$port/dir --path $work/lego \\
        --domains "\$name" --http renew --days 30 --no-random-sleep || exit 1
done < $work/names
EACH
    sh "$work/each" > "$work/said" 2>&1 || fail "lego: $(tail -n 3 "$work/said")"
    [ "$(grep -c 'no renewal' "$work/said")" = "$LEGO" ] || fail "lego looked at fewer than $LEGO: $(tail -n 3 "$work/said")"
    meter run --rounds "$ROUNDS" -- sh "$work/each" | tee "$work/pass"
    kill "$stub"
    row "lego $(dpkg-query -Wf '${Version}' lego), a process each" "$LEGO" "$(cell wall "$work/pass")" \
        "$(cell CPU "$work/pass")" "$(sed -E 's/.*peak ([0-9.]+).*/\1/' "$work/pass")" - - - - -
    rm -rf "$work/lego"
}

measure_certmonger() {
    local source name dir=$work/certmonger monger=$work/monger
    say "certmonger"
    cp -a /var/lib/certmonger "$dir"
    mount --bind "$dir" /var/lib/certmonger
    mount -t tmpfs tmpfs /run
    mkdir -p /run/dbus /run/certmonger "$work/files"
    rm -f "$dir"/requests/* "$dir/lock"
    dbus-daemon --system --nofork --nopidfile 2> /dev/null &
    running+=("$!")
    find "$work/host/state/certs" -mindepth 1 -maxdepth 1 | sort | head -n "$CERTMONGER" > "$work/sources"
    while read -r source; do
        name=${source##*/}
        cp -L "$source/live/fullchain.pem" "$work/files/$name.pem"
        cp -L "$source/live/privkey.pem" "$work/files/$name.key"
        certmonger_request "$name" > "$dir/requests/$name"
    done < "$work/sources"
    # The first start completes the files that were written here.
    monger_start
    monger_settle
    local monitored
    monitored=$(getcert list 2> /dev/null | grep -c 'status: MONITORING')
    [ "$monitored" = "$CERTMONGER" ] || fail "certmonger monitors $monitored of $CERTMONGER"
    monger_stop
    for _ in $(seq "$ROUNDS"); do
        monger_start
        monger_settle
        echo "0 $settled $(monger_cpu)" >> "$monger"
        [ "$(wc -l < "$monger")" = "$ROUNDS" ] || monger_stop
    done
    cat "$monger"
    meter rest "$REST" "$cm" | tee "$work/rest"
    meter memory "$cm" | tee "$work/memory"
    local peak resident began before
    peak=$(meter peak "$cm")
    resident=$(sed -E 's/.*; Rss ([0-9.]+).*/\1/' "$work/memory")
    before=$(monger_cpu)
    began=$EPOCHREALTIME
    for name in $(head -n "$RENEWALS" "$work/sources" | xargs -n 1 basename); do
        timeout 60 getcert resubmit -i "$name" -w > "$work/said" 2>&1 || fail "certmonger: $(tail -n 3 "$work/said")"
    done
    local wall cpu
    wall=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
    cpu=$(awk -v a="$before" -v b="$(monger_cpu)" 'BEGIN { print b - a }')
    row "certmonger $(dpkg-query -Wf '${Version}' certmonger)" "$CERTMONGER" - - "$peak" \
        "$(column "$monger" 2 '' '')" "$(column "$monger" 3 '' '')" "$resident" "$(at_rest)" \
        "$(per "$wall" "$RENEWALS") / $(per "$cpu" "$RENEWALS") (self-signed)"
    monger_stop
}

certmonger_request() {
    local certificate=$work/files/$1.pem end
    end=$(date -u -d "$(openssl x509 -in "$certificate" -noout -enddate | cut -d= -f2)" +%Y%m%d%H%M%S)
    cat << REQUEST
id=$1
key_storage_type=FILE
key_storage_location=$work/files/$1.key
cert_storage_type=FILE
cert_storage_location=$certificate
state=MONITORING
autorenew=1
monitor=1
ca_name=SelfSign
cert_not_before=20260101000000
cert_not_after=$end
cert=$(openssl x509 -in "$certificate" | sed '2,$s/^/ /')
REQUEST
}

monger_start() {
    began=$EPOCHREALTIME
    certmonger -S -n > "$work/certmonger.log" 2>&1 &
    cm=$!
    running+=("$cm")
}

monger_stop() { kill "$cm"; wait "$cm" || true; }

# Its own and its helpers' CPU seconds.
monger_cpu() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15 + $16 + $17) / hz }' "/proc/$cm/stat"; }

# Sets $settled: the seconds from its start until it had nothing more to do. Two seconds must have passed so.
monger_settle() {
    local still=0 before after
    sleep 1
    before=$(monger_cpu)
    while [ "$still" -lt 20 ]; do
        sleep 0.1
        after=$(monger_cpu)
        if [ "$before" = "$after" ] && [ -z "$(cat "/proc/$cm/task/$cm/children")" ]; then
            still=$((still + 1))
        else
            still=0
            settled=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
        fi
        before=$after
    done
}

uname -sr; nproc | sed 's/$/ cores/'; date -u
echo "$N certificates, $ROUNDS rounds, ECDSA P-256 with one intermediate; nothing due"
measure_renewd
measure_certbot
measure_lego
measure_certmonger
say "table"
cat << HEAD
| program | n | pass: wall s | pass: CPU s | peak MiB | start until ready: wall s | CPU s | at rest: MiB | wake-ups in $REST s | a renewal: wall ms / CPU ms |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
HEAD
cat "$rows"
