#!/usr/bin/env bash
# Builds bench/ and runs it. Without arguments: every kernel, checked and timed (2 to 3 minutes). Otherwise a command of bench and its arguments, such as
#   scripts/bench.sh kernels conv     kernels with "conv" in their names
#   scripts/bench.sh layers 2         the VGG19 pass by two threads, layer by layer
# CUDATRAINER_SIMD=v128, v256 or v512 chooses the SIMD level.
source "$(dirname "$0")/common.sh"

[ $# -gt 0 ] || set -- kernels
exec dotnet run -c Release --project bench -- "$@"
