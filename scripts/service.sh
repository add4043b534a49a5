# Running in the foreground and as a background service. Sourced by run_proxy.sh.
# shellcheck shell=bash disable=SC2034,SC2154
# The state file of a background service: process id, URL, log file, seconds a stop may take, the
# directory it was started in, and then the flags it was started with, one per line.

start_wait_s=90

set_up() {  # data directory, database, first administrator; sets $data_dir, $run_dir, $log_file, ...
    local facts failed=no
    umask 077
    facts=$(mktemp "${TMPDIR:-/tmp}/ogp-facts.XXXXXX")
    if [ "$demo" = yes ]; then
        "$python" -m ogp setup --facts "$facts" --demo || failed=yes
    else
        "$python" -m ogp setup --facts "$facts" || failed=yes
    fi
    # shellcheck disable=SC1090  # written by the line above
    . "$facts"
    rm -f "$facts"
    [ "$failed" = no ] || exit 1
}

expect_url() {  # gunicorn.conf.py will write the address it listens on to $url_file
    url_file=$(mktemp "${TMPDIR:-/tmp}/ogp-url.XXXXXX")
    export OGP_URL_FILE=$url_file
}

serve() {  # becomes gunicorn
    if [ "$demo" = yes ]; then start_demo; fi
    if [ "$reload" = yes ]; then
        exec "$python" -m gunicorn -c gunicorn.conf.py --reload
    fi
    exec "$python" -m gunicorn -c gunicorn.conf.py
}

run_in_foreground() {
    prepare_environment
    set_up
    if [ "$demo" = yes ]; then
        expect_url
        (if wait_until_answers $$; then print_demo_requests "$url"; fi) &
    fi
    serve
}

answers() {  # URL: whether anything speaks HTTP there
    local address=${1#*://} host line=''
    host=${address%:*}
    host=${host#[} host=${host%]}
    (
        exec 5<>"/dev/tcp/$host/${address##*:}" || exit 1
        printf 'GET /health HTTP/1.0\r\n\r\n' >&5
        read -r -t 10 line <&5
        printf '%s\n' "${line%$'\r'}"
    ) 2>/dev/null | grep '^HTTP/'
}

wait_until_answers() {  # PID: sets $url; fails when the process ends first
    local waited=0
    url=''
    while [ "$waited" -lt $((start_wait_s * 10)) ]; do
        kill -0 "$1" 2>/dev/null || return 1
        url=$(cat "$url_file" 2>/dev/null || true)
        if [ -n "$url" ] && answers "$url" >/dev/null; then
            rm -f "$url_file"
            return 0
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    return 1
}

running_pid() {  # the process of the state file, if it is still ours
    local pid command_line
    [ -r "$state_file" ] || return 1
    pid=$(sed -n 1p "$state_file")
    kill -0 "$pid" 2>/dev/null || return 1
    if [ -r "/proc/$pid/cmdline" ]; then
        command_line=$(tr '\0' ' ' <"/proc/$pid/cmdline")
    else
        command_line=$(ps -p "$pid" -o command= 2>/dev/null)
    fi
    case $command_line in *gunicorn.conf.py* | *run_proxy.sh*) printf '%s\n' "$pid" ;; *) return 1 ;; esac
}

refuse_second() {
    local pid
    if pid=$(running_pid); then
        die "already running, process $pid, on $(sed -n 2p "$state_file")" \
            'Another one needs its own --data-dir and --port.'
    fi
}

start_service() {
    local pid output console
    refuse_second
    prepare_environment
    set_up
    console=$(dirname "${log_file:-$root/logs/x}")/proxy.log
    mkdir -p "$(dirname "$console")"
    touch "$state_file" || die "cannot write $state_file" 'Choose another directory with --data-dir.'
    refuse_second  # another start may have been faster meanwhile
    # Log lines go to the log file already; without one, standard output is the only place.
    if [ -n "$log_file" ]; then output=/dev/null; else output=$console; fi
    : >"$console"
    expect_url
    set -m  # a process group of its own: Ctrl-C here does not reach it
    (serve) </dev/null >>"$output" 2>>"$console" &
    pid=$!
    set +m
    write_state "$pid" '' "${log_file:-$console}"
    if ! wait_until_answers "$pid"; then
        kill "$pid" 2>/dev/null || true
        [ "$(sed -n 1p "$state_file")" != "$pid" ] || rm -f "$state_file"
        rm -f "$url_file"
        die "the proxy did not start; the end of ${log_file:-$console} and $console:" \
            "$(tail -n 5 "${log_file:-/dev/null}" 2>/dev/null)" "$(tail -n 15 "$console")"
    fi
    write_state "$pid" "$url" "${log_file:-$console}"
    say "Ollama Guard Proxy runs on $url (process $pid)."
    say "Log: ${log_file:-$console}    Stop: ./run_proxy.sh stop"
    if [ "$demo" = yes ]; then print_demo_requests "$url"; fi
}

write_state() {  # PID URL LOG
    printf '%s\n' "$1" "$2" "$3" "$stop_wait_s" "$started_in" \
        ${given_flags[@]+"${given_flags[@]}"} >"$state_file"
}

stop_service() {
    local pid waited=0 limit
    if ! pid=$(running_pid); then
        rm -f "$state_file"
        say 'Not running.'
        return
    fi
    limit=$(sed -n 4p "$state_file")
    kill -TERM "$pid"
    say "Stopping process $pid; running answers have ${limit:-120} s to end."
    while kill -0 "$pid" 2>/dev/null; do
        [ "$waited" -lt $(((${limit:-120} + 10) * 10)) ] \
            || die "process $pid is still there" "End it with: kill -9 $pid"
        sleep 0.1
        waited=$((waited + 1))
    done
    rm -f "$state_file"
    say 'Stopped.'
}

restart_service() {
    local flag saved=()
    if [ ${#given_flags[@]} -eq 0 ] && [ -r "$state_file" ]; then
        while IFS= read -r flag; do saved+=("$flag"); done <<FLAGS
$(sed -n '6,$p' "$state_file")
FLAGS
        if [ -n "${saved[0]:-}" ]; then
            given_flags=("${saved[@]}")
            started_in=$(sed -n 5p "$state_file")
            take_flags "${saved[@]}"
        fi
    fi
    stop_service
    start_service
}

show_status() {
    local pid url health
    if ! pid=$(running_pid); then
        say 'Not running (as a background service of this directory).'
        exit 3  # the number init scripts use for "not running"
    fi
    url=$(sed -n 2p "$state_file")
    health=$(answers "$url") || health='no answer'
    say "Running, process $pid, on ${url:-an address not known yet}"
    say "GET /health: $health"
}

follow_logs() {
    local log=''
    if [ -r "$state_file" ]; then log=$(sed -n 3p "$state_file"); fi
    log=${log:-$root/logs/ollama_guard_proxy.log}
    [ -r "$log" ] || die "there is no log at $log yet"
    exec tail -n 50 -f "$log"
}
