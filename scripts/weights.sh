# Weights of model scanners: where they come from, their files, their checksums.
# Sourced by download_models.sh; needs messages.sh, $hub, $from, $form.
# shellcheck shell=bash disable=SC2154

# One line per file: scanner, form it is needed for, name here, repository, revision, path there, MB.
files_on_the_hub() {
    local injection=protectai/deberta-v3-base-prompt-injection-v2
    local injection_at=89b085cd330414d3e7d9dd787870f315957e1e9f
    local toxic=unitary/unbiased-toxic-roberta
    local toxic_at=91650552a4f31b7120c36680cfa47ddd47676b48
    local toxic_onnx=protectai/unbiased-toxic-roberta-onnx
    local toxic_onnx_at=34480fa958f6657ad835c345808475755b6974a7
    local names=dslim/bert-base-NER
    local names_at=d1a3e8f13f8c3566299d95fcfc9a8d2382a9affc
    local code=philomath-1209/programming-language-identification
    local code_at=9090d38e7333a2c6ff00f154ab981a549842c20f
    local urls=DunnBC22/codebert-base-Malicious_URLs
    local urls_at=1221284b2495a4182cdb521be9d755de56e66899
    local refusal=ProtectAI/distilroberta-base-rejection-v1
    local refusal_at=65584967c3f22ff7723e5370c65e0e76791e6055
    # The last three run in llm-guard, which reads one form; repositories and revisions are its own.
    cat <<TABLE
prompt_injection any config.json $injection $injection_at config.json 1
prompt_injection any tokenizer.json $injection $injection_at tokenizer.json 9
prompt_injection onnx model.onnx $injection $injection_at onnx/model.onnx 739
prompt_injection safetensors model.safetensors $injection $injection_at model.safetensors 738
toxicity onnx config.json $toxic_onnx $toxic_onnx_at config.json 1
toxicity safetensors config.json $toxic $toxic_at config.json 1
toxicity any tokenizer.json $toxic_onnx $toxic_onnx_at tokenizer.json 2
toxicity onnx model.onnx $toxic_onnx $toxic_onnx_at model.onnx 499
toxicity safetensors model.safetensors $toxic $toxic_at model.safetensors 499
anonymize onnx config.json $names $names_at onnx/config.json 1
anonymize safetensors config.json $names $names_at config.json 1
anonymize any tokenizer.json $names $names_at onnx/tokenizer.json 1
anonymize onnx model.onnx $names $names_at onnx/model.onnx 431
anonymize safetensors model.safetensors $names $names_at model.safetensors 433
code any config.json $code $code_at config.json 1
code any tokenizer.json $code $code_at tokenizer.json 3
code any model.safetensors $code $code_at model.safetensors 336
malicious_urls any config.json $urls $urls_at config.json 1
malicious_urls any tokenizer.json $urls $urls_at tokenizer.json 3
malicious_urls any model.safetensors $urls $urls_at model.safetensors 499
no_refusal any config.json $refusal $refusal_at config.json 1
no_refusal any tokenizer.json $refusal $refusal_at tokenizer.json 3
no_refusal any model.safetensors $refusal $refusal_at model.safetensors 329
TABLE
}

# What a directory of weights may hold; the model last, so that it is complete once that is there.
texts='config.json tokenizer.json tokenizer_config.json special_tokens_map.json'
models='model.safetensors model.onnx model.int8.onnx'
sums=SHA256SUMS

# Checksums

sha256_of() {  # FILE
    if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi |
        cut -d' ' -f1
}

recorded() {  # DIRECTORY FILE: its checksum in SHA256SUMS, or nothing
    [ ! -f "$1/$sums" ] || awk -v name="$2" '$2 == name || $2 == "*" name {print $1}' "$1/$sums"
}

record() {  # DIRECTORY: write SHA256SUMS in one step
    local file
    for file in $texts $models; do
        [ ! -f "$1/$file" ] || printf '%s  %s\n' "$(sha256_of "$1/$file")" "$file"
    done >"$1/.$sums"
    mv "$1/.$sums" "$1/$sums"
}

damaged_in() {  # DIRECTORY: files that are recorded there and missing or changed
    local file
    for file in $texts $models; do
        [ -n "$(recorded "$1" "$file")" ] || continue
        [ -f "$1/$file" ] && [ "$(sha256_of "$1/$file")" = "$(recorded "$1" "$file")" ] ||
            printf '%s\n' "$file"
    done
}

is_recorded() {  # DIRECTORY: its checksums speak of a whole model
    local model
    [ -n "$(recorded "$1" config.json)" ] && [ -n "$(recorded "$1" tokenizer.json)" ] || return 1
    for model in $models; do [ -z "$(recorded "$1" "$model")" ] || return 0; done
    return 1
}

is_whole() {  # DIRECTORY
    local model
    [ -f "$1/config.json" ] && [ -f "$1/tokenizer.json" ] || return 1
    for model in $models; do [ ! -f "$1/$model" ] || return 0; done
    return 1
}

# Sources

