#!/bin/sh
# Everything that wants a real NVIDIA GPU, in one run with one report that is written as the run goes. Lies in the folder that `make gpu-kit` packs; needs neither network nor SDK.
#   ./gpu-check.sh [--quick] [REPORT.md]      the same numbers for programs go to REPORT.json; exit code 0 only if every section passed
# --quick ends within six minutes: what we know least first. Without it all tests run and some models are trained as well.
# GPU_CHECK_SMOKE=1 uses small sizes and fewer tests, as on the simulator, where CUDATRAINER_CUDA_SIMULATOR is set.
here=$(cd "$(dirname "$0")" && pwd)
app=$here/app
began=$(date +%s)

# A run whose CUDA tests were skipped has tested nothing.
if [ "$1" = --tests ]; then
    shift
    log=$(mktemp)
    "$@" -noLogo -noColor >"$log" 2>&1
    code=$?
    counts=$(sed -n 's/.*Total: \([0-9]*\).*Skipped: \([0-9]*\).*/\1 \2/p' "$log" | tail -1)
    if [ -z "$counts" ]; then
        tail -n 60 "$log"
        echo "the tests ended without a count (exit code $code)"
        code=1
    else
        grep -E 'FAIL|SKIP|Total:|Shouldly|Exception' "$log" | tail -n 200
        if [ "${counts#* }" -ge "${counts% *}" ]; then
            echo "no CUDA test ran: all were skipped"
            code=1
        fi
    fi
    rm -f "$log"
    exit "$code"
fi

# What doctor finds wrong with video, HDF5 or MPI does not matter here; a GPU does.
if [ "$1" = --doctor ]; then
    log=$(mktemp)
    "$app/cudatrainer" doctor >"$log" 2>&1
    cat "$log"
    if grep -q '^OK *cuda:0 ' "$log" && ! grep '^FAIL ' "$log" | grep -Evq '^FAIL *(video|hdf5|MPI) '; then code=0; else code=1; fi
    rm -f "$log"
    exit "$code"
fi

quick=
if [ "$1" = --quick ]; then
    quick=--quick
    shift
