#!/usr/bin/env bash
# Makes sure that what the build needs is there: the .NET 10 SDK, a C compiler, CMake, pkg-config and FFmpeg's libraries.
# Installs Debian packages as root or with sudo; otherwise names them. Does nothing when nothing is missing.
source "$(dirname "$0")/common.sh"

command -v dotnet >/dev/null || die "the .NET 10 SDK is missing: https://dotnet.microsoft.com/download/dotnet/10.0"
dotnet --version >/dev/null 2>&1 || die "the .NET SDK here is too old; .NET 10 is needed ($(dotnet --list-sdks | tr '\n' ' '))"

missing=()
command -v c++ >/dev/null && command -v cc >/dev/null || missing+=(g++)
command -v cmake >/dev/null || missing+=(cmake)
if command -v pkg-config >/dev/null; then
    for library in libavformat libavcodec libswscale libavutil; do
        pkg-config --exists "$library" || missing+=("$library-dev")
    done
else
    missing+=(pkg-config libavformat-dev libavcodec-dev libswscale-dev libavutil-dev)
fi

[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    die "missing: ${missing[*]} (Debian's names); install them with this system's package manager"
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
    command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; } ||
        die "missing packages; run as root: apt-get install ${missing[*]}"
fi

say "installing Debian packages: ${missing[*]}"
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

# A fresh machine has no package lists yet, an old one stale lists.
mkdir -p artifacts
{ "${as_root[@]}" apt-get update || true; } >artifacts/apt-update.log 2>&1
quietly artifacts/apt-install.log install || die "cannot install; run as root: apt-get install ${missing[*]}"
say "installed."
