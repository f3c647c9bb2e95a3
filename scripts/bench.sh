#!/usr/bin/env bash
# Runs the benchmarks of bench/, each a program of its own.
source "$(dirname "$0")/common.sh"

found=false
for project in bench/*/*.csproj; do
    [ -f "$project" ] || continue
    found=true
    dotnet run -c Release --project "$project" -- "$@"
done
$found || say "there are no benchmarks in bench/ yet"
