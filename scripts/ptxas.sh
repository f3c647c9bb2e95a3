#!/usr/bin/env bash
# Unpacks NVIDIA's assembler and headers, as Debian packages them in non-free, into artifacts/nvidia:
#   bin/      ptxas, nvdisasm, cuobjdump      include/  cuda.h, cublas_v2.h, …
# The system stays as it is: apt runs on lists, cache and sources of its own, nothing is installed. Downloads about 860 MB, keeps 85 MB.
# What is unpacked is NVIDIA's, under the licence in artifacts/nvidia/root/usr/share/doc; it is for use on this machine and never committed.
source "$(dirname "$0")/common.sh"

home=$root/artifacts/nvidia
if [ -e "$home/complete" ]; then
    say "NVIDIA's assembler and headers are in artifacts/nvidia already."
    exit 0
fi

distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${VERSION_CODENAME:-}")
codename=${distribution#debian }
if [ "$distribution" = "$codename" ] || [ -z "$codename" ] || ! command -v apt-get >/dev/null; then
    die "make ptxas unpacks Debian's packages and needs a Debian release; elsewhere install the CUDA toolkit"
fi
[ "$(dpkg --print-architecture)" = amd64 ] || die "Debian has NVIDIA's assembler for amd64 only"

# The mirror that the system's own sources name for this release.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' 2>/dev/null |
    awk -v release="$codename" '$2 == release && $3 == "main" && !mirror { mirror = $1 } END { print mirror }')
[ -n "$mirror" ] || die "apt's sources name no mirror of Debian $codename main: add one to /etc/apt/sources.list.d (see sources.list(5)) and run make ptxas again"
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

# fetch PACKAGE PATH…: downloads a package, unpacks these of its files and folders, and drops the download.
fetch() {
    local package=$1
    shift
    local size
    size=$(apt-cache "${apt[@]}" show "$package" 2>/dev/null | awk '/^Size:/ { size = int($2 / 1e6 + 1) } END { print size }')
    [ -n "$size" ] || die "Debian $codename has no package $package"
    say "downloading $package ($size MB)"
    (cd "$home/packages" && quietly "$home/download.log" apt-get "${apt[@]}" download "$package") || die "cannot download $package"
    dpkg --fsys-tarfile "$home/packages/$package"_*.deb | tar -x -C "$home/root" "${@/#/./}"
    rm -f "$home/packages/$package"_*.deb
}

fetch nvidia-cuda-toolkit usr/bin/ptxas usr/bin/nvdisasm usr/bin/cuobjdump usr/share/doc
ln -s root/usr/bin "$home/bin"
"$home/bin/ptxas" --version | sed -n 's/^Cuda compilation tools, /ptxas of CUDA /p' >&2 || true
# The package is mostly static libraries.
fetch nvidia-cuda-dev usr/include usr/share/doc
ln -s root/usr/include "$home/include"

for file in bin/ptxas bin/nvdisasm bin/cuobjdump include/cuda.h include/cublas_v2.h; do
    [ -e "$home/$file" ] || die "Debian's packages have changed: $file is not where it was"
done
rm -rf "$home/packages" "$home/apt"
touch "$home/complete"
say "NVIDIA's assembler and headers are in artifacts/nvidia."
