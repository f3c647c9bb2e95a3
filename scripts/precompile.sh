#!/usr/bin/env bash
# Compiles what test programs are made of ahead of time, as build.sh does with the program: tests start it some hundred times, and each
# start compiles the same methods anew. Results lie in artifacts/precompiled by the hash of what they are made from; a build puts
# uncompiled assemblies back. Without the compiler's package everything works all the same, only slower.
#   scripts/precompile.sh FOLDER…
source "$(dirname "$0")/common.sh"

case $(uname -m) in
    aarch64 | arm64) architecture=arm64 ;;
    *) architecture=x64 ;;
esac

packages=${NUGET_PACKAGES:-$HOME/.nuget/packages}/microsoft.netcore.app.crossgen2.linux-$architecture
newest() { { find "$packages" -path '*/tools/crossgen2' -type f 2>/dev/null || true; } | sort -V | tail -1; }
compiler=$(newest)
if [ -z "$compiler" ]; then
    dotnet restore src/Cli -r "linux-$architecture" -p:PublishReadyToRun=true \
        -p:ArtifactsPath="$root/artifacts/precompiled/restore" >artifacts/precompile.log 2>&1 || true
    compiler=$(newest)
fi

[ -n "$compiler" ] || { say "no compiler package: tests run without code compiled ahead of time"; exit 0; }

shared=$(dotnet --list-runtimes | sed -n 's/^Microsoft\.NETCore\.App \(10\.[^ ]*\) \[\(.*\)\/Microsoft\.NETCore\.App\]$/\2 \1/p' | tail -1)
framework=${shared##* } shared=${shared% *}
compiled=artifacts/precompiled/$framework-$(basename "$(dirname "$(dirname "$compiler")")")
mkdir -p "$compiled"

target_of() { printf '%s/%s.dll' "$compiled" "$(sha256sum "$1" | cut -c1-64)"; }

# The compiler refuses what is compiled already and what is no managed code; such a file stays as it is.
compile() {
    local target=$2
    "$compiler" "$1" -o "$target.$$" -O --targetos linux --targetarch "$architecture" -r "$(dirname "$1")/*.dll" \
        -r "$shared/Microsoft.NETCore.App/$framework/*.dll" -r "$shared/Microsoft.AspNetCore.App/$framework/*.dll" \
        >"$target.log" 2>&1 || return 0
    mv "$target.$$" "$target"
    rm -f "$target.log"
}

for folder in "$@"; do
    files=() targets=() running=0
    for file in "$folder"/cudatrainer.dll "$folder"/CudaTrainer.*.dll "$folder"/System.CommandLine.dll "$folder"/Spectre.Console*.dll; do
        [ -e "$file" ] || continue
        target=$(target_of "$file")
        files+=("$file") targets+=("$target")
        [ ! -e "$target" ] || continue
        compile "$file" "$target" &
        running=$((running + 1))
        [ "$running" -lt "$(nproc)" ] || { wait -n; running=$((running - 1)); }
    done

    # They refer to each other, so that none is replaced before all are compiled.
    wait
    for i in "${!files[@]}"; do
        [ ! -e "${targets[i]}" ] || { cp "${targets[i]}" "${files[i]}.$$" && mv "${files[i]}.$$" "${files[i]}"; }
    done
done
