# Finds a Python, makes the virtual environment and keeps it in step with requirements/.
# Sourced by run_proxy.sh and run_tests.sh; needs messages.sh, $root, $lite, $offline, $find_links.
# shellcheck shell=bash disable=SC2154

case ${VENV_DIR:-} in
    '') venv=$root/.venv ;;
    /*) venv=$VENV_DIR ;;
    *) venv=$root/$VENV_DIR ;;
esac
python=$venv/bin/python

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

prepare_environment() {  # [retry]: with `retry`, guard extras that failed are tried again
    if [ "${USE_VENV:-true}" = false ]; then
        python=${PYTHON:-python3}
        return
    fi
    local retry=${1:-no}
    if [ -x "$python" ] && is_installed core && guard_is_settled "$retry"; then
        return
    fi
    lock_venv
    make_venv
    install_core
    [ "$lite" = yes ] || install_guard "$retry"
    exec 8<&-  # gives the lock back
}

# What is installed: a file per part holds the fingerprint of what it was installed from, so that a
# start with nothing to do neither asks pip nor touches the network.

fingerprint() {  # PART
    { printf '%s\n' "$root"; cat "requirements/$1.txt"; } | cksum | tr ' ' -
}

stamp_of() { cat "$venv/.ogp-$1" 2>/dev/null || true; }

is_installed() { [ "$(stamp_of "$1")" = "$(fingerprint "$1")" ]; }

mark() {  # PART TEXT
    printf '%s\n' "$2" >"$venv/.ogp-$1"
}

guard_is_settled() {  # RETRY
    [ "$lite" = no ] || return 0
    is_installed guard && return 0
    [ "$1" = no ] && [ "$(stamp_of guard)" = "failed $(fingerprint guard)" ] || return 1
    warn "the guard extras are not installed; ./run_proxy.sh install tries again, --lite goes without."
}

# Python

minor_of() {  # PYTHON: 12 for Python 3.12; nothing if it cannot be used
    "$1" -c '
import ensurepip, sqlite3, sys, venv
if sys.version_info[0] == 3: print(sys.version_info[1])' 2>/dev/null || true
}

candidates() {  # best first
    local pyenv=${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}
    if [ -n "${PYTHON:-}" ]; then printf '%s\n' "$PYTHON"; fi
    printf '%s\n' python3.12 python3.11 python3 python
    printf '%s\n' "$pyenv"/versions/3.12.*/bin/python3 "$pyenv"/versions/3.11.*/bin/python3
    printf '%s\n' /opt/homebrew/bin/python3.12 /usr/local/bin/python3.12 python3.13 python3.14
    printf '%s\n' "$pyenv"/versions/3.1[34].*/bin/python3
}

find_python() {  # sets $base_python; guard extras need 3.11 or 3.12, the proxy itself 3.11 or newer
    local candidate minor newer=''
    base_python=''
    while read -r candidate; do
        minor=$(minor_of "$candidate")
        if [ -z "$minor" ] || [ "$minor" -lt 11 ]; then continue; fi
        if [ "$minor" -le 12 ]; then base_python=$candidate && return; fi
        [ -n "$newer" ] || newer=$candidate
    done <<CANDIDATES
$(candidates)
CANDIDATES
    [ -n "$newer" ] || die 'no Python 3.11 or newer with venv was found' \
        'Debian, Ubuntu: apt-get install python3 python3-venv' 'macOS: brew install python@3.12' \
        'Elsewhere: set PYTHON=/path/to/python3'
    [ "$lite" = yes ] || die "$newer is Python 3.$(minor_of "$newer"), too new for the guard extras" \
        'torch and llm-guard need Python 3.11 or 3.12; install one of them,' \
        'or go without these extras: ./run_proxy.sh --lite'
    base_python=$newer
}

lock_venv() {  # descriptor 8 holds it; the kernel gives it back however this script ends
    find_python
    mkdir -p "$venv" || die "cannot write to $venv"
    exec 8<"$venv"
    "$base_python" -c '
import fcntl
try:
    fcntl.flock(8, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Another start is installing; waiting for it.", flush=True)
    fcntl.flock(8, fcntl.LOCK_EX)'
}

make_venv() {
    [ ! -x "$python" ] || return 0
    local clear=''
    if [ -e "$venv/pyvenv.cfg" ]; then
        clear=--clear  # its Python is gone
    elif [ -n "$(ls -A "$venv")" ]; then
        die "$venv is no virtual environment, and not empty" 'Set VENV_DIR to another directory.'
    fi
    step "Making $venv with $("$base_python" --version)"
    "$base_python" -m venv $clear "$venv"
}

# Packages

pip_install() {  # ARGUMENTS: with pip's progress bars on a terminal, quietly elsewhere
    set -- ${find_links:+--find-links "$find_links"} "$@"
    [ "$offline" = no ] || set -- --no-index "$@"
    [ -t 1 ] || set -- --quiet --progress-bar off "$@"
    "$python" -m pip install "$@" 8<&-
}

install_core() {
    if is_installed core; then return; fi
    rm -f "$venv/.ogp-core"
    step "Installing $(grep -c '^[a-z].*==' requirements/core.txt) packages (about 80 MB, once)"
    pip_install --require-hashes -r requirements/core.txt || die 'the packages could not be installed' \
        'Without a network: ./run_proxy.sh --offline --find-links DIRECTORY_OF_WHEELS'
    link_project
    mark core "$(fingerprint core)"
}

link_project() {  # `import ogp` and `.venv/bin/ogp` work, with nothing to build
    local site
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$root" >"$site/ollama_guard_proxy.pth"
    printf '#!/usr/bin/env bash\nexec %q -m ogp "$@"\n' "$python" >"$venv/bin/ogp"
    chmod 755 "$venv/bin/ogp"
}

install_guard() {  # [retry]; a failure is said and remembered, and does not prevent the start
    local requirement constraints=$venv/.ogp-constraints
    if guard_is_settled "${1:-no}"; then return; fi
    if [ "$(minor_of "$python")" -gt 12 ]; then
        warn "$venv has a Python that is too new for the guard extras. Remove it and start again" \
            'to make it anew, or use --lite.'
        return
    fi
    # Core keeps its versions: nothing that a guard package asks for may change them.
    sed -n 's/^\([A-Za-z0-9._-]*==[^ ;\\]*\).*/\1/p' requirements/core.txt >"$constraints"
    while read -r requirement; do
        case $requirement in '' | '#'*) continue ;; esac
        step "Installing $requirement for the guard extras (large, once; --lite goes without)"
        if ! pip_install -c "$constraints" "$requirement"; then
            restore_detect_secrets
            mark guard "failed $(fingerprint guard)"
            warn "$requirement could not be installed: the proxy starts WITHOUT the guard extras." \
                './run_proxy.sh install tries again.'
            return
        fi
    done <requirements/guard.txt
    restore_detect_secrets
    mark guard "$(fingerprint guard)"
}

restore_detect_secrets() {  # llm-guard brings a fork, bc-detect-secrets, into the same directory
    local only=$venv/.ogp-detect-secrets
    sed -n '/^detect-secrets==/,/# via/p' requirements/core.txt >"$only"
    pip_install --force-reinstall --no-deps --require-hashes -r "$only" ||
        die 'detect-secrets could not be put back: without it secrets in prompts are not seen'
}

install_dev() {  # what run_tests.sh needs
    if is_installed dev; then return; fi
    step 'Installing the development tools'
    pip_install --require-hashes -r requirements/dev.txt
    mark dev "$(fingerprint dev)"
}
