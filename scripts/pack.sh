#!/usr/bin/env bash
# Makes the NuGet packages of the libraries and of the command line, and prints their sizes.
#   scripts/pack.sh [FOLDER [VERSION]]   into artifacts/packages, with the version of Directory.Build.props, unless given
source "$(dirname "$0")/common.sh"

packages=${1:-artifacts/packages}
version=${2:-$(sed -n 's/.*<Version>\(.*\)<\/Version>.*/\1/p' Directory.Build.props)}

scripts/native.sh
for library in hdf5 mpi video; do
    [ -e "artifacts/native/libcudatrainer_$library.so" ] || die "artifacts/native lacks libcudatrainer_$library.so: run 'make setup' first"
done

rm -rf "$packages"
mkdir -p "$packages"
say "packing $version"
for project in Kernels Formats Engine Data Training Live Serve Synthetic OnnxRuntime Cli; do
    quietly artifacts/pack.log dotnet pack "src/$project" -c Release -o "$packages" -p:PackageVersion="$version" -p:RunAnalyzers=false -v quiet
done

# What NuGet has unpacked of an earlier package of this version it would take in place of the new one.
rm -rf "${NUGET_PACKAGES:-$HOME/.nuget/packages}"/cudatrainer*/"$version"

# require PACKAGE FILE…: the package has files with these names, which stand in it as they are.
require() {
    local package=$packages/$1.$version.nupkg file
    shift
    for file; do
        grep -aqE "$file" "$package" || die "$package lacks $file"
    done
}

for library in Kernels Formats Engine Data Training Live Serve Synthetic OnnxRuntime; do
    require "CudaTrainer.$library" "lib/net10.0/CudaTrainer.$library.dll" "lib/net10.0/CudaTrainer.$library.xml" README.md
done
natives=(libcudatrainer_hdf5.so libcudatrainer_kernels.so libcudatrainer_mpi.so libcudatrainer_video.so)
require CudaTrainer.Formats "${natives[@]/#/runtimes/linux-[a-z0-9]*/native/}"
require CudaTrainer.Training bundled/motion.safetensors buildTransitive/CudaTrainer.Training.targets
require cudatrainer "${natives[@]}" bundled/motion.safetensors libSkiaSharp.so libonnxruntime.so

# Twice of what they are: more would be something that does not belong there, such as the libraries of other systems.
for package in "$packages"/*.nupkg; do
    limit=2
    [ "$(basename "$package" ".$version.nupkg")" != cudatrainer ] || limit=40
    kilobytes=$(($(stat -c %s "$package") / 1000))
    printf '%8d kB  %s\n' "$kilobytes" "$(basename "$package")"
    [ "$kilobytes" -le $((limit * 1000)) ] || die "$package is larger than $limit MB: something is in it that does not belong there"
done