offered() {  # SCANNER: the files that its source has
    local file
    if [ -z "$from" ]; then
        files_on_the_hub | awk -v scanner="$1" -v form="${form:-onnx}" \
            '$1 == scanner && ($2 == form || $2 == "any") {print $3}'
        return
    fi
    for file in $texts $models; do
        [ ! -f "$from/$1/$file" ] || printf '%s\n' "$file"
    done
}

source_name() {  # SCANNER
    if [ -n "$from" ]; then printf '%s\n' "$from/$1"; else
        printf '%s\n' "$hub"
        files_on_the_hub | awk -v scanner="$1" -v form="${form:-onnx}" \
            '$1 == scanner && ($2 == form || $2 == "any")'
    fi
}

fetch() {  # SCANNER FILE STAGING: STAGING/FILE is there and whole, or the script ends
    if [ -f "$3/$2" ]; then  # from an earlier run
        if [ -z "$from" ] || cmp -s "$from/$1/$2" "$3/$2"; then return; fi
    fi
    if [ -n "$from" ]; then copy "$from/$1" "$2" "$3"; else download "$1" "$2" "$3"; fi
    case $2 in
        *.json)
            if [ "$(head -c 1 "$3/$2.part")" != '{' ]; then
                rm -f "$3/$2.part"
                die "$2 of $1 is no JSON: ${from:-$hub} gave something else (a login page?)"
            fi
            ;;
    esac
    mv "$3/$2.part" "$3/$2"
}

copy() {  # DIRECTORY FILE STAGING
    local expected
    cp "$1/$2" "$3/$2.part" || die "$1/$2 cannot be copied"
    chmod '=rw' "$3/$2.part"  # as the umask has it, whatever the source has: a service reads them
    expected=$(recorded "$1" "$2")
    [ -n "$expected" ] || expected=$(sha256_of "$1/$2")
    if [ "$(sha256_of "$3/$2.part")" != "$expected" ]; then
        rm -f "$3/$2.part"
        die "$1/$2 is damaged: its copy has another checksum than it should have" \
            'Nothing was installed. Bring that file into the directory again.'
    fi
}

download() {  # SCANNER FILE STAGING
    local part=$3/$2.part headers=$3/.headers status=0 resumed=no url
    url=$(files_on_the_hub | awk -v scanner="$1" -v form="${form:-onnx}" -v file="$2" -v hub="$hub" \
        '$1 == scanner && ($2 == form || $2 == "any") && $3 == file \
            {print hub "/" $4 "/resolve/" $5 "/" $6}')
    command -v curl >/dev/null || die 'curl is missing' 'Debian, Ubuntu: apt-get install curl'
    step "$2 of $1"
    [ ! -f "$part" ] || resumed=yes
    transfer "$url" "$part" "$headers" || status=$?
    if [ $resumed = yes ] && cannot_go_on $status "$part" "$headers"; then
        rm -f "$part"
        status=0
        transfer "$url" "$part" "$headers" || status=$?
    fi
    explain $status "$url"
    if ! is_as_told "$part" "$headers"; then
        rm -f "$part"
        die "$2 came damaged: its checksum is not the one that the hub told" 'Run this again.'
    fi
}

cannot_go_on() {  # STATUS PART HEADERS: what an earlier run left is not the beginning of the file
    case $1 in
        0) ! is_as_told "$2" "$3" ;;
        22 | 33 | 36) ;;
        *) return 1 ;;
    esac
}

is_as_told() {  # PART HEADERS: the hub tells the checksum of large files
    local expected
    expected=$(sed -n 's/^x-linked-etag: *"\{0,1\}\([0-9a-f]\{64\}\)"\{0,1\}.*/\1/p' "$2" | tail -n 1)
    [ -z "$expected" ] || [ "$(sha256_of "$1")" = "$expected" ]
}

transfer() {  # URL PART HEADERS: goes on where PART ends, a few times
    local progress='-sS' protocols='=http,https' status tries=0
    [ ! -t 2 ] || progress='--progress-bar'
    case $hub in https:*) protocols='=https' ;; esac  # no redirection to less
    while :; do
        status=0
        curl -fL "$progress" --proto "$protocols" --connect-timeout 15 \
            --speed-limit 1000 --speed-time 60 -C - -D "$3.raw" -o "$2" "$1" || status=$?
        case $status in 18 | 28 | 52 | 55 | 56 | 92) tries=$((tries + 1)) ;; *) break ;; esac
        [ $tries -lt 4 ] || break
        sleep 1
    done
    [ $status = 0 ] || return $status
    tr '[:upper:]' '[:lower:]' <"$3.raw" >"$3"
}

explain() {  # STATUS URL
    case $1 in
        0) return ;;
        22) die "$hub refused $2" 'If it asks for an account, download the file and use --from DIR.' ;;
        23) die 'the disk is full, or the directory cannot be written to' ;;
    esac
    die "$hub cannot be reached or the connection broke (curl: $1); what came is kept" \
        'Run this again to go on. Without a network, on a machine that has one:' \
        '  scripts/download_models.sh --to DIR SCANNER...' \
        'then carry DIR here and run: scripts/download_models.sh --from DIR'
}
