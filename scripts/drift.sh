#!/usr/bin/env bash
# Measures drift alarms (docs/drift.md): models are trained on some sources and watch clips of the others, as they are and altered as
# cameras and networks alter them. Each source is a camera, whose few clips are repeated until there are enough windows. Goes on where it
# stopped; on one core it takes hours.
#   scripts/drift.sh DATASET OUTPUT        DATASET: class folders with a sources.csv; needs ffmpeg and python3
source "$(dirname "$0")/common.sh"

dataset=$(realpath "${1:?give the folder of clips}")
mkdir -p "${2:?give a folder for everything that is made}"
output=$(realpath "$2")
program=${CUDATRAINER:-./cudatrainer}
folds=5

# Name, filters and quality; all but the last two are encoded well, so that what is measured is the change, not the encoder.
versions=(
    "encoded again|null|18"
    "darker, 40 %|lutyuv=y=16+(val-16)*0.4|18"
    "darker, 15 %|lutyuv=y=16+(val-16)*0.15|18"
    "brighter, 180 %|lutyuv=y=min(235\,16+(val-16)*1.8)|18"
    "blurred, 72 rows|scale=-2:72,scale=-2:360|18"
    "blurred, 36 rows|scale=-2:36,scale=-2:360|18"
    "noise of 25|noise=alls=25:allf=t|18"
    "noise of 60|noise=alls=60:allf=t|18"
    "12.5 frames a second|fps=12.5|18"
    "5 frames a second|fps=5|18"
    "compressed, crf 40|null|40"
    "compressed, crf 51|null|51"
)

python3 scripts/drift.py divide "$output" "$dataset" $folds
if [ ! -f "$output/altered" ]; then
    say "== altered clips"
    while read -r clip; do
        outputs=()
        for version in "${versions[@]}"; do
            IFS='|' read -r name filter crf <<<"$version"
            mkdir -p "$output/versions/$name/$(dirname "$clip")"
            outputs+=(-an -vf "scale=-2:'min(360,ih)',$filter" -c:v libx264 -preset ultrafast -crf "$crf" -threads 1 -pix_fmt yuv420p
                "$output/versions/$name/${clip%.*}.mp4")
        done
        ffmpeg -nostdin -v error -y -threads 1 -i "$dataset/$clip" "${outputs[@]}"
    done <"$output/clips.txt"
    ln -sfn "$dataset" "$output/versions/as they are"
    touch "$output/altered"
fi

python3 scripts/drift.py cameras "$output"
for ((fold = 1; fold <= folds; fold++)); do
    [ -f "$output/run-$fold/best_model.safetensors" ] || $program train --dataset-path "$output/fold-$fold" --stream motion --model linear \
        --threshold half --split 0.85,0.15,0 --no-report --cache-dir "$output/cache" --checkpoint-dir "$output/run-$fold" --overwrite \
        >"$output/run-$fold.txt"
    for cameras in "$output/cameras-$fold"/*; do
        report="$output/report-$fold-$(basename "$cameras").json"
        [ -f "$report" ] || {
            $program drift "$cameras"/* --checkpoint "$output/run-$fold" --json >"$output/report.part"
            mv "$output/report.part" "$report"
        }
    done
done
python3 scripts/drift.py table "$output" | tee "$output/drift.md"
