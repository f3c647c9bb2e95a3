#!/usr/bin/env bash
# Times the kernels: every benchmark of bench/, or those named.
source "$(dirname "$0")/common.sh"

[ $# -gt 0 ] || set -- gemm vgg
for benchmark in "$@"; do
    say "== $benchmark"
    dotnet run -c Release --project bench -- "$benchmark"
done
