# The command line of run_proxy.sh. Sourced by it.
# shellcheck shell=bash disable=SC2034,SC2154
# A flag that is a setting becomes OGP__SECTION__KEY, which every process of the proxy reads.

commands='run start stop restart status logs install help'
value_flags='--workers --concurrency --host --port --log-level --config --data-dir --find-links'
plain_flags='--reload --debug --lite --demo --offline --help'

command=run
reload=no
lite=no
demo=no
offline=no
find_links=
given_flags=()

nearest() {  # WORD KNOWN...: the known word with the longest common beginning, if there is one
    local word=$1 best='' known length
    shift
    local longest=0
    for known in "$@"; do
        length=${#known}
        while [ "$length" -gt "$longest" ]; do
            if [ "${word:0:$length}" = "${known:0:$length}" ]; then
                longest=$length best=$known
            fi
            length=$((length - 1))
        done
    done
    # "--" is common to all flags and says nothing.
    [ "${best:0:2}" = -- ] && [ "$longest" -le 2 ] && best=''
    printf '%s' "$best"
}

refuse_word() {  # KIND WORD KNOWN...: says what it may have been meant to be
    local kind=$1 word=$2 guess
    shift 2
    guess=$(nearest "$word" "$@")
    die "unknown $kind: $word${guess:+ (did you mean $guess?)}" './run_proxy.sh help lists them all.'
}

one_of() {  # WORD LIST
    case " $2 " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

absolute() {  # a path as given on the command line, which was read in another directory
    case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$started_in" "$1" ;; esac
}

set_instead() {  # NAME VALUE OTHERS...: two names for one setting contradict each other
    export "$1=$2"
    shift 2
    unset "$@"
}

take_value() {  # FLAG VALUE
    [ -n "$2" ] || die "$1 needs a value"
    case $1 in
        --workers) set_instead OGP__SERVER__WORKERS "$2" WORKERS WEB_CONCURRENCY ;;
        --concurrency) set_instead OGP__SERVER__CONCURRENCY "$2" CONCURRENCY ;;
        --host) set_instead OGP__SERVER__HOST "$2" PROXY_HOST HOST ;;
        --port) set_instead OGP__SERVER__PORT "$2" PROXY_PORT PORT ;;
        --log-level) set_instead OGP__LOGGING__LEVEL "$2" LOG_LEVEL ;;
        --config) CONFIG_FILE=$(absolute "$2") && export CONFIG_FILE ;;
        --data-dir) OGP__DATA_DIR=$(absolute "$2") && export OGP__DATA_DIR ;;
        --find-links) find_links=$(absolute "$2") ;;
    esac
}

take_plain() {  # FLAG
    case $1 in
        --reload) reload=yes ;;
        --debug) set_instead OGP__LOGGING__LEVEL debug LOG_LEVEL ;;
        --lite) lite=yes ;;
        --demo) demo=yes ;;
        --offline) offline=yes ;;
        --help) command=help ;;
    esac
}

take_flags() {
    local flag
    while [ $# -gt 0 ]; do
        flag=${1%%=*}
        if one_of "$flag" "$plain_flags"; then
            [ "$flag" = "$1" ] || die "$flag takes no value"
            take_plain "$flag"
        elif ! one_of "$flag" "$value_flags"; then
            # shellcheck disable=SC2086  # the lists are words
            refuse_word flag "$flag" $value_flags $plain_flags
        elif [ "$flag" != "$1" ]; then
            take_value "$flag" "${1#*=}"
        else
            [ $# -gt 1 ] || die "$flag needs a value"
            take_value "$flag" "$2"
            shift
        fi
        shift
    done
}

parse_command_line() {
    case ${1:-run} in
        -h) command=help && return ;;
        -*) ;;
        *)
            # shellcheck disable=SC2086
            one_of "${1:-run}" "$commands" || refuse_word command "$1" $commands
            command=${1:-run}
            [ $# -eq 0 ] || shift
            ;;
    esac
    given_flags=("$@")
    take_flags "$@"
}
