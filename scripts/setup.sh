#!/usr/bin/env bash
# Makes sure that what the build needs is there: the .NET 10 SDK, a C compiler, CMake, pkg-config and FFmpeg's libraries; and, for
# training across processes, an MPI, and for reading Keras files HDF5, without which the rest is built all the same.
#   --tests   also Chromium, for the tests of the pages, and zsh, fish and groff, for those of completion and of the manual page
#   --fuzz    also clang and the ffmpeg program, to hunt in the shim around FFmpeg
#   --onnx-gpu   nothing but ONNX Runtime with CUDA: its NuGet package, for ONNX backbones on --device cuda
#   --resnet18   nothing but the backbone resnet18: its NuGet package (64 MB), for --backbone resnet18
# Installs Debian packages as root or with sudo; otherwise names them. Does nothing when nothing is missing.
source "$(dirname "$0")/common.sh"

command -v dotnet >/dev/null || die "the .NET 10 SDK is missing: https://dotnet.microsoft.com/download/dotnet/10.0"
dotnet --version >/dev/null 2>&1 || die "the .NET SDK here is too old; .NET 10 is needed ($(dotnet --list-sdks | tr '\n' ' '))"

# Restores the NuGet package $package of $version below $work/packages.
restore() {
    cat >"$work/fetch.csproj" <<PROJECT
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><TargetFramework>net10.0</TargetFramework><RestorePackagesPath>$work/packages</RestorePackagesPath></PropertyGroup>
  <ItemGroup><PackageDownload Include="$package" Version="[$version]" /></ItemGroup>
</Project>
PROJECT
    say "restoring $package $version"
    dotnet restore "$work/fetch.csproj" -v q || die "the package cannot be restored; is the NuGet registry within reach?"
}

if [ "${1:-}" = --onnx-gpu ]; then
    package=Microsoft.ML.OnnxRuntime.Gpu.Linux version=1.31.0
    folder="${CUDATRAINER_ONNXRUNTIME:-${XDG_CACHE_HOME:-$HOME/.cache}/cudatrainer/onnxruntime-gpu}"
    if [ "$(cat "$folder/version" 2>/dev/null)" = "$version" ]; then
        say "'$folder' has it already"
        exit 0
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    restore
    mkdir -p "$folder"
    for library in onnxruntime onnxruntime_providers_shared onnxruntime_providers_cuda; do
        cp "$work/packages/${package,,}/$version/runtimes/linux-x64/native/lib$library.so" "$folder/"
    done
    echo "$version" >"$folder/version"
    say "'$folder' is there: ONNX backbones run on --device cuda, with CUDA and cuDNN of this machine"
    exit 0
fi

if [ "${1:-}" = --resnet18 ]; then
    package=Microsoft.ML.DnnImageFeaturizer.ResNet18 version=0.23.1
    sum=e2552f19db2dfdb01b3669537b6a0f1b44da38d18279535492ed5dfc2ef1ff8f
    folder="${CUDATRAINER_BACKBONES:-${XDG_CACHE_HOME:-$HOME/.cache}/cudatrainer/backbones}"
    if echo "$sum  $folder/resnet18.onnx" | sha256sum --check --status 2>/dev/null; then
        say "'$folder/resnet18.onnx' is there already"
        exit 0
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    restore
    mkdir -p "$folder"
    cp "$work/packages/${package,,}/$version/tools/DnnImageModels/ResNet18Onnx/ResNet18.onnx" "$folder/resnet18.onnx.new"
    echo "$sum  $folder/resnet18.onnx.new" | sha256sum --check --status || die "'$folder/resnet18.onnx.new' is not the file expected"
    mv "$folder/resnet18.onnx.new" "$folder/resnet18.onnx"
    say "'$folder/resnet18.onnx' is there: --backbone resnet18 uses it"
    exit 0
fi

missing=()
command -v c++ >/dev/null && command -v cc >/dev/null || missing+=(g++)
command -v cmake >/dev/null || missing+=(cmake)
command -v make >/dev/null || missing+=(make)
if command -v pkg-config >/dev/null; then
    for library in libavformat libavcodec libswscale libavutil; do
        pkg-config --exists "$library" || missing+=("$library-dev")
    done
else
    missing+=(pkg-config libavformat-dev libavcodec-dev libswscale-dev libavutil-dev)
fi

optional=()
command -v mpicc >/dev/null && command -v mpirun >/dev/null || optional=(openmpi-bin libopenmpi-dev)
pkg-config --exists hdf5-serial 2>/dev/null || pkg-config --exists hdf5 2>/dev/null || optional+=(libhdf5-dev)
if [ "${1:-}" = --tests ]; then
    for program in chromium zsh fish; do
        command -v "$program" >/dev/null || optional+=("$program")
    done
    command -v groff >/dev/null || optional+=(groff-base)
fi
if [ "${1:-}" = --fuzz ]; then
    command -v clang >/dev/null || optional+=(clang libclang-rt-dev)
    command -v ffmpeg >/dev/null || optional+=(ffmpeg)
fi

# Packages that nothing else needs are no reason to stop.
stop() {
    [ ${#missing[@]} -gt 0 ] && die "$1"
    say "without training across processes, reading Keras files, tests of pages and shells or the hunt in the shim: $1"
    exit 0
}

wanted=("${missing[@]}" "${optional[@]}")
[ ${#wanted[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    stop "missing: ${wanted[*]} (Debian's names); install them with this system's package manager"
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
    command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; } ||
        stop "missing packages; run as root: apt-get install ${wanted[*]}"
fi

say "installing Debian packages: ${wanted[*]}"
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${wanted[@]}"
}

# A fresh machine has no package lists yet, an old one stale lists.
mkdir -p artifacts
{ "${as_root[@]}" apt-get update || true; } >artifacts/apt-update.log 2>&1
quietly artifacts/apt-install.log install || stop "cannot install; run as root: apt-get install ${wanted[*]}"
say "installed."
