#!/usr/bin/env bash
# Builds and runs every test project. The last line is "N passed, N failed"; the exit code is 0 only if nothing failed.
#   --all   also the slow tests, the kernels and the engine at every SIMD level that this machine has, NVIDIA's assembler and headers if `make ptxas` got them, two hosts (network namespaces), the examples in docs/custom-ops.md and docs/custom-kernels.md, the service's unit, the packages with the samples, and the format check
source "$(dirname "$0")/common.sh"

all=false
[ "${1:-}" != --all ] || all=true
results=artifacts/test-results
passed=0 failed=0 skipped=0

finish() {
    [ "$skipped" -eq 0 ] || say "$skipped skipped: what they need is not installed here (see $results)"
    printf '%s\n' "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && exit 0
    exit 1
}

fail() {
    say "FAILED: $1"
    failed=$((failed + 1))
}

# Sums an attribute over the <assembly> elements of a result file.
total() { sed -n "s/.*<assembly [^>]*[ ]$2=\"\([0-9]*\)\".*/\1/p" "$1" | awk '{ sum += $1 } END { print sum + 0 }'; }

# The file of a run's results; its output and exit code lie beside it.
report_of() { printf '%s' "$results/$2-${1//[^a-z0-9]/-}.xml"; }

# execute LABEL PROJECT [runner options…]: runs one project and leaves its report, log and exit code.
execute() {
    local label=$1 project=$2 report code=0
    shift 2
    report=$(report_of "$label" "$project")
    say "testing $project ($label)"
    rm -f "$report"
    "artifacts/bin/$project/release/CudaTrainer.$project" -noLogo -noColor -reporter verbose -result-xml "$report" "$@" >"${report%.xml}.log" 2>&1 || code=$?
    printf '%s' "$code" >"${report%.xml}.code"
}

# tally LABEL PROJECT: adds up what execute left.
tally() {
    local label=$1 project=$2 report code failures errors
    report=$(report_of "$label" "$project")
    code=$(cat "${report%.xml}.code")
    if ! grep -q '</assemblies>' "$report" 2>/dev/null; then
        said "${report%.xml}.log" | tail -40 >&2
        fail "$project ended without a report (exit code $code): the test process crashed"
        return
    fi

    # A project that suddenly has no tests is broken; only slow tests may be none.
    if [ "$(total "$report" total)" -eq 0 ] && [ "$label" != slow ]; then
        fail "$project ran no tests"
    fi

    failures=$(total "$report" failed)
    errors=$(total "$report" errors)
    passed=$((passed + $(total "$report" passed)))
    skipped=$((skipped + $(total "$report" skipped)))
    failed=$((failed + failures + errors))
    if [ $((failures + errors)) -gt 0 ]; then
        said "${report%.xml}.log" | tail -200 >&2
    elif [ "$code" -ne 0 ]; then
        said "${report%.xml}.log" | tail -40 >&2
        fail "$project passed its tests but ended with exit code $code"
    fi
}

# What a log holds besides the beginning and end of each test.
said() { grep -vE '^ *$|\[(STARTING|FINISHED)\]' "$1" || true; }

# progress LABEL: says now and then how many tests each project has behind it.
progress() {
    local project log line
    while sleep 20; do
        line=
        for project in "${projects[@]}"; do
            log=$(report_of "$1" "$project")
            log=${log%.xml}.log
            [ ! -e "$log" ] || line+="  $project $(grep -c '\[FINISHED\]' "$log" || true)"
        done
        say "$line tests done"
    done
}

# slowest LABEL: the twenty slowest tests of a run, in seconds.
slowest() {
    cat "$results/"*"-$1.xml" | grep -o '<test [^>]*' | sed -E 's/.* name="([^"]*)".* time="([0-9.]*)" time-rtf.*/\2 \1/' |
        sort -rn | sed -n 1,20p >"$results/slowest-$1.txt"
}

run() {
    execute "$@"
    tally "$1" "$2"
}

# run_all LABEL [runner options…]: every project. Simulated GPUs keep one core busy and programs that are started wait now and then, so
# that the engine's tests, the longest, run beside the others'.
run_all() {
    local label=$1 project reporting
    shift
    rm -f "$results/"*"-$label".{xml,log,code}
    progress "$label" &
    reporting=$!
    execute "$label" Engine.Tests "$@" &
    for project in "${projects[@]}"; do
        [ "$project" = Engine.Tests ] || execute "$label" "$project" "$@"
    done

    wait $!
    for project in "${projects[@]}"; do
        tally "$label" "$project"
    done

    kill "$reporting" 2>/dev/null || true
    slowest "$label"
}

