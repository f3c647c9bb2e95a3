#!/usr/bin/env bash
# Builds the program and leaves the launcher ./cudatrainer.
source "$(dirname "$0")/common.sh"

scripts/native.sh

case $(uname -m) in
    aarch64 | arm64) runtime=linux-arm64 ;;
    *) runtime=linux-x64 ;;
esac

publish() {
    dotnet publish src/Cli -c Release -r "$runtime" --no-self-contained -o artifacts/cudatrainer -v quiet "$@"
}

say "building cudatrainer"
# Compiled ahead of time it starts faster. That takes a compiler package; without it the program works all the same.
if ! publish -p:PublishReadyToRun=true >artifacts/publish.log 2>&1; then
    quietly artifacts/publish.log publish
fi

cat >cudatrainer <<'LAUNCHER'
#!/bin/sh
# Starts the program that `make build` built; works from any folder and through symbolic links.
root=$(dirname "$(readlink -f "$0")")
CUDATRAINER_COMMAND=$0 exec dotnet "$root/artifacts/cudatrainer/cudatrainer.dll" "$@"
LAUNCHER
chmod +x cudatrainer
say "built: ./cudatrainer"
