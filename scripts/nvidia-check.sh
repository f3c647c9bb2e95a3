#!/usr/bin/env bash
# What NVIDIA's own tools can tell without a GPU; needs what `make ptxas` unpacks into artifacts/nvidia.
#   1. The simulator compiles against NVIDIA's cuda.h and cublas_v2.h, so that every prototype of ours is theirs, and passes its tests; test.sh runs the tests of the bindings on it,
#      so that every constant in C# is theirs too.
#   2. Every kernel assembles for every architecture, without spills or local memory, and has 16-byte accesses where it had some; the table goes to bench/results/cuda-kernels.md.
source "$(dirname "$0")/common.sh"

nvidia=$root/artifacts/nvidia
[ -e "$nvidia/complete" ] || die "NVIDIA's tools are not here: make ptxas"

build_against_headers() {
    cmake -S native -B artifacts/cudasim-nvidia-build -DCMAKE_BUILD_TYPE=Release \
        -DCUDASIM_NVIDIA_INCLUDE="$nvidia/include" -DCUDASIM_OUTPUT="$root/artifacts/cudasim-nvidia" &&
        cmake --build artifacts/cudasim-nvidia-build --target cudasim_selftest
}

say "compiling the simulator against NVIDIA's headers"
quietly artifacts/cudasim-nvidia.log build_against_headers
quietly artifacts/cudasim-nvidia-selftest.log timeout 300 artifacts/cudasim-nvidia/selftest

say "assembling the kernels"
quietly artifacts/bench-build.log dotnet build bench -c Release -v quiet
quietly artifacts/cuda-kernels.log env -u CUDATRAINER_CUDA_SIMULATOR \
    dotnet artifacts/bin/Bench/release/CudaTrainer.Bench.dll ptxas "$nvidia/bin" bench/results/cuda-kernels.md
tail -1 artifacts/cuda-kernels.log >&2
