#!/usr/bin/env bash
# Repeats the study of docs/ablation.md: cross-validations, ablations and the time of an epoch, on a folder of clips. Everything goes on where it stopped.
#   scripts/study.sh DATASET [OUTPUT]      DATASET: the Surveillance Camera Fight Dataset with a sources.csv, or any other with fight and noFight folders
source "$(dirname "$0")/common.sh"

dataset=$(realpath "${1:?give the folder of clips}")
output=${2:-study}
mkdir -p "$output"
output=$(realpath "$output")
cache=$output/cache
seeds=(7 2026 3 11 31)
recipe=(--model frame-mlp --epochs 60 --batch-size 32 --dropout 0.3 --no-use-focal-loss --monitor val_loss --early-stopping-patience 0 --threshold half)

# study COMMAND NAME OPTIONS…: what it prints is kept, and shown.
study() {
    local command=$1 name=$2
    shift 2
    say "== $name"
    ./cudatrainer "$command" --output "$output/$name" --cache-dir "$cache" "$@" | tee "$output/$name.txt"
}

# The class shares of the system that this one replaces: 78 % fights.
imbalanced() {
    local folder=$output/imbalanced all
    [ ! -d "$folder" ] || return 0
    mkdir -p "$folder.new/noFight"
    cp -r "$dataset/fight" "$folder.new/fight"
    cp "$dataset/sources.csv" "$folder.new/" 2>/dev/null || true
    mapfile -t all < <(find "$dataset/noFight" -type f | LC_ALL=C sort)
    local kept=$(($(find "$folder.new/fight" -type f | wc -l) * 22 / 78 + 1)) i
    for ((i = 0; i < kept; i++)); do
        cp "${all[$((i * ${#all[@]} / kept))]}" "$folder.new/noFight/"
    done
    mv "$folder.new" "$folder"
}

for seed in "${seeds[@]}"; do
    for stream in both motion; do
        study cv "cv-$stream-$seed" --dataset-path "$dataset" --stream "$stream" --seed "$seed" "${recipe[@]}"
    done
    study cv "cv-late-$seed" --dataset-path "$dataset" --stream both --fusion late --seed "$seed" "${recipe[@]}"
    study cv "cv-ema-$seed" --dataset-path "$dataset" --stream motion --ema 0.98 --seed "$seed" "${recipe[@]}"
done

study ablate ablation-motion --dataset-path "$dataset" --stream motion --model frame-mlp --epochs 60 --batch-size 32 --dropout 0.3 --monitor val_loss --early-stopping-patience 0 --threshold half --seed 7
study ablate ablation-rgb --dataset-path "$dataset" --seeds 1 --epochs 30 --threshold half --seed 7

imbalanced
for seed in "${seeds[@]}"; do
    for preset in baseline optimized; do
        study cv "imbalanced-$preset-$seed" --dataset-path "$output/imbalanced" --preset "$preset" --stream motion --model frame-mlp --epochs 60 --batch-size 32 --dropout 0.3 --monitor val_loss \
            --early-stopping-patience 0 --threshold half --seed "$seed"
    done
done

if /usr/bin/python3 -c 'import torch, cv2' 2>/dev/null; then
    say "== an epoch beside PyTorch"
    ./cudatrainer extract --dataset-path "$dataset" --cache-dir "$cache" --quiet
    bench/compare/naive_epoch.py ./cudatrainer "$dataset" "$cache" | tee "$output/epoch.txt"
else
    say "the time of an epoch is left out: python3-torch and python3-opencv are not installed"
fi
