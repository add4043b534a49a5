#!/usr/bin/env bash
# Gets the queues going: installs packages, adds missing keys to the configuration, tells what next.
# What stands in the configuration is never changed. docs/queue.md.
set -euo pipefail

started_in=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$(pwd -P)
lite=yes offline=no find_links=''  # environment.sh reads these: queues need no guard extras
. scripts/messages.sh
. scripts/environment.sh

usage() {
    cat <<'USAGE'
Usage: scripts/setup_concurrency.sh [--config FILE] [--offline] [--find-links DIR]

Installs the packages, adds to FILE (default: $CONFIG_FILE, else config.yaml) the keys of the queue
that neither it nor the environment has, with their defaults, and prints the next steps.
USAGE
}

absolute() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$started_in" "$1" ;; esac; }

config=$root/config.yaml
[ -z "${CONFIG_FILE:-}" ] || config=$(absolute "$CONFIG_FILE")
while [ $# -gt 0 ]; do
    case $1 in
        --config | --find-links)
            [ -n "${2:-}" ] || die "$1 needs a value"
            path=$(absolute "$2")
            # shellcheck disable=SC2034  # environment.sh reads it
            if [ "$1" = --config ]; then config=$path; else find_links=$path; fi
            shift
            ;;
        --offline) offline=yes ;;
        -h | --help) usage && exit ;;
        *) die "unknown option: $1" 'scripts/setup_concurrency.sh --help lists them all.' ;;
    esac
    shift
done

missing_lines() {  # FILE: a line for each key that has its default because nobody gave it a value
    "$python" -m ogp config show --json --config "$1" | "$python" -c '
import json, sys
lines = {
    "queue.parallel": "ollama_num_parallel: auto  # requests of a model at once; a number, or auto",
    "queue.max_queue": "ollama_max_queue: 512  # requests of a model that may wait",
    "queue.request_timeout_s": "request_timeout: 300  # seconds to the first byte, the wait included",
    "queue.stats_enabled": "enable_queue_stats: true  # /queue/stats",
}
sources = json.load(sys.stdin)["sources"]
print(*(line for key, line in lines.items() if sources[key] == "default"), sep="\n", end="")'
}

add_missing_keys() {
    local lines new
    [ -e "$config" ] || : >"$config"
    lines=$(missing_lines "$config") || die "$config was left as it is"
    if [ -z "$lines" ]; then
        say "$config has every key already."
        return
    fi
    new=$(mktemp "${TMPDIR:-/tmp}/ogp-config.XXXXXX")
    # shellcheck disable=SC2064  # the name as it is now
    trap "rm -f '$new'" EXIT
    cat "$config" >"$new"
    [ -z "$(tail -c 1 "$new")" ] || printf '\n' >>"$new"
    printf '\n# Queues, docs/queue.md\n%s\n' "$lines" >>"$new"
    "$python" -m ogp config check "$new" >/dev/null 2>&1 ||
        die "these keys cannot be put at the end of $config, which was left as it is:" "$lines"
    cat "$new" >"$config"  # not moved: it keeps its owner and rights
    say "Added to $config:"
    say "$lines"
}

prepare_environment no
add_missing_keys
cat <<'STEPS'

Next steps
  1. Look at the limits: docs/queue.md, config.yaml
  2. Start:              ./run_proxy.sh start     (restart, if it runs)
  3. Take a token:       ogp users create alice
                         read -rs OGP_TOKEN && export OGP_TOKEN
  4. Watch:              ogp queue watch
  5. Try it:             python docs/test_concurrency.py --model llama2
STEPS
