#!/usr/bin/env bash
# Kills extraction and training at random moments, resumes them and compares the results bit for bit with undisturbed runs;
# also 1 and 2 threads, SIGINT and SIGTERM. Needs the built ./cudatrainer.
#   scripts/crash-test.sh [N [M]]   N kills of extraction (20) and M of training (N) that hit a running program
# The random moments follow from CRASH_SEED, which is printed.
source "$(dirname "$0")/common.sh"

rounds=${1:-20}
training_rounds=${2:-$rounds}
[[ $rounds =~ ^[1-9][0-9]*$ && $training_rounds =~ ^[1-9][0-9]*$ ]] || die "expected numbers of kills, found \"$*\""
[ -x cudatrainer ] || die "./cudatrainer is missing; run make build"

seed=${CRASH_SEED:-$RANDOM}
RANDOM=$seed
work=$(mktemp -d "${TMPDIR:-/tmp}/cudatrainer-crash.XXXXXX")
running=
finish() {
    local code=$?
    [ -z "$running" ] || kill -9 "$running" 2>/dev/null || true
    if [ "$code" -eq 0 ]; then rm -rf "$work"; else say "FAILED (CRASH_SEED=$seed); everything is in $work"; fi
    exit "$code"
}
trap finish EXIT
say "seed $seed"

now() { echo $(($(date +%s%N) / 1000000)); }
seconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }
random_below() { echo $(((RANDOM * 32768 + RANDOM) % $1)); }

extract() { # CACHE [options]: becomes the program
    local cache=$1
    shift
    exec env --default-signal=INT ./cudatrainer extract --dataset-path "$work/clips/dataset" --frames 12 --max-corrupt 0.5 \
        --cache-dir "$cache" "$@"
}

train() { # RUN [options]: becomes the program. Extraction is done by then, so the time goes into training.
    local run=$1
    shift
    exec env --default-signal=INT ./cudatrainer train --dataset-path "$work/clips/dataset" --preset original --frames 12 --max-corrupt 0.5 \
        --cache-dir "$work/cache-a" --checkpoint-dir "$run" --batch-size 2 --epochs 16 --warmup-epochs 2 \
        --early-stopping-patience 0 --checkpoint-every 3 --keep-checkpoints 2 --log-every-steps 1 "$@"
}

# undisturbed LOG COMMAND…: runs to the end; leaves its milliseconds in $took.
undisturbed() {
    local log=$1 start
    shift
    start=$(now)
    ("$@") >"$log" 2>&1 || { tail -5 "$log" >&2; die "$* failed undisturbed"; }
    took=$(($(now) - start))
}

# disturbed SIGNAL MILLISECONDS LOG COMMAND…: sends the signal after that time; leaves the exit code in $code.
disturbed() {
    local signal=$1 delay=$2 log=$3
    shift 3
    ("$@") >>"$log" 2>&1 &
    running=$!
    sleep "$(seconds "$delay")"
    kill -s "$signal" "$running" 2>/dev/null || true
    code=0
    { wait "$running" || code=$?; } 2>/dev/null
    running=
    # Too late: the machine is faster now than when the time was taken.
    [ "$code" -ne 0 ] || limit=$((limit * 3 / 4 + 100))
}

# payload FILE: the tensors of a safetensors file without its header, whose metadata holds wall times.
payload() { tail -c "+$((9 + $(od -An -tu8 -N8 "$1")))" "$1"; }

same_cache() {
    # The index of content hashes remembers only files that were not just written: it depends on when it was made.
    diff -r --exclude=content_hashes.txt "$1" "$2" >&2 || die "$3: the cache differs from the undisturbed one"
}

same_run() { # RUN EXPECTED WHAT
    local file
    for file in best_model.safetensors last.ckpt checkpoint_epoch_012.ckpt checkpoint_epoch_015.ckpt; do
        cmp <(payload "$1/$file") <(payload "$2/$file") >&2 || die "$3: the tensors of $file differ from the undisturbed run's"
    done
    cmp "$1/best_model.h5" "$2/best_model.h5" >&2 || die "$3: best_model.h5 differs from the undisturbed run's"
    # Everything but the wall times.
    cmp <(cut -d, -f1,4- "$1/training_history.csv") <(cut -d, -f1,4- "$2/training_history.csv") >&2 || die "$3: training_history.csv differs"
    cmp <(cut -d, -f1,2,4- "$1/training_steps.csv") <(cut -d, -f1,2,4- "$2/training_steps.csv") >&2 || die "$3: training_steps.csv differs"
    [ "$(find "$1" -name 'checkpoint_epoch_*' | wc -l)" -eq 2 ] || die "$3: numbered checkpoints were not pruned"
    [ -z "$(find "$1" -name '*.tmp')" ] || die "$3: temporary files are left"
}

