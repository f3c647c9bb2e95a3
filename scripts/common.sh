# Sourced by the other scripts: the repository root, and how they talk.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# What tests and tools compile for the simulated GPU stays in the repository.
export CUDATRAINER_KERNEL_CACHE=$root/artifacts/kernel-cache
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 TESTINGPLATFORM_TELEMETRY_OPTOUT=1

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs a command whose output matters only if it fails.
quietly() {
    local log=$1 code=0
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 || code=$?
    if [ "$code" -ne 0 ]; then
        cat "$log" >&2
        say "error: \"$*\" failed ($code); its output is above and in $log"
    fi
    return "$code"
}
