#!/usr/bin/env bash
# Looks for what goes wrong without a word: docs/reliability.md. Needs the built ./cudatrainer; not part of make test.
#   scripts/hunt.sh faults [STEP [COMMAND]]   every STEP-th call to the file system fails once, in extraction, training and export
#   scripts/hunt.sh full [STEP]       the disk is full from every STEP-th byte of a run or a cache on
#   scripts/hunt.sh kills [N [M [K]]] kill -9, N times in extraction, M (N) in training, K (M) in export
#   scripts/hunt.sh clips [N]         a data set of N small clips, features made up: time and peak memory
#   scripts/hunt.sh serve [MINUTES]   64 clients, slow, broken and hostile ones among them: memory and answers
#   scripts/hunt.sh order [N]         threads held up at their hand-overs: loader, team, replicas and cache, N times
#   scripts/hunt.sh soak [MINUTES]    one long training: memory, open files and threads, minute by minute
#   scripts/hunt.sh wall [MINUTES [CLIP]]  eight cameras, two that come and go and a hostile one: memory, open files and answers
source "$(dirname "$0")/common.sh"

kind=${1:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/cudatrainer-hunt.XXXXXX")
started=()
finish() {
    local code=$?
    for process in "${started[@]}"; do kill -9 "$process" 2>/dev/null || true; done
    if [ "$code" -eq 0 ]; then rm -rf "$work"; else say "FAILED; everything is in $work"; fi
    exit "$code"
}
trap finish EXIT
[ -x cudatrainer ] || die "./cudatrainer is missing; run make build"

tool() { # NAME: builds a library of tests/faults
    gcc -shared -fPIC -O1 -Wall -Werror -Inative/video "tests/faults/$1.c" -o "$work/$1.so" -ldl -lpthread
    printf '%s' "$work/$1.so"
}

clips() { # FOLDER: a few drawn clips
    ./cudatrainer demo --clips-only --clips 12 --output "$work/clips" >"$work/clips.log" 2>&1 || die "$(cat "$work/clips.log")"
}

many() { # N: so many small files, each another; what they hold is made up by tests/faults/fake_video.c
    mkdir -p "$work/many-$1"
    awk -v n="$1" -v to="$work/many-$1" 'BEGIN { for (i = 0; i < n; i++) {
        folder = to "/" (i % 2 ? "violent" : "nonviolent") "/" int(i / 1000)
        if (i % 1000 < 2) system("mkdir -p " folder)
        file = folder "/" i ".mp4"; printf "%s%x clip %d", i % 2 ? "v" : "n", (i * 2654435761) % 4294967296, i > file; close(file) } }'
}

# The steps that are disturbed, each after what the one before has left in $1.
extract_step() { ./cudatrainer extract --dataset-path "$work/clips/dataset" --stream motion --frames 8 --max-corrupt 0.5 --cache-dir "$1/cache"; }
train_step() {
    ./cudatrainer train --dataset-path "$work/clips/dataset" --stream motion --frames 8 --max-corrupt 0.5 --cache-dir "$1/cache" \
        --model frame-mlp --epochs 2 --batch-size 4 --no-report --checkpoint-dir "$1/run" --resume auto
}
export_step() { ./cudatrainer export --model "$1/run" --onnx "$1/model.onnx" --overwrite; }

payload() { tail -c "+$((9 + $(od -An -tu8 -N8 "$1")))" "$1"; }

same_end() { # FOLDER: holds what the undisturbed steps have left
    cmp "$work/expected/cache/motion/train_features.npy" "$1/cache/motion/train_features.npy" >&2 || die "$2: other features"
    cmp <(payload "$work/expected/run/best_model.safetensors") <(payload "$1/run/best_model.safetensors") >&2 || die "$2: another model"
    cmp "$work/expected/model.onnx" "$1/model.onnx" >&2 || die "$2: another export"
}

undisturbed() { # leaves $work/expected, and the state before each step in $work/before-STEP
    clips
    mkdir "$work/expected"
    for step in extract train export; do
        cp -r "$work/expected" "$work/before-$step"
        "${step}_step" "$work/expected" >"$work/$step.log" 2>&1 || { tail -5 "$work/$step.log" >&2; die "$step failed undisturbed"; }
    done
}

