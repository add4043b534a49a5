# Messages to people. Sourced by run_proxy.sh and run_tests.sh.
# shellcheck shell=bash

say() { printf '%s\n' "$*"; }

step() {  # something that may take a while begins
    if [ -t 1 ]; then printf '\033[1m==> %s\033[0m\n' "$*"; else printf '==> %s\n' "$*"; fi
}

warn() {
    if [ -t 2 ]; then printf '\033[33mWarning: %s\033[0m\n' "$*" >&2
    else printf 'Warning: %s\n' "$*" >&2; fi
}

die() {
    printf 'Error: %s\n' "$1" >&2
    shift
    while [ $# -gt 0 ]; do printf '  %s\n' "$1" >&2; shift; done
    exit 1
}
