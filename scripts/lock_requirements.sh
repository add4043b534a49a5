#!/usr/bin/env bash
# Compiles requirements/core.txt from pyproject.toml and NAME.txt from NAME.in: every version pinned,
# with the hashes of all its files, for every platform. Arguments go to uv, e.g. --upgrade.
# tests/clients/package.json pins npm's clients by hand; its lock file is made here as well.
# The indexes are those pip and npm are configured for; no address gets into the files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=.venv/bin/uv
for tool in "$uv" .venv-clients/bin/npm; do
    [ -x "$tool" ] || { echo "$tool is missing: ./run_tests.sh installs it" >&2; exit 1; }
done
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
compile requirements/clients.in requirements/clients.txt "$@"
compile requirements/llama.in requirements/llama.txt "$@"
.venv-clients/bin/npm install --package-lock-only --omit-lockfile-registry-resolved \
    --prefix tests/clients --ignore-scripts --no-audit --no-fund --loglevel=error
