#!/usr/bin/env bash
# Hunts in every reader of files and uploads with inputs changed at random, guided by the branches that they take.
#   MINUTES=N            for so long altogether (10), divided evenly; the shim around FFmpeg gets a third
#   scripts/fuzz.sh [TARGET…]   only these; "video" is the shim
#   FUZZ_EXECUTIONS=N    at most so many executions of each target
#   FUZZ_SEED=N          random numbers (1): the same give the same inputs
# Prints for each target how many inputs were tried, how many of them led somewhere new, and what was found. Ends with 1 on findings,
# which lie in artifacts/fuzz/findings, reduced. What leads somewhere new is kept in artifacts/fuzz/corpus for the next hunt.
source "$(dirname "$0")/common.sh"

minutes=${MINUTES:-10}
seed=${FUZZ_SEED:-1}
executions=${FUZZ_EXECUTIONS:-1000000000}
output=artifacts/fuzz
[[ $minutes =~ ^[1-9][0-9]*$ ]] || die "MINUTES is \"$minutes\"; expected a number of minutes"

prepare_managed() {
    scripts/native.sh
    say "building the readers with counters of their branches"
    quietly artifacts/fuzz-build.log dotnet build tests/Fuzzer -c Release -p:RunAnalyzers=false -v quiet
    rm -rf $output/bin
    mkdir -p $output
    cp -r artifacts/bin/Fuzzer/release $output/bin
    quietly artifacts/fuzz-instrument.log dotnet $output/bin/CudaTrainer.Fuzzer.dll instrument $output/bin
}

# A few frames of every codec in every usual container: small, so that many inputs are tried.
make_videos() {
    local folder=$1 made=0 format codec container options
    mkdir -p "$folder"
    while read -r container codec options; do
        format="$folder/${codec//[^a-z0-9]/}.$container"
        [ ! -s "$format" ] || continue
        # shellcheck disable=SC2086
        ffmpeg -v error -nostdin -f lavfi -i testsrc2=size=48x32:rate=5:duration=1.2 -c:v "$codec" $options -y "$format" 2>/dev/null || rm -f "$format"
    done <<'LIST'
mp4 libx264 -g 3 -pix_fmt yuv420p
mkv libx264 -g 3 -bf 1
ts libx264 -g 3 -bf 0
flv libx264 -g 3
mov libx264 -g 3 -movflags faststart
mp4 libx265 -g 3 -x265-params log-level=none
mkv libx265 -g 3 -x265-params log-level=none
mpg mpeg2video -g 3
ts mpeg2video -g 3
mkv mpeg2video -g 3
avi mpeg4 -g 3
mp4 mpeg4 -g 3
mov mpeg4 -g 3
webm libvpx -g 3
mkv libvpx -g 3
webm libvpx-vp9 -g 3
mp4 libvpx-vp9 -g 3
avi mjpeg -q:v 9
mov mjpeg -q:v 9
mkv ffv1 -g 3
avi ffv1 -g 3
wmv wmv2 -g 3
avi wmv2 -g 3
flv flv -g 3
ogv libtheora -g 3
mov svq1 -g 3
avi cinepak -g 3
gif gif -pix_fmt rgb8
mp4 libaom-av1 -cpu-used 8 -g 3 -row-mt 0
mkv libaom-av1 -cpu-used 8 -g 3 -row-mt 0
webm libaom-av1 -cpu-used 8 -g 3 -row-mt 0
avi huffyuv -g 3
mkv huffyuv -g 3
LIST
    made=$(find "$folder" -type f | wc -l)
    say "$made small videos to begin with"
}

prepare_video() {
    command -v clang >/dev/null || die "clang is missing (Debian: clang libclang-rt-dev), which hunts in the shim around FFmpeg"
    local flags
    flags=$(pkg-config --cflags --libs libavformat libavcodec libswscale libavutil)
    # FFmpeg itself is the system's: only the shim is guarded and counted.
    # shellcheck disable=SC2086
    quietly artifacts/fuzz-video.log clang -g -O1 -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
        -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Inative/video \
        tests/Fuzzer/video/video_fuzzer.c $(ls native/video/*.c) $flags -lm -o $output/video-fuzzer
    make_videos $output/video-seeds
}

# hunt_video SECONDS: libFuzzer once more after each input that ended it, until the time is over.
hunt_video() {
    local seconds=$1 end=$((SECONDS + $1)) begin=$SECONDS done_now tried=0 new=0 found=0 round=0 folder=$output/findings/video log=$output/video.log
    mkdir -p "$folder" $output/corpus/video
    while [ $SECONDS -lt $end ] && [ "$tried" -lt "$executions" ]; do
        round=$((round + 1))
        # Every seed stays in play: what is not counted, FFmpeg, is what they differ in.
        ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 $output/video-fuzzer -max_total_time=$((end - SECONDS)) -seed=$((seed + round)) \
            -runs=$((executions - tried)) -keep_seed=1 -max_len=60000 -timeout=30 -rss_limit_mb=2048 -malloc_limit_mb=1024 -print_final_stats=1 \
            -artifact_prefix="$folder/" $output/corpus/video $output/video-seeds tests/fuzz/video >"$log" 2>&1 || {
            found=$((found + 1))
            grep -E "SUMMARY|ERROR|broke its contract" "$log" | sed 's/^/video: /' >&2
            sed -n 's/^.*Test unit written to \(.*\)$/video: \1/p' "$log" >&2
            cp "$log" "$folder/round-$round.log"
        }
        done_now=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        [ -n "$done_now" ] || done_now=$(sed -n 's/^#\([0-9]*\).*/\1/p' "$log" | tail -1)
        tried=$((tried + ${done_now:-0}))
        new=$((new + $(sed -n 's/^stat::new_units_added: *//p' "$log" | tail -1 | grep . || echo 0)))
        [ -n "$done_now" ] || break
    done
    printf '%-14s %10d executions %6d new inputs %6s branches %4d findings %7d s\n' video "$tried" "$new" \
        "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)" "$found" $((SECONDS - begin))
    [ "$found" -eq 0 ]
}

mkdir -p $output
# What an earlier hunt found is kept once more; what is still there will be found again.
rm -rf $output/findings-before
[ ! -e $output/findings ] || mv $output/findings $output/findings-before
prepare_managed
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(dotnet $output/bin/CudaTrainer.Fuzzer.dll list)
    if command -v clang >/dev/null && command -v ffmpeg >/dev/null; then
        targets+=(video)
    else
        say "no clang or no ffmpeg (Debian: clang libclang-rt-dev ffmpeg): the shim around FFmpeg is left out"
    fi
fi

# The shim is the slowest and has the most behind it.
share=$((minutes * 60 / ${#targets[@]})) video_share=$((minutes * 60 / ${#targets[@]}))
if [[ " ${targets[*]} " == *" video "* ]] && [ ${#targets[@]} -gt 2 ]; then
    video_share=$((minutes * 20))
    share=$((minutes * 40 / (${#targets[@]} - 1)))
fi

clean=true
for target in "${targets[@]}"; do
    if [ "$target" = video ]; then
        prepare_video
        hunt_video $video_share || clean=false
    else
        dotnet $output/bin/CudaTrainer.Fuzzer.dll hunt "$target" $output $share "$executions" "$seed" || clean=false
    fi
done

$clean || die "inputs that show faults lie in $output/findings; one that is mended goes to tests/fuzz/TARGET"