# disturbed STEP FOLDER WHAT [environment…]: the step under a fault, then all steps to the end.
disturbed() {
    local step=$1 folder=$2 what=$3 code=0 later=
    shift 3
    rm -rf "$folder"
    cp -r "$work/before-$step" "$folder"
    (export "$@"; "${step}_step" "$folder") >"$work/fault.log" 2>&1 || code=$?
    [ "$code" -le 1 ] || { tail -5 "$work/fault.log" >&2; die "$what: exit code $code"; }
    ! grep -q 'internal error\|Unhandled exception' "$work/fault.log" || { tail -5 "$work/fault.log" >&2; die "$what: an internal error"; }
    [ "$code" -eq 0 ] || failed=$((failed + 1))
    for later in extract train export; do
        if [ "$later" = "$step" ]; then reached=true; fi
        ! ${reached:-false} || "${later}_step" "$folder" >"$work/again.log" 2>&1 || { tail -5 "$work/again.log" >&2; die "$what: $later does not go on"; }
    done
    unset reached
    same_end "$folder" "$what"
}

serve() { # OPTION…: leaves $server and $address
    address=127.0.0.1:18432
    ./cudatrainer serve --port "${address#*:}" "$@" >"$work/serve.log" 2>&1 &
    server=$!
    started+=("$server")
    for ((i = 0; i < 60; i++)); do grep -q Listening "$work/serve.log" && return || sleep 1; done
    die "$(tail -3 "$work/serve.log")"
}

end_serving() {
    kill -TERM "$server"
    wait "$server" || [ $? -eq 130 ] || die "serve ended with an error: $(tail -3 "$work/serve.log")"
}

