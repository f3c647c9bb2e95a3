#!/usr/bin/env bash
# Packs, builds the samples against the packages alone, runs them on drawn clips and looks at what they print; then installs the command
# line as a tool. Nothing of it stays: packages, tool and what NuGet unpacks have a version of their own.
source "$(dirname "$0")/common.sh"

work=$root/artifacts/samples
version=$(sed -n 's/.*<Version>\(.*\)<\/Version>.*/\1/p' Directory.Build.props)-samples.$(date +%s)
unpacked=${NUGET_PACKAGES:-$HOME/.nuget/packages}
trap 'rm -rf "$unpacked"/cudatrainer*/"$version"; rmdir "$unpacked"/cudatrainer* 2>/dev/null || true' EXIT

rm -rf "$work"
mkdir -p "$work" artifacts/packages
scripts/pack.sh "$work/packages" "$version"

# Copies, without what an earlier build left, and with the fresh folder as the source of packages.
cp -r samples "$work/samples"
rm -rf "$work"/samples/*/{bin,obj}
sed -i "s|\.\./artifacts/packages|$work/packages|" "$work/samples/nuget.config"

say "building the samples"
for sample in PredictClip CustomOp ExtractFeatures OwnModel; do
    quietly artifacts/samples-build.log dotnet build "$work/samples/$sample" -c Release -v quiet -p:CudaTrainerVersion="$version" ||
        die "samples/$sample does not compile against the packages"
    ls "$work/samples/$sample"/bin/Release/net10.0/runtimes/*/native/libcudatrainer_video.so >/dev/null ||
        die "the build of samples/$sample lacks the native libraries of CudaTrainer.Formats"
done

# expect SAMPLE PATTERN ARGUMENTS…: runs a sample; it must succeed and print lines that fit the pattern.
expect() {
    local sample=$1 pattern=$2 code=0
    shift 2
    "$work/samples/$sample/bin/Release/net10.0/$sample" "$@" >"$work/$sample.txt" 2>"$work/$sample.err" || code=$?
    sed "s/^/  $sample: /" "$work/$sample.txt" >&2
    if [ "$code" -ne 0 ] || ! grep -qE "$pattern" "$work/$sample.txt"; then
        cat "$work/$sample.err" >&2
        die "samples/$sample ended with $code, or without a line like '$pattern'"
    fi
}

# The package alone must do: where root may, without a network.
offline=()
! unshare --net true 2>/dev/null || offline=(unshare --net)
say "installing the tool${offline[*]:+ without a network}"
quietly artifacts/samples-tool.log "${offline[@]}" dotnet tool install cudatrainer --tool-path "$work/tool" --version "$version" --source "$work/packages" ||
    die "the tool cannot be installed"
tool=$work/tool/cudatrainer
"$tool" --version >"$work/version.txt"
grep -q "^cudatrainer [0-9]" "$work/version.txt" || die "the installed tool says of its version: $(cat "$work/version.txt")"
"$tool" completion bash | bash -n || die "the installed tool prints no script for bash"
"$tool" man >"$work/cudatrainer.1"
grep -q '^\.TH CUDATRAINER 1' "$work/cudatrainer.1" || die "the installed tool prints no manual page"
(cd "$work" && quietly "$work/clips.log" "$tool" demo --clips-only) || die "the installed tool does not draw clips"

say "running the samples"
clips=$work/demo
clip=$(find "$clips" -name 'violent-*' -type f | sort | head -1)
[ -n "$clip" ] || die "the demo has left no clip in $clips"

# The sample and the tool, each by its own copy of the libraries and of the model.
expect PredictClip '^p\(violent\) = (0|0\.[0-9E-]+|1): (non)?violent$' "$clip"
predicted=$("$tool" predict "$clip" --json 2>"$work/predict.err" | sed -n 's/.*"violent": *\([0-9.eE-]*\).*/\1/p' | head -1)
answered=$(sed -n 's/^p(violent) = \([^:]*\):.*/\1/p' "$work/PredictClip.txt")
[ "$predicted" = "$answered" ] || die "samples/PredictClip says $answered and the tool $predicted of $clip"

# What cannot be read is said, with a file and a reason.
code=0
"$work/samples/PredictClip/bin/Release/net10.0/PredictClip" "$work/absent.mp4" 2>"$work/absent.err" || code=$?
[ "$code" -eq 1 ] && grep -q "absent.mp4: .*not" "$work/absent.err" || die "samples/PredictClip says of a missing file ($code): $(cat "$work/absent.err")"

expect CustomOp '^loss [0-9.]+ before training, [0-9.]+ after'
[ "$(grep -c '^gradients against .*, right$' "$work/CustomOp.txt")" -ge 2 ] || die "samples/CustomOp has not checked its gradients"
expect ExtractFeatures '^features \[[0-9]+, 20, 231\], [0-9]+ clips violent$' "$clips/dataset" "$work/features"
expect OwnModel '^[0-9]+ of [0-9]+ clips that were kept back are called right$' "$work/features"
say "the samples work"