mkdir -p "$results"
scripts/setup.sh --tests
scripts/native.sh || { fail "the native build"; finish; }
say "building"
quietly artifacts/build.log dotnet build CudaTrainer.sln -c Release -v quiet || { fail "the build"; finish; }

# The CUDA simulator tests itself first: what runs on it can be trusted only as far as it can.
say "testing the CUDA simulator"
report=$results/cudasim.log
timeout 300 artifacts/cudasim/selftest >"$report" 2>&1 &
selftest=$!

say "compiling the tests ahead of time"
scripts/precompile.sh artifacts/bin/{Cli,Engine,Kernels}.Tests/release artifacts/bin/Mpi.Program/release \
    || fail "compiling the tests ahead of time"

say "checking the layout of the code"
quietly artifacts/layout.log dotnet format whitespace . --folder --verify-no-changes --include src tests bench samples \
    || fail "the layout of the code (make format mends it)"

code=0
wait "$selftest" || code=$?
counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$report" | tail -1)
if [ -z "$counts" ]; then
    tail -40 "$report" >&2
    fail "the simulator's tests ended without a count (exit code $code)"
else
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
    if [ "$code" -ne 0 ]; then
        tail -40 "$report" >&2
        [ "${counts#* }" -gt 0 ] || fail "the simulator's tests passed but ended with exit code $code"
    fi
fi

projects=()
for folder in tests/*.Tests; do
    projects+=("$(basename "$folder")")
done

run_all default -trait- Category=Slow

if $all; then
    run_all slow -trait Category=Slow

    # What computes with vectors, once more at the widths that the default run has not used.
    # What else doctor may find wrong does not matter here.
    used=$(dotnet artifacts/bin/Cli/release/cudatrainer.dll doctor --json || true)
    for level in v128 v256 v512; do
        report=$(CUDATRAINER_SIMD=$level dotnet artifacts/bin/Cli/release/cudatrainer.dll doctor --json || true)
        if grep -q "in force: $level" <<<"$used"; then
            continue
        elif ! grep -q "in force: $level" <<<"$report"; then
            say "this machine has no $level"
            continue
        fi

        for project in Kernels.Tests Engine.Tests; do
            CUDATRAINER_SIMD=$level run "$level" "$project" -trait- Category=Slow -class- '*.Cuda*'
        done
    done

    # Blocks, or threads between barriers, that touch the same bytes are found only where they are looked for.
    CUDASIM_RACES=1 CUDASIM_REPORT=1 run races Kernels.Tests -class '*.Cuda*' -trait- Category=Slow

    if [ -e artifacts/nvidia/complete ]; then
        scripts/nvidia-check.sh || fail "what NVIDIA's assembler and headers say"
        CUDATRAINER_CUDA_SIMULATOR=$root/artifacts/cudasim-nvidia run nvidia-headers Kernels.Tests -class '*.Cuda*'
    else
        say "NVIDIA's assembler is not here (make ptxas gets it): kernels and simulator were not checked against it"
    fi

    say "the GPU check, on the simulator"
    if scripts/gpu-kit.sh; then
        # As on the machine it is for: from the archive.
        rm -rf artifacts/gpu-kit-unpacked && mkdir artifacts/gpu-kit-unpacked && tar -C artifacts/gpu-kit-unpacked -xJf artifacts/cudatrainer-gpu-kit.tar.xz
        check=artifacts/gpu-kit-unpacked/gpu-kit/gpu-check.sh
        export GPU_CHECK_SMOKE=1
        for form in quick long; do
            options=()
            [ $form = long ] || options=(--quick)
            CUDATRAINER_CUDA_SIMULATOR=$root/artifacts/cudasim $check "${options[@]}" artifacts/gpu-report-$form.md || fail "gpu-check.sh, $form, on the simulator (artifacts/gpu-report-$form.md)"
            grep -q SIMULATED artifacts/gpu-report-$form.md || fail "gpu-check.sh, $form, does not say that it was SIMULATED"
        done
        if CUDATRAINER_LIBCUDA=/nowhere/libcuda.so.1 $check --quick artifacts/gpu-report-none.md; then
            fail "gpu-check.sh passes without a GPU"
        fi
        unset GPU_CHECK_SMOKE
    else
        fail "the GPU kit"
    fi

    scripts/two-hosts.sh || fail "ranks on two hosts"

    say "checking the guide to custom ops"
    scripts/check-guide.sh || fail "the examples of ops of one's own"

    say "the service"
    scripts/check-service.sh || fail "what systemd says of packaging/cudatrainer.service"

    say "the packages and the samples"
    scripts/samples.sh || fail "the samples of docs/library.md"

    say "checking the format"
    quietly artifacts/format.log dotnet format CudaTrainer.sln --verify-no-changes || fail "dotnet format (make format mends it)"
fi

finish
