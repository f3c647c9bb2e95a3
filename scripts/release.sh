#!/usr/bin/env bash
# Makes a release: says all that is missing, builds and packs, and makes the annotated tag vVERSION with what the changelog says of it.
#   scripts/release.sh VERSION          changes nothing but artifacts
#   scripts/release.sh VERSION --tag    makes the tag, too
source "$(dirname "$0")/common.sh"

version=${1:?give a version, such as 0.2.0}
tag=false
[ "${2:-}" != --tag ] || tag=true
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || die "'$version' is no version as of semver.org, such as 0.2.0 or 0.2.0-rc.1"

# section NAME: what stands below a heading of the changelog, without empty lines around it.
section() {
    awk -v heading="## [$1]" 'index($0, "## [") == 1 { inside = index($0, heading) == 1; next } inside' CHANGELOG.md |
        sed -e '/./,$!d' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

problems=()
[ -z "$(git status --porcelain)" ] || problems+=("the working tree is not clean: commit or put aside what 'git status' lists")
[ -z "$(git tag --list "v$version")" ] || problems+=("the tag v$version exists")
written=$(sed -n 's/.*<Version>\(.*\)<\/Version>.*/\1/p' Directory.Build.props)
[ "$written" = "$version" ] || problems+=("Directory.Build.props: the version is $written, not $version")
grep -qE "^## \[${version//./\\.}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md ||
    problems+=("CHANGELOG.md: there is no heading '## [$version] - $(date +%Y-%m-%d)'")
[ -n "$(section "$version")" ] || problems+=("CHANGELOG.md: the section of $version says nothing")
[ -z "$(section Unreleased)" ] || problems+=("CHANGELOG.md: changes stand below Unreleased; move them to the section of $version")
for problem in "${problems[@]}"; do
    say "error: $problem"
done
[ ${#problems[@]} -eq 0 ] || exit 1

scripts/build.sh
said=$(./cudatrainer --version)
expected="cudatrainer $version+$(git rev-parse HEAD | cut -c1-9)"
[ "$said" = "$expected" ] || die "cudatrainer --version says '$said', not '$expected'"
scripts/pack.sh

# Tests and documents may have been made anew by a build; a tag is of what is committed.
[ -z "$(git status --porcelain)" ] || die "the build has changed files that are committed: see 'git status'"
message=$(printf 'CudaTrainer %s\n\n%s\n' "$version" "$(section "$version")")
if $tag; then
    git tag --annotate --cleanup=whitespace --message "$message" "v$version"
    say "tagged: v$version; 'git push origin v$version' publishes it"
else
    say "ready: 'scripts/release.sh $version --tag' would tag $(git rev-parse --short HEAD) as v$version with these words:"
    printf '%s\n' "$message"
fi
