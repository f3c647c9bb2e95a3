#!/usr/bin/env bash
# Does what docs/custom-ops.md says in a copy of the sources: the example must compile, and its gradients must be right.
source "$(dirname "$0")/common.sh"

copy=artifacts/guide
rm -rf "$copy"
mkdir -p "$copy"
cp -r src Directory.Build.props Directory.Packages.props "$copy"

# A block of C# belongs to the file that was named at the beginning of a line above it: a new one is that file, of one that exists it is a line of the registry.
awk -v root="$copy/" '
    /^`src\/[^`]*\.cs`/ { split($0, parts, "`"); path = root parts[2]; next }
    /^```csharp$/ { inside = 1; exists = (getline line < path) >= 0; close(path); next }
    /^```$/ { inside = 0; path = ""; next }
    inside && exists { print "        " $0 > (root "registry"); next }
    inside { print > path }
' docs/custom-ops.md
sed -i "/var draw = new InputDrawer/r $copy/registry" "$copy/src/Engine/Autograd/OpCases.cs"

quietly artifacts/guide-build.log dotnet build "$copy/src/Cli" -c Release -v quiet || die "the example in docs/custom-ops.md does not compile"
quietly artifacts/guide.log dotnet "$copy/artifacts/bin/Cli/release/cudatrainer.dll" gradcheck || die "a gradient is wrong with the example in docs/custom-ops.md"
grep -q ScaleShiftRelu artifacts/guide.log || die "gradcheck did not check the example in docs/custom-ops.md"
say "the example in docs/custom-ops.md works"
