#!/usr/bin/env bash
# Writes docs/api anew, the public surface of every library: what the test PublicApiTests compares with. To be read before it is committed.
source "$(dirname "$0")/common.sh"

quietly artifacts/api.log dotnet build tests/Cli.Tests -c Release -v quiet -p:RunAnalyzers=false
CUDATRAINER_ACCEPT_API=1 quietly artifacts/api.log artifacts/bin/Cli.Tests/release/CudaTrainer.Cli.Tests -noLogo -noColor -class '*.PublicApiTests'
git diff --stat -- docs/api >&2
