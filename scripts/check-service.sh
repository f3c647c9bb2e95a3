#!/usr/bin/env bash
# Has systemd look at packaging/cudatrainer.service, alone and with the drop-in for GPUs, and rate what the service may do.
source "$(dirname "$0")/common.sh"

# In tenths: systemd calls 1.0 to 1.9 OK, and 0 is a service that may do nothing.
limit=12

command -v systemd-analyze >/dev/null || { say "skipped: this machine has no systemd-analyze (Debian: systemd)"; exit 0; }
program=artifacts/cudatrainer/cudatrainer
[ -x "$program" ] || die "nothing is built yet: run 'make build' first"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed "s|/usr/local/bin/cudatrainer|$root/$program|" packaging/cudatrainer.service >"$work/cudatrainer.service"

# verify WHAT: what systemd says of the unit is a fault, its warnings too.
verify() {
    local said
    said=$(systemd-analyze verify --man=no --recursive-errors=no "$work/cudatrainer.service" 2>&1) && [ -z "$said" ] ||
        die "systemd says of the unit$1: $said"
}

verify ""
rating=$(systemd-analyze security --no-pager --offline=true --threshold=$limit "$work/cudatrainer.service") ||
    die "the service may do too much: $(tail -1 <<<"$rating")"
tail -1 <<<"$rating" >&2
mkdir "$work/cudatrainer.service.d"
cp packaging/gpu.conf "$work/cudatrainer.service.d"
verify " with gpu.conf"
say "systemd understands the unit"
