#!/usr/bin/env bash
# Publishes artifacts/gpu-kit: program, CUDA tests and benchmarks with the .NET runtime, to be copied to a machine with an NVIDIA GPU and
# run there by gpu-check.sh, without network, SDK or this repository.
source "$(dirname "$0")/common.sh"

scripts/native.sh
kit=artifacts/gpu-kit
rm -rf "$kit"
mkdir -p "$kit"
publish() {
    say "publishing $1"
    quietly "artifacts/gpu-kit-$2.log" dotnet publish "$1" -c Release -r linux-x64 --self-contained -o "$kit/$2" -v quiet
}

publish src/Cli cudatrainer
publish tests/Kernels.Tests kernels-tests
publish tests/Engine.Tests engine-tests
publish bench bench
mkdir "$kit/tests"
cp -r tests/golden "$kit/tests/golden"
cp scripts/gpu-check.sh "$kit/gpu-check.sh"
say "made $kit; copy it to the machine with the GPU and run ./gpu-check.sh there"
