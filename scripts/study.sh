#!/usr/bin/env bash
# Repeats the study of docs/ablation.md: cross-validations and an ablation on a folder of clips. Everything goes on where it stopped.
#   scripts/study.sh DATASET [OUTPUT]      DATASET: the Surveillance Camera Fight Dataset with a sources.csv, or any other with fight and noFight folders
source "$(dirname "$0")/common.sh"

dataset=$(realpath "${1:?give the folder of clips}")
output=${2:-study}
mkdir -p "$output"
output=$(realpath "$output")
seeds=(7 2026 3 11 31)
networks=(frame-mlp attention-mil simple-lstm)

# study COMMAND NAME OPTIONS…: what it prints is kept, and shown.
study() {
    local command=$1 name=$2
    shift 2
    say "== $name"
    ./cudatrainer "$command" --output "$output/$name" --cache-dir "$output/cache" "$@" | tee "$output/$name.txt"
}

# subset NAME FIGHTS OTHERS: so many clips of each class, spread evenly over the list of their files.
subset() {
    local folder=$output/$1 class kept all i
    [ ! -d "$folder" ] || return 0
    for class in fight noFight; do
        kept=$2
        [ "$class" = fight ] || kept=$3
        mkdir -p "$folder.new/$class"
        mapfile -t all < <(find "$dataset/$class" -type f | LC_ALL=C sort)
        for ((i = 0; i < kept; i++)); do
            cp "${all[$((i * ${#all[@]} / kept))]}" "$folder.new/$class/"
        done
    done
    cp "$dataset/sources.csv" "$folder.new/" 2>/dev/null || true
    mv "$folder.new" "$folder"
}

# divisions NAME OPTIONS…: the same cross-validation of five divisions into folds.
divisions() {
    local name=$1 seed
    shift
    for seed in "${seeds[@]}"; do
        study cv "$name-$seed" --seeds 1 --seed "$seed" "$@"
    done
}

divisions default --dataset-path "$dataset"
for network in "${networks[@]}"; do
    divisions "$network" --dataset-path "$dataset" --model "$network"
done
divisions averaged --dataset-path "$dataset" --model frame-mlp --ema 0.98
divisions original --dataset-path "$dataset" --preset original --stream motion

subset half 60 60
subset quarter 30 30
subset imbalanced 120 34
for size in half quarter imbalanced; do
    divisions "$size-default" --dataset-path "$output/$size"
    divisions "$size-frame-mlp" --dataset-path "$output/$size" --model frame-mlp
    divisions "$size-original" --dataset-path "$output/$size" --preset original --stream motion
done

./cudatrainer demo --clips-only --output "$output/drawn" >/dev/null
divisions drawn-default --dataset-path "$output/drawn/dataset" --max-corrupt 0.5
divisions drawn-frame-mlp --dataset-path "$output/drawn/dataset" --max-corrupt 0.5 --model frame-mlp

study ablate ablation --dataset-path "$dataset" --seed 7

say "== balanced accuracy and area under the ROC curve, means of ${#seeds[@]} divisions"
for name in default "${networks[@]}" averaged original {half,quarter,imbalanced}-{default,frame-mlp,original} drawn-{default,frame-mlp}; do
    cat "$output/$name-"*.txt | awk -v name="$name" '
        /^balanced accuracy/ { sum += $3; n++ }
        /^ROC-AUC/ { auc += $2 }
        END { printf "%-24s %5.1f%%  %.3f  (%d)\n", name, sum / n, auc / n, n }'
done | tee "$output/summary.txt"
