#!/usr/bin/env bash
# Installs what is missing, prepares the data directory and runs the Ollama Guard Proxy.
# Written for bash 3.2, which macOS ships. `./run_proxy.sh help` tells what it can do.
set -euo pipefail

started_in=$PWD
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
    link=$(readlink "$self")
    case $link in /*) self=$link ;; *) self=$(dirname "$self")/$link ;; esac
done
cd "$(dirname "$self")"
root=$(pwd -P)

. scripts/messages.sh
. scripts/environment.sh
. scripts/flags.sh
. scripts/demo.sh
. scripts/service.sh

usage() {
    cat <<'USAGE'
Usage: ./run_proxy.sh [COMMAND] [FLAGS]

Commands
  run        install what is missing, then serve in the foreground (the default)
  start      the same in the background; returns when the proxy answers
  stop       end it; running answers may finish
  restart    stop and start, with the flags of the last start unless others are given
  status     whether it runs and answers
  logs       follow its log
  install    install what is missing, nothing else; tries failed guard extras again
  help       this text

Flags (also --flag=value)
  --workers N        worker processes
  --concurrency N    least number of threads per worker
  --host H           address to listen on; default 127.0.0.1
  --port P           port to listen on; default 8080, 0 takes a free one
  --log-level L      debug, info, warning or error
  --config FILE      configuration; default config.yaml
  --data-dir DIR     database, tokens and run files; default data
  --reload           start workers anew when the code changes (development)
  --debug            the same as --log-level debug
  --lite             do not install the guard extras (torch and llm-guard, about 1.5 GB)
  --demo             also start a look-alike of Ollama and print requests to try
  --offline          install without a package index
  --find-links DIR   look for packages in DIR as well

Flags win over environment variables (PROXY_PORT, OLLAMA_URL, OGP__SECTION__KEY ...), those over
config.yaml. VENV_DIR names another directory than .venv; with USE_VENV=false nothing is installed
and $PYTHON (or python3) is used as it is.
USAGE
}

parse_command_line "$@"
state_file=${OGP__DATA_DIR:-$root}/proxy.pid
case $command in
    help) usage ;;
    install)
        prepare_environment retry
        say "Everything is installed in $venv."
        ;;
    run) run_in_foreground ;;
    start) start_service ;;
    stop) stop_service ;;
    restart) restart_service ;;
    status) show_status ;;
    logs) follow_logs ;;
esac
