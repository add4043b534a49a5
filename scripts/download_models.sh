#!/usr/bin/env bash
# Brings the weights of model scanners: from a directory (--from) or from the hub. docs/models.md.
set -euo pipefail

started_in=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/messages.sh
. scripts/weights.sh

usage() {
    cat <<'USAGE'
Usage: scripts/download_models.sh [OPTIONS] [SCANNER...]

Brings the weights of the named scanners; without names, of those that the configuration asks for.
What is there already is checked against its SHA256SUMS; only damaged files are brought again.

  --from DIR      copy DIR/SCANNER/ instead of asking the hub (no network is used)
  --to DIR        directory of all weights; default: guard.models.path of the configuration
  --config FILE   configuration file; default: as for the proxy
  --all           every scanner that has weights on the hub
  --form FORM     onnx (default; needs no torch) or safetensors (for GPUs and --export-onnx)
  --export-onnx   bring model.safetensors and make model.onnx of it
  --int8          make model.int8.onnx too; refused if a verdict on the sample sentences changes
  --force         replace weights that are there; keep an int8 model whose verdicts differ
  --list          print what is brought from where

HF_ENDPOINT names another hub, e.g. a mirror inside the company. What is brought is pinned to one
revision. An interrupted download goes on where it stopped.
USAGE
}

hub=${HF_ENDPOINT:-https://huggingface.co}
from='' to='' config='' form='' all=no force=no export_onnx=no int8=no named=''
failed=''
locks=()
trap '[ ${#locks[@]} -eq 0 ] || rm -f "${locks[@]}"' EXIT
trap 'exit 130' INT TERM HUP

absolute() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$started_in" "$1" ;; esac; }

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --from | --to | --config | --form)
                [ -n "${2:-}" ] || die "$1 needs a value"
                take "$1" "$2"
                shift
                ;;
            --all) all=yes ;;
            --force) force=yes ;;
            --export-onnx) export_onnx=yes ;;
            --int8) int8=yes ;;
            --list) files_on_the_hub | sed "s|^|$hub: |" && exit ;;
            -h | --help) usage && exit ;;
            -*) die "unknown option: $1" 'scripts/download_models.sh --help lists them all.' ;;
            *) named="$named $1" ;;
        esac
        shift
    done
    if [ "$export_onnx" = yes ]; then
        [ "$form" != onnx ] || die '--export-onnx makes ONNX of safetensors: leave out --form onnx'
        form=safetensors
    fi
}

take() {  # OPTION VALUE
    case $1 in
        --from) from=$(absolute "$2") ;;
        --to) to=$(absolute "$2") ;;
        --config) config=$(absolute "$2") ;;
        --form)
            case $2 in onnx | safetensors) form=$2 ;; *) die '--form is onnx or safetensors' ;; esac
            ;;
    esac
}

known_scanners() { files_on_the_hub | cut -d' ' -f1 | sort -u; }

is_known() {  # SCANNER
    # Not -q: it would leave early, and the broken pipe of the other side count as an error.
    known_scanners | grep -xF "$1" >/dev/null
}

# What to bring, and where to: lines of scanner, tab, directory

python=${VENV_DIR:-.venv}/bin/python
[ "${USE_VENV:-true}" = true ] || python=${PYTHON:-python3}

plan() {
    local scanner
    if [ -n "$to" ] && { [ -n "$named" ] || [ "$all" = yes ]; }; then
        for scanner in $(wanted_without_config); do printf '%s\t%s\n' "$scanner" "$to/$scanner"; done
        return
    fi
    [ -x "$(command -v "$python")" ] || die "the configuration cannot be read: there is no $python" \
        './run_proxy.sh install makes it. Or name scanners and --to DIR.'
    wanted_without_config | "$python" -c "$read_plan" "$to" "$(guard_status)" ||
        die 'the configuration cannot be read: ogp config check says why'
}

guard_status() {  # ends with 1 where weights are missing, which is why this runs
    "$python" -m ogp guard status --json ${config:+--config "$config"} 2>/dev/null || true
}

wanted_without_config() {
    if [ "$all" = yes ]; then known_scanners; else printf '%s\n' "$named"; fi
}

# A scanner of llm-guard can have another name than the directory of its weights.
read_plan='
import json, os, sys
status = json.loads(sys.argv[2])
base, named = os.path.abspath(status["models_path"]), sys.stdin.read().split()
paths, asked = {}, {}
for row in status["scanners"]:
    if "directory" in row:
        path = os.path.abspath(row["directory"])
        name = os.path.basename(path) if os.path.dirname(path) == base else row["scanner"]
        paths.setdefault(name, path)
        if row["state"] != "off":
            asked[name] = True
for name in named or asked:
    own = None if sys.argv[1] else paths.get(name)
    print(name + "\t" + (own or os.path.join(sys.argv[1] or base, name)))
'

# One scanner

lock() {  # DIRECTORY: one run at a time; a lock whose owner is gone is taken over
    local file=$1/.download_models.lock owner
    mkdir -p "$1" || die "cannot write to $1"
    if ! (set -C && printf '%s\n' $$ >"$file") 2>/dev/null; then
        owner=$(cat "$file" 2>/dev/null || true)
        if [ "$owner" != $$ ] && [ -n "$owner" ] && kill -0 "$owner" 2>/dev/null; then
            die "another run (process $owner) is bringing weights into $1"
        fi
        printf '%s\n' $$ >"$file" || die "cannot write to $1"
    fi
    locks+=("$file")
}