fi
smoke=
[ "$GPU_CHECK_SMOKE" != 1 ] || smoke=--smoke
report=${1:-gpu-report.md}
case $report in /*) ;; *) report=$PWD/$report ;; esac
json=${report%.md}.json
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
: >"$work/summary"
: >"$work/parts"
: >"$work/sections"
failed=0

# Seconds for everything; what is late is not begun. The simulator's times mean nothing.
budget=1000000
[ -z "$quick" ] || [ -n "$smoke" ] || budget=345

export DOTNET_CLI_TELEMETRY_OPTOUT=1
if [ -z "$CUDATRAINER_CUDA_SIMULATOR" ]; then
    # The first section times what comes after an empty cache, ours and the driver's.
    export CUDATRAINER_TEST_GPU=1 CUDATRAINER_KERNEL_CACHE="$work/kernels" CUDA_CACHE_PATH="$work/driver-cache"

    # What pip installed beside python3: CUDA's libraries where the system has none.
    folders=$(python3 -c 'import glob, os, sys; print(":".join(f for p in sys.path if p for f in sorted(glob.glob(os.path.join(p, "nvidia", "*", "lib")))))' 2>/dev/null)
    [ -z "$folders" ] || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folders"
fi

# .NET needs OpenSSL: ours where the system has none.
if ! PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -q 'libssl\.so'; then
    export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$here/openssl"
fi

header() {
    printf '# GPU check of CudaTrainer\n\n%s, %s, %s%s\n\n' "$(date -u '+%Y-%m-%d %H:%M UTC')" "$(uname -srm)" "$version" "${quick:+, quick}"
    [ -z "$CUDATRAINER_CUDA_SIMULATOR" ] || printf '**SIMULATED: no GPU was used, and no time below means anything.**\n\n'
}

# Whole files under their names at any time, whenever the machine is taken away.
write_report() {
    { header; cat "$work/summary"; printf -- '- %s after %s s\n' "$1" "$(($(date +%s) - began))"; cat "$work/parts"; } >"$report.new" && mv "$report.new" "$report"
    {
        printf '{"version":"%s","date":"%s","quick":%s,"simulated":%s,"state":"%s","failed":%s,"seconds":%s,"sections":[\n' "$version" "$(date -u '+%Y-%m-%dT%H:%M:%SZ')" \
            "$([ -n "$quick" ] && echo true || echo false)" "$([ -n "$CUDATRAINER_CUDA_SIMULATOR" ] && echo true || echo false)" "$1" "$failed" "$(($(date +%s) - began))"
        cat "$work/sections"
        printf ']}\n'
    } >"$json.new" && mv "$json.new" "$json"
}

# The last lines of a file as the inside of a JSON string.
json_text() { tail -n 20 "$1" | tr -d '\000-\010\013-\037' | sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g' | awk '{ printf "%s%s", separator, $0; separator = "\\n" }'; }

# section NAME TITLE SECONDS COMMAND…: runs it under its time limit and what is left of the whole, and puts what it said into the report; later sections run all the same. The command may leave numbers in
# $work/NAME.json.
section() {
    name=$1 title=$2 limit=$3
    shift 3
    left=$((budget - $(date +%s) + began))
    [ "$limit" -le "$left" ] || limit=$left
    printf '%s … ' "$title" >&2
    start=$(date +%s)
    if [ "$limit" -lt 3 ]; then
        code=1 verdict="NOT RUN: no time left"
        : >"$work/out"
    else
        timeout -k 5 "$limit" "$@" >"$work/out" 2>&1
        code=$?
        verdict=ok
        case $code in
            0) ;;
            124 | 137) verdict="TIMED OUT after $limit s" ;;
            *) verdict="FAILED ($code)" ;;
        esac
    fi
    took=$(($(date +%s) - start))
    [ "$code" -eq 0 ] || failed=$((failed + 1))
    printf '%s, %s s\n' "$verdict" "$took" >&2
    printf -- '- %s: %s, %s s\n' "$title" "$verdict" "$took" >>"$work/summary"
    { printf '\n## %s: %s, %s s\n\n`%s`\n\n' "$title" "$verdict" "$took" "$(printf '%s ' "$@" | sed "s|$here/||g; s|$work/||g")"; } >>"$work/parts"

    # Tables are shown as tables, everything else as it was said.
    if grep -q '^|---' "$work/out"; then
        sed 's/^#/###/' "$work/out" >>"$work/parts"
    else
        { printf '```\n'; tail -n 400 "$work/out"; printf '```\n'; } >>"$work/parts"
    fi
    [ ! -s "$work/sections" ] || printf ',\n' >>"$work/sections"
    {
        printf '{"name":"%s","title":"%s","verdict":"%s","seconds":%s' "$name" "$title" "$verdict" "$took"
        [ "$code" -eq 0 ] || printf ',"said":"%s"' "$(json_text "$work/out")"
        [ ! -s "$work/$name.json" ] || { printf ',"data":'; cat "$work/$name.json"; }
        printf '}'
    } >>"$work/sections"
    write_report running
}

note() {
    printf -- '- %s\n' "$1" >>"$work/summary"
    printf '%s\n' "$1" >&2
}

measure() { section "$1" "$2" "$3" "$app/CudaTrainer.Bench" gpu "$1" $quick $smoke --peer "$here/peer.py" --json "$work/$1.json"; }

version=$("$app/cudatrainer" --version 2>/dev/null)
write_report running
[ -n "$CUDATRAINER_CUDA_SIMULATOR" ] || section machine "nvidia-smi" 20 nvidia-smi
section doctor "doctor" 30 "$here/gpu-check.sh" --doctor
if [ -n "$quick" ] && [ -z "$smoke" ]; then l=75 g=60 t=90 o=60 s=120 v=90; else l=600 g=600 t=900 o=1200 s=1200 v=1200; fi
measure loads "kernels: loading, registers" $l
section gradients "gradient checks, fp32 and fp16" $g "$app/cudatrainer" gradcheck --device cuda
if [ -n "$smoke" ]; then
    section op-tests "op tests, fp32 and fp16" $t "$here/gpu-check.sh" --tests "$app/CudaTrainer.Kernels.Tests" -class 'CudaTrainer.Kernels.Tests.CudaElementwiseTests'
else
    set -- -class 'CudaTrainer.Kernels.Tests.CudaElementwiseTests'
    for tests in ActivationDropout BatchNorm Image Loss Optimizer Recurrent; do
        set -- "$@" -class "CudaTrainer.Kernels.Tests.Cuda${tests}Tests"
    done
    section op-tests "op tests, fp32 and fp16" $t "$here/gpu-check.sh" --tests "$app/CudaTrainer.Kernels.Tests" "$@"
fi
measure ops "ops against their bounds" $o
measure steps "training step, beside PyTorch" $s
measure vgg "VGG19, beside PyTorch" $v

if [ -z "$quick" ]; then
    if [ -n "$smoke" ]; then
        section engine-tests "op, step and training tests" 900 "$here/gpu-check.sh" --tests "$app/CudaTrainer.Engine.Tests" -class CudaTrainer.Engine.Tests.Cuda.CudaGradientTests
    else
        section engine-tests "op, step and training tests" 3600 "$here/gpu-check.sh" --tests "$app/CudaTrainer.Engine.Tests" -namespace CudaTrainer.Engine.Tests.Cuda
        section kernel-tests "kernel and binding tests" 3600 "$here/gpu-check.sh" --tests "$app/CudaTrainer.Kernels.Tests" -class 'CudaTrainer.Kernels.Tests.Cuda*' -class CudaTrainer.Kernels.Tests.GpuMathTests
    fi

    cd "$work" || exit 1
    section features "features to train on" 300 "$app/CudaTrainer.Bench" features features $smoke
    train() { section "train-$1" "training, $2" 1200 "$app/cudatrainer" train $3 --device cuda --epochs 3 --checkpoint-dir "run-$1" $4; }
    train fp16 "fp16 as a graph" "--features-dir features"
    train fp32 "fp32" "--features-dir features" --no-mixed-precision
    train eager "op by op" "--features-dir features" --no-xla
    if "$app/cudatrainer" demo --clips-only --clips 12 --output demo >"$work/demo.log" 2>&1; then
        train clips "from clips" \
            "--dataset-path demo/dataset --preset original --max-corrupt 0.5 --frames 1 --batch-size 4 --cache-dir cache"
    else
        note "training, from clips: not run, since FFmpeg of the release that the kit was built with is not here"
    fi
fi

write_report "ended"
printf 'wrote %s and %s\n' "$report" "$json" >&2
[ "$failed" -eq 0 ]
