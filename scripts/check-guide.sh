#!/usr/bin/env bash
# Does what docs/custom-ops.md says, and in a copy of the sources what docs/custom-kernels.md says: the examples must
# compile, and their gradients must be right on every device, CUDA by the simulator where that has been built.
# A wrong kernel must be found, and the benchmark must give the same results by both ways that it compares.
source "$(dirname "$0")/common.sh"

# The formula, in a project outside of this repository, on the processor and on the simulator.
formula=$(mktemp -d "${TMPDIR:-/tmp}/cudatrainer-formula.XXXXXX")
trap 'rm -rf "$formula"' EXIT
mkdir -p "$formula/MyOps"
awk -v root="$formula/" '
    /^`MyOps\/[^`]*`$/ { split($0, parts, "`"); path = root parts[2]; next }
    /^```(csharp|xml)$/ { inside = path != ""; next }
    /^```$/ { inside = 0; path = ""; next }
    inside { print > path }
' docs/custom-ops.md
quietly artifacts/guide-pack.log scripts/pack.sh
quietly artifacts/guide-formula.log dotnet build "$formula/MyOps" -c Release -v quiet -p:RestoreAdditionalProjectSources="$root/artifacts/packages" ||
    die "the formula in docs/custom-ops.md does not compile"
check_formula() { dotnet artifacts/bin/Cli/release/cudatrainer.dll gradcheck --ops "$formula/MyOps/bin/Release/net10.0/MyOps.dll" "$@"; }
quietly artifacts/guide-formula.log check_formula --device cpu || die "gradcheck does not take the formula in docs/custom-ops.md"
grep -qE '^SoftScale per channel +cpu .* ok$' artifacts/guide-formula.log && grep -qE '^CenteredScale per channel +cpu .* ok$' artifacts/guide-formula.log &&
    grep -qE '^Ordered per channel +cpu .* ok$' artifacts/guide-formula.log || die "gradcheck did not check the formula in docs/custom-ops.md"
if [ -d artifacts/cudasim ]; then
    CUDATRAINER_CUDA_SIMULATOR=$PWD/artifacts/cudasim quietly artifacts/guide-formula.log check_formula --device cuda ||
        die "gradcheck does not take the formula in docs/custom-ops.md on CUDA"
    grep -qE '^SoftScale per row +cuda:0 fp16 .* ok$' artifacts/guide-formula.log || die "gradcheck did not check the formula in docs/custom-ops.md on CUDA"
fi

guide=docs/custom-kernels.md
copy=artifacts/guide
rm -rf "$copy"
mkdir -p "$copy/src/Kernels/ScaleShiftRelu"
cp -r src bench Directory.Build.props Directory.Packages.props .editorconfig "$copy"

# A block of code belongs to the file that was named at the beginning of a line above it: a new one is that file, of one that exists it is a line to insert.
awk -v root="$copy/" '
    /^`(src|bench)\/[^`]*\.cs`/ { split($0, parts, "`"); path = root parts[2]; next }
    /^```csharp$/ { inside = path != ""; exists = (getline line < path) >= 0; close(path); next }
    /^```$/ { inside = 0; path = ""; next }
    inside && exists { print "        " $0 > (path ".lines"); next }
    inside { print > path }
' "$guide"

# insert FILE ANCHOR: puts the lines for a file behind the line with the anchor.
insert() {
    sed -i "/$2/r $copy/$1.lines" "$copy/$1"
    grep -qF -- "$(head -1 "$copy/$1.lines")" "$copy/$1" || die "$1 has no line with '$2' any more"
}

insert src/Engine/Checks/OpCases.cs 'var draw = new InputDrawer'
insert bench/Kernels/KernelCatalog.cs 'new ModelOps('

program=$copy/artifacts/bin/Cli/release/cudatrainer.dll
gradcheck() { dotnet "$program" gradcheck "$@"; }

quietly artifacts/guide-build.log dotnet build "$copy/src/Cli" -c Release -v quiet || die "the example in $guide does not compile"
quietly artifacts/guide.log gradcheck --device cpu || die "a gradient is wrong with the example in $guide"
grep -qE 'ScaleShiftRelu by hand +cpu.* ok' artifacts/guide.log || die "gradcheck did not check the example in $guide"

if [ -d artifacts/cudasim ]; then
    export CUDATRAINER_CUDA_SIMULATOR=$PWD/artifacts/cudasim
    export CUDATRAINER_KERNEL_CACHE=${CUDATRAINER_KERNEL_CACHE:-$PWD/artifacts/kernel-cache}
    quietly artifacts/guide-cuda.log gradcheck --device cuda || die "a gradient is wrong on CUDA with the example in $guide"
    for device in 'cuda:0' 'cuda:0 fp16'; do
        grep -qE "ScaleShiftRelu by hand +$device +[^f].* ok" artifacts/guide-cuda.log || die "gradcheck did not check the example in $guide on $device"
    done

    # One wrong sign.
    kernel=$copy/src/Kernels/ScaleShiftRelu/Gpu.cs
    sed -i.right 's/a\.Aligned, g \* s)/a.Aligned, g * (TGroup.Splat(0) - s))/' "$kernel"
    ! cmp -s "$kernel" "$kernel.right" || die "the kernel in $guide has no line to make wrong"
    quietly artifacts/guide-build.log dotnet build "$copy/src/Cli" -c Release -v quiet
    code=0
    gradcheck --device cuda >artifacts/guide-wrong.log 2>&1 || code=$?
    mv "$kernel.right" "$kernel"
    [ "$code" -eq 1 ] && grep -qE 'ScaleShiftRelu by hand +cuda:0 .*OFF in x' artifacts/guide-wrong.log || {
        cat artifacts/guide-wrong.log >&2
        die "gradcheck did not find the wrong sign in the kernel of $guide (exit code $code)"
    }
    ! grep -v '^ScaleShiftRelu by hand' artifacts/guide-wrong.log | grep ' OFF in ' >&2 || die "gradcheck blamed other ops for the wrong sign in the kernel of $guide"
fi

quietly artifacts/guide-bench-build.log dotnet build "$copy/bench" -c Release -v quiet || die "the benchmark in $guide does not compile"
quietly artifacts/guide-bench.log dotnet "$copy/artifacts/bin/Bench/release/CudaTrainer.Bench.dll" kernels 'scale shift relu' || die "the benchmark in $guide is wrong"
grep -q '^| *scale shift relu .* fused' artifacts/guide-bench.log && grep -q '^| *scale shift relu .* by two ops' artifacts/guide-bench.log || die "the benchmark in $guide did not run"
say "the example in $guide works"
