#!/usr/bin/env bash
# Installs the engines that bench/compare measures against: PyTorch, OpenCV, OpenBLAS and matplotlib (for the plot) from Debian, ONNX Runtime from npm. Whatever cannot be had is skipped there with its reason.
source "$(dirname "$0")/common.sh"

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

missing=()
for package in python3-torch python3-numpy python3-opencv python3-matplotlib libopenblas0-pthread; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq || true
    for package in "${missing[@]}"; do
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null || say "could not install $package"
    done
fi

mkdir -p artifacts/peers
if [ ! -d artifacts/peers/node_modules/onnxruntime-node ]; then
    say "installing onnxruntime-node"
    # Its install script only fetches CUDA libraries.
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix artifacts/peers onnxruntime-node@1 || say "could not install onnxruntime-node"
fi
