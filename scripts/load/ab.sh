#!/usr/bin/env bash
# Loads the proxy with Apache Bench, as `ab -n 1000 -c 50` would by hand: scripts/load/ab.sh [N [C]]
# OGP_TOKEN, OGP_URL (http://localhost:8080) and MODEL (llama2) come from the environment. Others on
# this machine can see the token while ab runs, since it takes headers from its command line only.
# Exit status 1: an answer was neither a success nor a refusal for want of room (503).
set -euo pipefail

command -v ab >/dev/null || {
    echo 'ab is missing (Debian: apt-get install apache2-utils)' >&2
    exit 127
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '{"model":"%s","prompt":"Test","stream":false}' "${MODEL:-llama2}" >"$folder/prompt.json"
# -l: answers differ in length. -v 2 shows the head of each, so that statuses can be counted.
ab -n "${1:-1000}" -c "${2:-50}" -l -v 2 -p "$folder/prompt.json" -T application/json \
    -H "Authorization: Bearer ${OGP_TOKEN:-}" "${OGP_URL:-http://localhost:8080}/api/generate" \
    >"$folder/report"
sed -n '/^Server Software/,$p' "$folder/report"
tr -d '\r' <"$folder/report" | awk '
    $1 ~ /^HTTP\/1\.[01]$/ && $2 ~ /^[0-9]+$/ { seen[$2]++ }
    END {
        for (status in seen) {
            printf "status %s: %d\n", status, seen[status]
            if (status != 200 && status != 503) bad = 1
        }
        exit bad
    }'
