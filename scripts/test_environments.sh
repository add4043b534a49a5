# Environments beside $venv for what tests drive in other processes: clients and a model server that
# need other versions than we do. Sourced by run_tests.sh after environment.sh.
# shellcheck shell=bash disable=SC2154

make_beside() {  # PART: $venv-PART, in step with requirements/PART.txt
    local place=$venv-$1 wanted
    wanted=$(fingerprint "$1")
    [ "$(cat "$place/.ogp-$1" 2>/dev/null)" != "$wanted" ] || return 0
    step "Making $place (once)"
    "$python" -m venv --clear --without-pip "$place" && install_beside "$1" &&
        printf '%s\n' "$wanted" >"$place/.ogp-$1"
}

install_beside() {  # PART: with uv, which takes a fifth of pip's time; pip knows more of its own settings
    local other=$venv-$1/bin/python index
    index=${UV_DEFAULT_INDEX:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}
    "$venv/bin/uv" pip install --quiet --python "$other" ${index:+--default-index "$index"} \
        --require-hashes -r "requirements/$1.txt" && return
    warn 'uv could not install them; now pip tries'
    PIP_PYTHON=$other pip_install --require-hashes -r "requirements/$1.txt"
}

install_node_modules() {  # what tests/clients/package-lock.json pins
    local stamp=tests/clients/node_modules/.ogp-lock wanted
    wanted=$(cksum <tests/clients/package-lock.json)
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    step 'Installing the npm clients'
    "$venv-clients/bin/npm" ci --prefix tests/clients --ignore-scripts --no-audit --no-fund \
        --no-update-notifier --loglevel=error >/dev/null &&
        printf '%s\n' "$wanted" >"$stamp"
}

install_clients() { make_beside clients && install_node_modules; }

install_llama() {  # compiled here, for minutes; without what only this machine's processor knows
    CMAKE_ARGS="-DGGML_NATIVE=OFF ${CMAKE_ARGS:-}" make_beside llama
}
