#!/usr/bin/env bash
# Installs what `make build` built: program, completion for bash, zsh and fish, manual page and a service of systemd that is not enabled.
#   scripts/install.sh [PREFIX]          into /usr/local unless given; below $DESTDIR, for those who make packages
#   scripts/install.sh --remove [PREFIX]  takes all of it away again
source "$(dirname "$0")/common.sh"

remove=false
[ "${1:-}" != --remove ] || { remove=true && shift; }
prefix=${1:-/usr/local}
[[ $prefix == /* ]] || die "the prefix must be an absolute path, not '$prefix'"
program=$prefix/lib/cudatrainer
link=$prefix/bin/cudatrainer
manual=$prefix/share/man/man1/cudatrainer.1
bash=$prefix/share/bash-completion/completions/cudatrainer
zsh=$prefix/share/zsh/site-functions/_cudatrainer
fish=$prefix/share/fish/vendor_completions.d/cudatrainer.fish
unit=$prefix/lib/systemd/system/cudatrainer.service

to=${DESTDIR:-}
rm -rf "$to$program" "$to$link" "$to$manual" "$to$bash" "$to$zsh" "$to$fish" "$to$unit"
if $remove; then
    say "removed from $to$prefix"
    exit 0
fi

built=artifacts/cudatrainer
[ -e "$built/cudatrainer.dll" ] || die "nothing is built yet: run 'make build' first"
mkdir -p "$to$program" "$to$prefix/bin"
cp -r "$built/." LICENSE packaging/health.sh "$to$program"
chmod -R u=rwX,go=rX "$to$program"
ln -s "$program/cudatrainer" "$to$link"
# write FILE COMMAND…: what the command prints becomes the file.
write() {
    mkdir -p "$(dirname "$to$1")"
    "${@:2}" >"$to$1"
    chmod 644 "$to$1"
}
write "$manual" "$built/cudatrainer" man
for shell in bash zsh fish; do
    write "${!shell}" "$built/cudatrainer" completion "$shell"
done
write "$unit" sed "s|/usr/local/bin/cudatrainer|$link|" packaging/cudatrainer.service
say "installed: $to$link"
