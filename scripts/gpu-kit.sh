#!/usr/bin/env bash
# Makes artifacts/cudatrainer-gpu-kit.tar.xz: program, CUDA tests and GPU benchmarks around one .NET runtime, to be unpacked on a machine with an NVIDIA GPU and run there by
# gpu-check.sh, without network, SDK or this repository. Neither NVIDIA's files nor FFmpeg are in it.
source "$(dirname "$0")/common.sh"

limit_mb=55
kit=artifacts/gpu-kit
archive=artifacts/cudatrainer-gpu-kit.tar.xz

scripts/native.sh
rm -rf "$kit" "$archive"
mkdir -p "$kit/app" "$kit/tests"

# All into one folder: each brings its own assemblies, and the runtime that it shares with the others.
for project in src/Cli tests/Kernels.Tests tests/Engine.Tests bench; do
    say "publishing $project"
    quietly "artifacts/gpu-kit-$(basename "$project").log" dotnet publish "$project" -c Release -r linux-x64 --self-contained -o "$kit/app" -v quiet \
        -p:GpuKit=true -p:RunAnalyzers=false -p:CustomAfterMicrosoftCommonTargets="$root/scripts/gpu-kit.targets"
done
cp -r tests/golden "$kit/tests/golden"

# .NET hashes by OpenSSL and stops without one, which bare containers lack; gpu-check.sh takes these only there.
mkdir "$kit/openssl"
for library in libssl.so.3 libcrypto.so.3; do
    path=$(ldconfig -p | awk -v name="$library" '$1 == name && /x86-64/ { path = $NF } END { print path }')
    [ -n "$path" ] || die "$library is not installed here (Debian: libssl3)"
    cp -L "$path" "$kit/openssl"
done
cp scripts/gpu-check.sh bench/gpu/peer.py "$kit"

say "packing"
tar -C artifacts --sort=name --owner=0 --group=0 --numeric-owner -c gpu-kit | xz -9 >"$archive"
bytes=$(stat -c %s "$archive")
[ "$bytes" -le $((limit_mb * 1000000)) ] || die "$archive has $bytes bytes; $limit_mb MB is the limit"
say "made $archive ($((bytes / 1000000)) MB, $(du -sm "$kit" | cut -f1) MB unpacked); on the machine with the GPU: tar xJf $(basename "$archive") && gpu-kit/gpu-check.sh --quick"
