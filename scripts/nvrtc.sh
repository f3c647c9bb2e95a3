#!/usr/bin/env bash
# Unpacks NVIDIA's kernel compiler, assembler tools and headers, as Debian packages them in non-free, into artifacts/nvidia:
#   lib/      libnvrtc.so.* and its built-ins      bin/      ptxas, nvdisasm, cuobjdump      include/  cuda.h, nvrtc.h, cublas_v2.h, …
# The system stays as it is: apt runs on lists, cache and sources of its own, nothing is installed. Downloads about 900 MB, keeps 300 MB.
# What is unpacked is NVIDIA's, under the licence in artifacts/nvidia/root/usr/share/doc; it is for use on this machine and never committed.
source "$(dirname "$0")/common.sh"

home=$root/artifacts/nvidia
if [ -e "$home/complete" ]; then
    say "NVIDIA's compiler and headers are in artifacts/nvidia already."
    exit 0
fi

distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${VERSION_CODENAME:-}")
codename=${distribution#debian }
if [ "$distribution" = "$codename" ] || [ -z "$codename" ] || ! command -v apt-get >/dev/null; then
    die "make nvrtc unpacks Debian's packages and needs a Debian release; elsewhere install the CUDA toolkit"
fi
[ "$(dpkg --print-architecture)" = amd64 ] || die "Debian has NVIDIA's compiler for amd64 only"

# The mirror that the system uses, if apt can tell.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' 2>/dev/null |
    awk -v release="$codename" '$2 == release && $3 == "main" { print $1; exit }')
mirror=${mirror:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || die "Debian's keyring is missing: apt-get install debian-archive-keyring"

rm -rf "$home"
mkdir -p "$home"/apt/{lists,cache/archives}/partial "$home/packages" "$home/root"
echo "deb [signed-by=$keyring] $mirror $codename non-free" >"$home/apt/sources.list"
# Read after the system's own configuration, whose hooks are not for this.
cat >"$home/apt/apt.conf" <<CONFIGURATION
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::sourcelist "$home/apt/sources.list";
Dir::Etc::sourceparts "/nonexistent";
Dir::State::Lists "$home/apt/lists";
Dir::Cache "$home/apt/cache";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
CONFIGURATION
apt=(-qq -c "$home/apt/apt.conf")

say "reading the list of Debian's non-free packages ($codename)"
quietly artifacts/nvidia/update.log apt-get "${apt[@]}" update ||
    die "cannot read Debian's package lists; is there a network?"

# Sonames differ between releases; the headers' package names those that belong to it.
mapfile -t libraries < <(apt-cache "${apt[@]}" depends nvidia-cuda-dev | grep -oE 'libnv(rtc|vm)[^ ]*' | sort -u)
[ ${#libraries[@]} -gt 0 ] || die "Debian $codename has no package nvidia-cuda-dev"

# fetch PACKAGE [FOLDER…]: downloads a package, unpacks it, or those of its folders, and drops the download.
fetch() {
    local package=$1 folders=()
    shift
    say "downloading $package ($(apt-cache "${apt[@]}" show "$package" | awk '/^Size:/ { print int($2 / 1e6 + 1); exit }') MB)"
    (cd "$home/packages" && quietly "$home/download.log" apt-get "${apt[@]}" download "$package") || die "cannot download $package"
    if [ $# -eq 0 ]; then
        dpkg -x "$home/packages/$package"_*.deb "$home/root"
    else
        folders=("${@/#/./}")
        dpkg --fsys-tarfile "$home/packages/$package"_*.deb | tar -x -C "$home/root" "${folders[@]}"
    fi
    rm -f "$home/packages/$package"_*.deb
}

for library in "${libraries[@]}"; do
    fetch "$library"
done
fetch nvidia-cuda-toolkit
ln -s root/usr/lib/x86_64-linux-gnu "$home/lib"
ln -s root/usr/bin "$home/bin"
"$home/bin/ptxas" --version | sed -n 's/^Cuda compilation tools, /ptxas of CUDA /p' >&2 || true
# The package is mostly static libraries.
fetch nvidia-cuda-dev usr/include usr/share/doc
ln -s root/usr/include "$home/include"

for file in lib/libnvrtc.so bin/ptxas bin/nvdisasm include/cuda.h include/nvrtc.h include/cublas_v2.h; do
    compgen -G "$home/$file*" >/dev/null || die "Debian's packages have changed: $file is not where it was"
done
rm -rf "$home/packages" "$home/apt"
touch "$home/complete"
say "NVIDIA's compiler, tools and headers are in artifacts/nvidia."
