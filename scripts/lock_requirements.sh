#!/usr/bin/env bash
# Compiles requirements/core.txt from pyproject.toml and dev.txt from dev.in: every version pinned,
# with the hashes of all its files, for every platform. Arguments go to uv, e.g. --upgrade.
# The package index is the one pip is configured for; its address does not get into the files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=.venv/bin/uv
[ -x "$uv" ] || { echo "uv is missing: ./run_tests.sh installs it" >&2; exit 1; }
index=${UV_DEFAULT_INDEX:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}

compile() {  # FILE OUTPUT: pinned for Python 3.11 and newer, so that one file serves all of them
    local from=$1 to=$2
    shift 2
    "$uv" pip compile "$from" --output-file "$to" --quiet --universal --python-version 3.11 \
        --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
        ${index:+--default-index "$index"} "$@"
}

compile pyproject.toml requirements/core.txt "$@"
compile requirements/dev.in requirements/dev.txt "$@"
