#!/bin/sh
# Everything that wants a real NVIDIA GPU, in one run with one report: doctor, the CUDA tests, gradient checks, kernel and step
# benchmarks, short trainings. Lies in the folder that `make gpu-kit` publishes; needs neither network nor SDK.
#   ./gpu-check.sh [REPORT.md]      exit code 0 only if every part passed
# GPU_CHECK_SMOKE=1 uses small sizes and fewer tests, as on the simulator, where CUDATRAINER_CUDA_SIMULATOR is set.
here=$(cd "$(dirname "$0")" && pwd)
report=${1:-gpu-report.md}
case $report in /*) ;; *) report=$PWD/$report ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
[ -n "$CUDATRAINER_CUDA_SIMULATOR" ] || export CUDATRAINER_TEST_GPU=1
export DOTNET_CLI_TELEMETRY_OPTOUT=1
smoke=
[ "$GPU_CHECK_SMOKE" != 1 ] || smoke=--smoke

# part TITLE SECONDS COMMAND…: runs it under a time limit and puts what it said into the report; later parts run all the same.
part() {
    title=$1 limit=$2
    shift 2
    printf '%s … ' "$title" >&2
    timeout "$limit" "$@" >"$work/out" 2>&1
    code=$?
    verdict=ok
    if [ "$code" -eq 124 ]; then verdict="TIMED OUT after $limit s"; elif [ "$code" -ne 0 ]; then verdict="FAILED ($code)"; fi
    [ "$code" -eq 0 ] || failed=$((failed + 1))
    printf '%s\n' "$verdict" >&2
    printf -- '- %s: %s\n' "$title" "$verdict" >>"$work/summary"
    { printf '\n## %s: %s\n\n`%s`\n\n```\n' "$title" "$verdict" "$(printf '%s ' "$@" | sed "s|$here/||g; s|$work/||g")"; tail -n 400 "$work/out"; printf '```\n'; } >>"$work/parts"
}

# A run whose CUDA tests were skipped has tested nothing.
tests() {
    "$@" -noLogo -noColor >"$work/tests" 2>&1
    code=$?
    grep -E 'FAIL|SKIP|Total:|Shouldly|Exception' "$work/tests" | tail -n 200
    [ "$code" -eq 0 ] || return "$code"
    total=$(sed -n 's/.*Total: \([0-9]*\).*Skipped: \([0-9]*\).*/\1 \2/p' "$work/tests" | tail -1)
    [ "${total% *}" -gt 0 ] && [ "${total#* }" -lt "${total% *}" ] || { echo "no CUDA test ran: all were skipped"; return 1; }
}

if [ "$1" = --tests ]; then
    shift
    work=$(mktemp -d)
    tests "$@"
    exit
fi

if [ -z "$CUDATRAINER_CUDA_SIMULATOR" ]; then
    part "nvidia-smi" 60 nvidia-smi
fi
part "doctor" 120 "$here/cudatrainer/cudatrainer" doctor
part "gradient checks" 600 "$here/cudatrainer/cudatrainer" gradcheck --device cuda
if [ -n "$smoke" ]; then
    part "op tests" 900 "$here/gpu-check.sh" --tests "$here/engine-tests/CudaTrainer.Engine.Tests" -class CudaTrainer.Engine.Tests.Cuda.CudaGradientTests
else
    part "op, step and training tests" 3600 "$here/gpu-check.sh" --tests "$here/engine-tests/CudaTrainer.Engine.Tests" -namespace CudaTrainer.Engine.Tests.Cuda
    part "kernel and binding tests" 3600 "$here/gpu-check.sh" --tests "$here/kernels-tests/CudaTrainer.Kernels.Tests" -class 'CudaTrainer.Kernels.Tests.Cuda*'
fi
part "benchmarks" 1800 "$here/bench/CudaTrainer.Bench" gpu $smoke

cd "$work" || exit 1
part "clips to train on" 300 "$here/cudatrainer/cudatrainer" demo --clips-only --clips 12 --output demo
train() { part "training, $1" 1200 "$here/cudatrainer/cudatrainer" train --dataset-path demo/dataset --device cuda --max-corrupt 0.5 --frames 1 --epochs 3 --batch-size 4 --cache-dir "cache-$2" --checkpoint-dir "run-$2" $3; }
train "fp16 as a graph" fp16 ""
train "fp32" fp32 --no-mixed-precision
train "op by op" eager --no-xla

{
    printf '# GPU check of CudaTrainer\n\n%s, %s, %s\n\n' "$(date -u '+%Y-%m-%d %H:%M UTC')" "$(uname -srm)" "$("$here/cudatrainer/cudatrainer" --version 2>/dev/null)"
    [ -z "$CUDATRAINER_CUDA_SIMULATOR" ] || printf '**SIMULATED: no GPU was used, and no time below means anything.**\n\n'
    cat "$work/summary" "$work/parts"
} >"$report"
printf 'wrote %s\n' "$report" >&2
[ "$failed" -eq 0 ]