case $kind in
    faults)
        every=${2:-1}
        library=$(tool failing_calls)
        undisturbed
        for step in ${3:-extract train export}; do
            rm -rf "$work/count" && cp -r "$work/before-$step" "$work/count"
            (export LD_PRELOAD="$library" FAIL_UNDER="$work/count" FAIL_COUNT="$work/calls"; "${step}_step" "$work/count") >"$work/fault.log" 2>&1
            calls=$(cat "$work/calls") failed=0 tried=0
            for ((k = 1; k <= calls; k += every)); do
                disturbed "$step" "$work/faulty" "$step, call $k" LD_PRELOAD="$library" FAIL_UNDER="$work/faulty" FAIL_AT="$k"
                tried=$((tried + 1))
            done
            say "$step: $calls calls, $tried of them failed one by one, $failed ended the program with an error; each went on to the same end"
        done
        ;;
    full)
        every=${2:-997}
        library=$(tool failing_calls)
        undisturbed
        for step in extract train; do
            bytes=$(du -sb "$work/expected" | cut -f1) failed=0 tried=0
            for ((room = 0; room < bytes; room += every)); do
                disturbed "$step" "$work/faulty" "$step, $room bytes" LD_PRELOAD="$library" FAIL_UNDER="$work/faulty" FULL_AFTER="$room" FAIL_ERRNO=28
                tried=$((tried + 1))
            done
            say "$step: $tried sizes of disk, $failed of them too small; each went on to the same end when there was room"
        done
        ;;
    kills)
        extracting=${2:-60} training=${3:-${2:-60}} exporting=${4:-${3:-${2:-60}}}
        [ "$extracting" -eq 0 ] || scripts/crash-test.sh "$extracting" "$training"
        undisturbed
        missing=0
        for ((i = 1; i <= exporting; i++)); do
            rm -f "$work/expected/model.onnx"
            export_step "$work/expected" >"$work/export.log" 2>&1 &
            started+=($!)
            sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
            pkill -9 -P $! 2>/dev/null || true
            kill -9 $! 2>/dev/null || true
            wait $! 2>/dev/null || true
            [ -e "$work/expected/model.onnx" ] || missing=$((missing + 1))
            cp "$work/expected/model.onnx" "$work/killed.onnx" 2>/dev/null || cp /dev/null "$work/killed.onnx"
            rm -f "$work/expected/model.onnx"
            export_step "$work/expected" >"$work/export.log" 2>&1 || die "export $i does not go on"
            [ ! -s "$work/killed.onnx" ] || cmp "$work/killed.onnx" "$work/expected/model.onnx" >&2 || die "export $i: half a file"
        done
        say "export: $exporting kills, $missing before the file was there; never half a file"
        ;;
    clips)
        count=${2:-100000}
        library=$(tool fake_video)
        for n in $((count / 10)) "$count"; do
            many "$n"
            say "$n clips:"
            CUDATRAINER_VIDEO_LIB=$library ./cudatrainer train --dataset-path "$work/many-$n" --cache-dir "$work/cache-$n" \
                --checkpoint-dir "$work/run-$n" --stream motion --model linear --no-report >"$work/many.log" 2>&1 &
            started+=($!)
            most=0
            while kill -0 $! 2>/dev/null; do
                process=$(pgrep -P $! dotnet || echo $!)
                now=$(awk '/RssAnon/ { print $2 }' "/proc/$process/status" 2>/dev/null || echo 0)
                [ "${now:-0}" -le "$most" ] || most=$now
                sleep 0.5
            done
            wait $! || die "$(tail -5 "$work/many.log")"
            say "$(grep '^time' "$work/many.log")"
            say "$most kB of memory of its own at most (what is mapped from files comes and goes)"
        done
        ;;
    serve)
        clips
        serve --queue 8 --uploads-per-minute 1000000
        python3 tests/faults/serve_clients.py "$address" "$server" "${2:-30}" "$work"/clips/unseen/* || die "$(tail -3 "$work/serve.log")"
        end_serving
        ;;
    order)
        library=$(tool delays)
        for ((i = 1; i <= ${2:-20}; i++)); do
            LD_PRELOAD=$library DELAY_SEED=$i artifacts/bin/Engine.Tests/release/CudaTrainer.Engine.Tests -noLogo -noColor \
                -class '*.BatchLoaderTests' -class '*.HostReplicaTests' -class '*.FeatureCacheTests' -class '*.ClipDecoderTests' \
                -class '*.MultiDeviceExtractorTests' -class '*.VideoFrameReaderTests' >"$work/order.log" 2>&1 \
                || { grep -A9 FAIL "$work/order.log" >&2; die "run $i"; }
            LD_PRELOAD=$library DELAY_SEED=$i artifacts/bin/Kernels.Tests/release/CudaTrainer.Kernels.Tests -noLogo -noColor \
                -class '*.ThreadTeamTests' >"$work/order.log" 2>&1 || { grep -A9 FAIL "$work/order.log" >&2; die "run $i"; }
        done
        say "${2:-20} runs of the tests of what threads hand over, each held up elsewhere: all passed"
        ;;
    soak)
        many 1000
        CUDATRAINER_VIDEO_LIB=$(tool fake_video) ./cudatrainer train --dataset-path "$work/many-1000" --cache-dir "$work/cache" --stream motion \
            --model lstm-attention --epochs 1000000 --early-stopping-patience 0 --batch-size 16 --threads 1 --no-report --quiet \
            --checkpoint-dir "$work/run" >"$work/soak.log" 2>&1 &
        started+=($!)
        soaked=$!
        say "minute, anonymous kB, open files, threads, epochs"
        for ((i = 1; i <= ${2:-120}; i++)); do
            sleep 60
            process=$(pgrep -P "$soaked" dotnet || echo "$soaked")
            epochs=$(wc -l <"$work/run/training_history.csv" 2>/dev/null || echo 1)
            say "$i, $(awk '/RssAnon/ { print $2 }' "/proc/$process/status"), $(ls "/proc/$process/fd" | wc -l), $(ls "/proc/$process/task" | wc -l), $((epochs - 1))"
        done
        ;;
    wall)
        [ -n "${3:-}" ] || clips
        mkfifo "$work/start"
        python3 tests/faults/cameras.py "$work/cameras.csv" <"$work/start" &
        hunter=$!
        started+=("$hunter")
        exec 3>"$work/start"
        for ((i = 0; i < 60; i++)); do [ -s "$work/cameras.csv" ] && break || sleep 1; done
        serve --cameras "$work/cameras.csv" --events "$work/events" --keep-mb 200
        process=$(pgrep -P "$server" dotnet || echo "$server")
        printf '%s\t%s\t%s\t%s\n' "${3:-$(ls "$work"/clips/unseen/* | head -1)}" "$address" "$process" "${2:-60}" >&3
        wait "$hunter" || die "$(tail -3 "$work/serve.log")"
        ! grep -q secret "$work/serve.log" || die "a password was printed"
        end_serving
        ;;
    *) die "$(sed -n 's/^#   //p' "$0")" ;;
esac
