#!/usr/bin/env bash
# Measures how far models carry over (docs/datasets.md): models are trained on some sources and judged on clips of the others, as they are and
# altered as cameras, networks and programs alter them. With a second data set also from one to the other. Goes on where it stopped.
#   scripts/carry-over.sh DATASET OUTPUT [SECOND]      DATASET: class folders with a sources.csv; needs ffmpeg and python3
source "$(dirname "$0")/common.sh"

dataset=$(realpath "${1:?give the folder of clips}")
mkdir -p "${2:?give a folder for everything that is made}"
output=$(realpath "$2")
second=${3:+$(realpath "$3")}
program=${CUDATRAINER:-./cudatrainer}
recipe=(--stream motion --model linear --threshold half --cache-dir "$output/cache")
folds=5

# Name and filters; all but the first are encoded well, so that what is measured is the change, not the encoder.
versions=(
    "recompressed|null|40"
    "encoded-again|null|18"
    "mirrored|hflip|18"
    "cropped|crop=trunc(iw*0.35)*2:trunc(ih*0.35)*2|18"
    "smaller|scale=trunc(iw/4)*2:trunc(ih/4)*2|18"
    "darker|lutyuv=y=16+(val-16)*0.4|18"
    "brighter|lutyuv=y=min(235\,16+(val-16)*1.8)|18"
    "noisy|noise=alls=25:allf=t|18"
    "half-rate|fps=12.5|18"
)

# encode DATASET FOLDER CLIP VERSION…: all versions of one clip, which is decoded once.
encode() {
    local dataset=$1 folder=$2 clip=$3 version name filter crf outputs=()
    shift 3
    for version in "$@"; do
        IFS='|' read -r name filter crf <<<"$version"
        mkdir -p "$folder/$name/$(dirname "$clip")"
        outputs+=(-an -vf "$filter" -c:v libx264 -preset ultrafast -crf "$crf" -threads 1 -pix_fmt yuv420p "$folder/$name/${clip%.*}.mp4")
    done
    ffmpeg -nostdin -v error -y -threads 1 -i "$dataset/$clip" "${outputs[@]}"
}
export -f encode

if [ ! -d "$output/versions" ]; then
    say "== altered clips"
    rm -rf "$output/versions.new"
    (cd "$dataset" && find -L . -mindepth 2 -type f ! -name '.*' -printf '%P\0') \
        | xargs -0 -P "$(nproc)" -I CLIP bash -c 'encode "$@"' encode "$dataset" "$output/versions.new" CLIP "${versions[@]}"
    ln -sfn "$dataset" "$output/versions.new/original"
    mv "$output/versions.new" "$output/versions"
fi

# The division of the sources is that of a cross-validation, which is also what to compare with.
$program cv --dataset-path "$dataset" "${recipe[@]}" --folds $folds --seeds 1 --output "$output/cv" | tee "$output/cv.txt"
for ((fold = 1; fold <= folds; fold++)); do
    python3 scripts/carry_over.py divide "$output" "$dataset" "$fold"
    [ -f "$output/run-$fold/best_model.safetensors" ] || $program train --dataset-path "$output/fold-$fold" "${recipe[@]}" \
        --split 0.85,0.15,0 --no-report --checkpoint-dir "$output/run-$fold" --overwrite >"$output/run-$fold.txt"
    [ -f "$output/answers-$fold.csv" ] || {
        say "== answers of fold $fold"
        $program predict "$output/held-$fold" --checkpoint "$output/run-$fold" --csv >"$output/answers.part"
        mv "$output/answers.part" "$output/answers-$fold.csv"
    }
done
python3 scripts/carry_over.py table "$output" "$dataset" | tee "$output/altered.md"

if [ -n "$second" ]; then
    $program cv --dataset-path "$second" "${recipe[@]}" --folds $folds --seeds 1 --output "$output/cv-second" | tee "$output/cv-second.txt"
    both=(--dataset-path "$dataset" --dataset-path "$second" "${recipe[@]}" --seeds 1)
    $program cv "${both[@]}" --folds $folds --output "$output/cv-both" | tee "$output/cv-both.txt"
    $program cv "${both[@]}" --leave-one-dataset-out --output "$output/across" | tee "$output/across.txt"
fi
