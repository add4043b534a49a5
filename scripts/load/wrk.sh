#!/usr/bin/env bash
# Loads the proxy with wrk for some seconds: scripts/load/wrk.sh [SECONDS [CONNECTIONS]]
# OGP_TOKEN, OGP_URL (http://localhost:8080) and MODEL (llama2) come from the environment.
# Exit status 1: an answer was neither a success nor a refusal for want of room (503).
set -euo pipefail

command -v wrk >/dev/null || {
    echo 'wrk is missing (Debian: apt-get install wrk)' >&2
    exit 127
}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
report=$(wrk -t1 -c "${2:-50}" -d "${1:-10}s" --latency -s "$here/wrk.lua" \
    "${OGP_URL:-http://localhost:8080}/api/generate")
printf '%s\n' "$report"
case $report in *'unexpected answers: 0'*) ;; *) exit 1 ;; esac
