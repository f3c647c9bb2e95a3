#!/usr/bin/env bash
# Makes the NuGet packages of the libraries and of the command line, and prints their sizes.
#   scripts/pack.sh [FOLDER [VERSION]]   into artifacts/packages, with the version of Directory.Build.props, unless given
source "$(dirname "$0")/common.sh"

packages=${1:-artifacts/packages}
version=${2:-$(sed -n 's/.*<Version>\(.*\)<\/Version>.*/\1/p' Directory.Build.props)}
limit_mb=40

scripts/native.sh
for library in hdf5 mpi video; do
    [ -e "artifacts/native/libcudatrainer_$library.so" ] || die "artifacts/native lacks libcudatrainer_$library.so: run 'make setup' first"
done

rm -rf "$packages"
mkdir -p "$packages"
say "packing $version"
for project in Kernels Formats Engine Data Training Serve Synthetic OnnxRuntime Cli; do
    quietly artifacts/pack.log dotnet pack "src/$project" -c Release -o "$packages" -p:PackageVersion="$version" -p:RunAnalyzers=false -v quiet
done
