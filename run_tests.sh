#!/usr/bin/env bash
# Installs what checks and tests need and runs them: shell, format, lint, types, tests, coverage.
# On Debian it also fetches missing system packages, if it may. Ends with pytest's own summary.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
cd "$root"
lite=no offline=no find_links=''  # environment.sh reads these
. scripts/messages.sh
. scripts/environment.sh
. scripts/test_environments.sh

usage() {
    cat <<'USAGE'
Usage: ./run_tests.sh [--fast | --llama] [PYTEST ARGUMENTS]

Without arguments: every check and every test, with branch coverage of at least 95 %.
  --fast   checks and unit tests only, no coverage
  --llama  only the test with a real model server, which is compiled first (minutes, once)
PYTEST ARGUMENTS run just those tests, without checks, e.g. tests/unit/auth -k token.

CI=true makes what is left out with a warning elsewhere an error: shellcheck, the clients of other
makers. VENV_DIR names another directory than .venv.
USAGE
}

install_system_packages() {  # PACKAGE...: with apt-get, as root; elsewhere nothing happens
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 0
    step "Installing $*"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$@"; } \
        >/dev/null || warn "apt-get could not install $*"
}

check_shell() {
    command -v shellcheck >/dev/null || install_system_packages shellcheck
    if command -v shellcheck >/dev/null; then
        step 'shellcheck'
        shellcheck -x run_proxy.sh run_tests.sh .ci/run scripts/*.sh scripts/load/*.sh
    elif [ "${CI:-}" = true ]; then
        die 'shellcheck is missing'
    else
        warn 'shellcheck is missing: THE SHELL SCRIPTS WERE NOT CHECKED'
    fi
}

prepare_clients() {  # sets $without_clients: what pytest must leave out
    without_clients=()
    if install_clients; then return; fi
    [ "${CI:-}" != true ] || die 'the clients of other makers could not be installed'
    warn 'the clients of other makers could not be installed: THEIR TESTS ARE LEFT OUT'
    without_clients=(--ignore=tests/flow/test_npm_clients.py --ignore=tests/flow/test_python_clients.py)
}

check_code() {
    step 'ruff format --check'
    "$python" -m ruff format --check .
    step 'ruff check'
    "$python" -m ruff check .
    step 'mypy'
    "$python" -m mypy
}

run_covered() {
    step 'pytest, with coverage'
    # Servers that tests start measure themselves (`patch = subprocess` in pyproject.toml).
    rm -f .coverage .coverage.*
    "$python" -m pytest --cov --cov-report=term ${without_clients[@]+"${without_clients[@]}"}
}

case ${1:-} in
    -h | --help) usage && exit ;;
esac
# In a subshell, as it ends the script where there is no Python.
if [ ! -x "$python" ] && ! (find_python) 2>/dev/null; then
    install_system_packages python3 python3-venv
fi
# The hub tests of download_models.sh run the real curl.
command -v curl >/dev/null || install_system_packages curl
# `ogp doctor` is tried with a real nginx in front.
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || install_system_packages nginx
prepare_environment retry
is_installed guard || die 'the guard extras are missing: the model scanners cannot be tested'
install_dev
case ${1:-} in
    '')
        check_shell
        check_code
        prepare_clients
        run_covered
        ;;
    --fast)
        shift
        check_shell
        check_code
        step 'pytest, unit tests'
        "$python" -m pytest tests/unit tests/test_layers.py tests/test_mirror.py tests/test_sizes.py "$@"
        ;;
    --llama)
        shift
        install_llama || die 'the model server could not be built' 'It needs a C++ compiler.'
        "$python" -m pytest tests/llama/real_model_server.py "$@"
        ;;
    *)
        prepare_clients
        "$python" -m pytest ${without_clients[@]+"${without_clients[@]}"} "$@"
        ;;
esac
