#!/usr/bin/env bash
# Makes the pictures in docs/images anew from the demo's data: the terminal while it trains, and the report of that run. Needs chromium and python3-pyte (Debian).
source "$(dirname "$0")/common.sh"

for tool in chromium script; do
    command -v "$tool" >/dev/null || die "$tool is not installed (Debian: chromium, bsdutils)"
done
/usr/bin/python3 -c 'import pyte' 2>/dev/null || die "pyte is not installed (Debian: python3-pyte)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/images

# picture PAGE WIDTH HEIGHT NAME
picture() {
    chromium --headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$work/profile" --window-size="$2,$3" --screenshot="$root/docs/images/$4" "file://$1" >"$work/chromium.log" 2>&1 || { cat "$work/chromium.log" >&2; die "chromium failed"; }
    say "docs/images/$4"
}

say "running the demo"
(cd "$work" && "$root/cudatrainer" demo) >"$work/demo.log" 2>&1 || { tail -20 "$work/demo.log" >&2; die "the demo failed"; }

say "recording a training"
cat >"$work/session.sh" <<SESSION
stty cols 112 rows 33
cd "$work/demo"
"$root/cudatrainer" train --dataset-path dataset --stream rgb --model simple-lstm --cache-dir feature_cache \
    --checkpoint-dir run --frames 3 --epochs 30 --batch-size 16 --no-use-focal-loss --dropout 0.2
SESSION
TERM=xterm-256color script -q --log-out "$work/session.out" --log-timing "$work/session.time" -c "sh $work/session.sh" >/dev/null
/usr/bin/python3 scripts/terminal_picture.py "$work/session.out" "$work/session.time" 112 33 'epoch [12][0-9]/30 loss' >"$work/terminal.html"
picture "$work/terminal.html" 1060 705 terminal.png
picture "$work/demo/checkpoints/report.html" 1000 2130 report.png
