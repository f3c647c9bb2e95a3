#!/usr/bin/env bash
# Makes the model that comes with the program, src/Training/Bundled/motion.safetensors, from the Surveillance Camera Fight
# Dataset with its sources.csv. Needs ffmpeg and python3.
#   scripts/bundle.sh DATASET
source "$(dirname "$0")/common.sh"

dataset=$(realpath "${1:?give the folder of clips}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 scripts/quiet.py "$dataset" noFight "$work/clips"
./cudatrainer cv --dataset-path "$work/clips" --uncounted '*/quiet-*' --stream motion --model linear --threshold half --seeds 1 \
    --output "$work/cv" --cache-dir "$work/cache" --model-output src/Training/Bundled/motion.safetensors --overwrite
