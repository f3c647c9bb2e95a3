#!/usr/bin/env bash
# Builds bench/ and runs it. Without arguments everything, half an hour on a machine that has nothing else to do: every kernel at every SIMD level, then the comparison with other
# engines; the tables go to bench/results/. BENCH_DATASET names a folder of real clips for the part that starts from clips; without it clips are drawn.
# Otherwise a command of bench and its arguments, such as
#   scripts/bench.sh kernels conv     kernels with "conv" in their names
#   scripts/bench.sh speed            the table of goals, half an hour; with clips of BENCH_DATASET
#   scripts/bench.sh compare vgg      one section of the comparison
#   scripts/bench.sh scaling          all-reduces and replicas, by mpirun where it is installed
#   scripts/bench.sh layers 2         the VGG19 pass by two threads, layer by layer
# CUDATRAINER_SIMD=v128, v256 or v512 chooses the SIMD level.
source "$(dirname "$0")/common.sh"

quietly artifacts/logs/bench-build.log dotnet build -c Release bench
bench() { dotnet artifacts/bin/Bench/release/CudaTrainer.Bench.dll "$@"; }

if [ $# -gt 0 ]; then
    [[ "$1" != compare && "$1" != speed ]] || scripts/peers.sh
    bench "$@"
    exit
fi

scripts/peers.sh
mkdir -p bench/results
for level in v512 v256 v128; do
    say "== kernels at $level"
    if CUDATRAINER_SIMD=$level bench kernels >artifacts/kernels.md; then
        awk -v level="$level" '
            BEGIN { print "# Kernels at SIMD level " level "\n\n```" }
            /^\|/ && !table { table = 1; print "```\n" }
            table || NF' artifacts/kernels.md >"bench/results/kernels-$level.md"
    else
        say "no table for $level"
    fi
done
bench compare ${BENCH_DATASET:+--dataset "$BENCH_DATASET"}
