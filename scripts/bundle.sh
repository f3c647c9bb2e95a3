#!/usr/bin/env bash
# Makes the model that comes with the program, src/Training/Bundled/motion.safetensors, from the Surveillance Camera Fight
# Dataset with its sources.csv.
#   scripts/bundle.sh DATASET
source "$(dirname "$0")/common.sh"

dataset=$(realpath "${1:?give the folder of clips}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
./cudatrainer cv --dataset-path "$dataset" --stream motion --model linear --threshold half --seeds 1 \
    --output "$work/cv" --cache-dir "$work/cache" --model-output src/Training/Bundled/motion.safetensors --overwrite