missing_in() {  # SCANNER DIRECTORY: what to bring; nothing if all is well
    if [ "$force" = yes ] || ! is_recorded "$2"; then
        offered "$1"
        return
    fi
    damaged_in "$2"
    [ -z "$form" ] || [ -n "$(recorded "$2" "model.$form")" ] || printf 'model.%s\n' "$form"
}

bring() {  # SCANNER DIRECTORY
    local scanner=$1 target=$2 staging missing file mode=all
    [ ! -L "$target" ] || target=$(cd "$target" && pwd -P)
    staging=$(dirname "$target")/.$(basename "$target").new
    lock "$(dirname "$target")"
    if [ "$force" = no ] && [ ! -f "$target/$sums" ] && [ ! -e "$staging" ] && is_whole "$target"; then
        record "$target"
        say "$scanner: was put into $target by hand; its checksums are recorded from now on"
        return
    fi
    if [ "$force" = no ] && is_recorded "$target"; then mode=repair; fi
    missing=$(missing_in "$scanner" "$target")
    if [ -z "$missing" ] && [ $mode = repair ]; then
        rm -rf "$staging"
        say "$scanner: complete in $target, checksums match"
        return
    fi
    for file in $missing; do
        offered "$scanner" | grep -xF "$file" >/dev/null || die "$scanner: $file is missing or damaged in $target" \
            'and its source does not have it. A model that was made here is made again after' \
            "  rm $target/$sums $target/$file"
    done
    [ $mode = all ] || warn "$scanner: brought again: $(printf '%s' "$missing" | tr '\n' ' ')"
    stage "$scanner" "$staging" "$mode" "$missing"
    [ $mode = all ] || agree "$target" "$staging" "$missing"
    install "$target" "$staging" "$mode"
    say "$scanner: in $target"
}

stage() {  # SCANNER STAGING MODE FILES: brings them; goes on with an earlier run of the same kind
    local file
    [ "$(cat "$2/.source" 2>/dev/null)" = "$(source_name "$1") $3" ] || rm -rf "$2"
    mkdir -p "$2"
    printf '%s\n' "$(source_name "$1") $3" >"$2/.source"
    step "Bringing $1 from ${from:-$hub}"
    for file in $4; do fetch "$1" "$file" "$2"; done
    [ "$3" = repair ] || is_whole "$2" || die "$1: config.json, tokenizer.json or a model is missing" \
        "in ${from:-$hub}/$1"
}

agree() {  # TARGET STAGING FILES: files that were recorded before are the same ones now
    local file expected
    for file in $3; do
        expected=$(recorded "$1" "$file")
        [ -z "$expected" ] || [ "$(sha256_of "$2/$file")" = "$expected" ] || {
            rm -rf "$2"
            die "the source has another $file than the one recorded in $1/$sums" \
                'Nothing was changed. --force takes everything from the source.'
        }
    done
}

install() {  # TARGET STAGING MODE
    local file
    rm -f "$2/.headers" "$2/.headers.raw"
    if [ ! -e "$1" ]; then
        record "$2"
        rm -f "$2/.source"
        mv "$2" "$1"
        return
    fi
    # Until the checksums are there again, the staging directory says that this is half done.
    rm -f "$1/$sums"
    for file in $texts $models; do
        if [ -f "$2/$file" ]; then mv "$2/$file" "$1/$file"
        elif [ "$3" = all ]; then rm -f "$1/$file"; fi
    done
    record "$1"
    rm -rf "$2"
}

convert() {  # SCANNER DIRECTORY
    if [ "$1" = anonymize ]; then
        warn 'anonymize is not converted: only classifiers of whole texts are.'
        return
    fi
    set -- "$1" --directory "$2" ${config:+--config "$config"}
    [ "$export_onnx" = no ] || set -- "$@" --onnx
    [ "$int8" = no ] || set -- "$@" --int8
    [ "$force" = no ] || set -- "$@" --force
    "$python" -m ogp guard export "$@" </dev/null || exit 1
}

parse "$@"
for scanner in $named; do
    is_known "$scanner" || [ -n "$from" ] || die "unknown scanner: $scanner" "There are: $(known_scanners | tr '\n' ' ')"
done
planned=$(plan)
while IFS=$(printf '\t') read -r scanner directory; do
    if [ -z "$from" ] && ! is_known "$scanner"; then
        warn "$scanner is not on the list: bring its files by hand or with --from DIR."
        continue
    fi
    if [ -n "$from" ] && [ -z "$(offered "$scanner")" ]; then
        failed="$failed $scanner"
        continue
    fi
    bring "$scanner" "$directory"
    [ "$export_onnx$int8" = nono ] || convert "$scanner" "$directory"
done <<PLAN
$planned
PLAN
[ -z "$failed" ] || die "nothing was found in $from for:$failed"
say 'Done. "ogp guard status --load" loads them and shows how long it takes.'