./cudatrainer demo --clips-only --clips 12 --output "$work/clips" >"$work/clips.log" 2>&1 || die "$(cat "$work/clips.log")"

# --- extraction ---
undisturbed "$work/extract.log" extract "$work/cache-a"
say "extraction, undisturbed: $took ms"
limit=$took hit=0 resumed=0
for ((i = 1; hit < rounds; i++)); do
    cache="$work/cache-b" log="$work/extract-$i.log"
    rm -rf "$cache"
    disturbed KILL "$(random_below "$limit")" "$log" extract "$cache"
    [ "$code" -ne 137 ] || hit=$((hit + 1))
    undisturbed "$log.resumed" extract "$cache"
    ! grep -q 'was interrupted after' "$log.resumed" || resumed=$((resumed + 1))
    same_cache "$cache" "$work/cache-a" "extraction, kill $i"
done
say "extraction: $hit of $((i - 1)) runs killed in time, $resumed continued from extracted clips; every cache is identical"

rm -rf "$work/cache-b"
undisturbed "$work/extract-threads.log" extract "$work/cache-b" --threads 1 --workers 1
same_cache "$work/cache-b" "$work/cache-a" "extraction with 1 thread"
say "extraction with 1 thread: identical"

# --- training ---
undisturbed "$work/train.log" train "$work/run-a" --threads 2
say "training, undisturbed: $took ms"
limit=$took hit=0 kills=0
for ((i = 1; hit < training_rounds; i++)); do
    run="$work/run-b" log="$work/train-$i.log"
    rm -rf "$run"
    # Killed once or twice, then resumed to the end.
    for ((kill_again = 1; kill_again; )); do
        disturbed KILL "$(random_below "$limit")" "$log" train "$run" --threads 2 --resume auto
        kills=$((kills + 1))
        [ "$code" -ne 137 ] || hit=$((hit + 1))
        kill_again=$(random_below 2)
    done
    undisturbed "$log.resumed" train "$run" --threads 2 --resume auto
    same_run "$run" "$work/run-a" "training, kill $i"
done
say "training: $((i - 1)) runs, $kills kills, $hit of them in time; every run ends with identical tensors"

undisturbed "$work/train-threads.log" train "$work/run-c" --threads 1
same_run "$work/run-c" "$work/run-a" "training with 1 thread"
say "training with 1 thread: identical"

# --- signals ---
middle=0 stopped=0
for ((i = 1; stopped < 6 || middle == 0; i++)); do
    [ "$i" -le 30 ] || die "of $i signals $stopped stopped a run, $middle in the middle of an epoch"
    signal=$([ $((i % 2)) -eq 0 ] && echo INT || echo TERM)
    run="$work/run-d" log="$work/signal-$i.log"
    rm -rf "$run"
    disturbed "$signal" $((limit / 3 + $(random_below $((limit * 2 / 3))))) "$log" train "$run" --threads 2
    case $code in
        0) ;; # it had finished
        130)
            stopped=$((stopped + 1))
            if [ -f "$run/last.ckpt" ] && ! grep -aq 'step_in_epoch[^0-9]*0[^0-9]' "$run/last.ckpt"; then
                middle=$((middle + 1))
            fi
            ;;
        143) ;; # SIGTERM before the program listened for signals
        *) tail -5 "$log" >&2 && die "SIG$signal: exit code $code, expected 130" ;;
    esac
    undisturbed "$log.resumed" train "$run" --threads 2 --resume auto
    same_run "$run" "$work/run-a" "training, SIG$signal $i"
done
say "signals: $stopped of $((i - 1)) runs stopped with exit code 130, $middle in the middle of an epoch; every run ends with identical tensors"
