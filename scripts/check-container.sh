#!/usr/bin/env bash
# Follows the Dockerfile where there is no container engine: every step of every stage, in folders that are roots of their own, until the
# program answers from the images for CPUs and for GPUs, as their user, without network, on a read-only file system. Needs root on Debian
# 12, 5 GB in artifacts/container, and what Debian and NuGet serve; takes five minutes.
#
# What stands for what, since no image can be pulled: for debian:12-slim a fresh debootstrap without documentation; for the images of .NET
# the SDK of this machine, and for aspnet its shared frameworks alone; for nvidia/cuda the CUDA simulator's libraries. Steps find this
# machine's settings of apt and NuGet, its certificates and its name server, as mounts that leave nothing behind.
source "$(dirname "$0")/common.sh"

work=$root/artifacts/container
simulator=$root/artifacts/cudasim

[ "$(id -u)" -eq 0 ] || die "folders become roots for root only"
grep -q '^VERSION_CODENAME=bookworm' /etc/os-release || die "this machine's settings of apt are given to Debian 12, so it must be one"
for program in debootstrap:debootstrap ip:iproute2 curl:curl; do
    command -v "${program%:*}" >/dev/null || die "${program%:*} is missing: apt-get install ${program#*:}"
done

mkdir -p "$work"
find "$work" -mindepth 1 -maxdepth 1 ! -name debian -exec rm -rf {} +

# ---- the images that would be pulled

make_debian() {
    local site
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Codename: bookworm' | head -1)
    [ -n "$site" ] || die "apt has no list of packages: run apt-get update"
    say "debootstrap from $site"
    rm -rf "$work/debian"
    quietly "$work/debootstrap.log" debootstrap --variant=minbase bookworm "$work/debian.new" "$site"
    # As slim images have it, of packages that are installed later, too.
    printf 'path-exclude %s\n' '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' '/usr/share/info/*' '/usr/share/lintian/*' \
        >"$work/debian.new/etc/dpkg/dpkg.cfg.d/slim"
    rm -rf "$work"/debian.new/{usr/share/{doc,man,locale,info,lintian}/*,var/cache/apt/*,var/lib/apt/lists/*,var/log/*.log}
    mv "$work/debian.new" "$work/debian"
}

# pull IMAGE FOLDER: makes what stands for an image.
pull() {
    local shared
    say "for $1: $(
        case $1 in
            debian:12-slim) echo "debootstrap" ;;
            */dotnet/sdk:10.0) echo "the SDK $(dotnet --version) of this machine" ;;
            */dotnet/aspnet:10.0) echo "the shared frameworks of this machine" ;;
            nvidia/cuda:*) echo "the libraries of the CUDA simulator, in a debootstrap" ;;
            *) die "nothing stands for the image $1" ;;
        esac
    )"
    case $1 in
        debian:* | nvidia/*)
            [ -e "$work/debian" ] || make_debian
            cp -a "$work/debian" "$2"
            ;;
    esac
    case $1 in
        */sdk:10.0) mkdir -p "$2/usr/share" && cp -a "$sdk" "$2/usr/share/dotnet" ;;
        */aspnet:10.0)
            mkdir -p "$2/usr/share/dotnet/shared"
            cp -a "$sdk"/{dotnet,host,LICENSE.txt,ThirdPartyNotices.txt} "$2/usr/share/dotnet"
            for shared in Microsoft.NETCore.App Microsoft.AspNetCore.App; do
                cp -a "$sdk/shared/$shared" "$2/usr/share/dotnet/shared"
            done
            ;;
        nvidia/*)
            mkdir -p "$2/usr/local/cuda/lib64"
            cp "$simulator/libcublas.so.12" "$2/usr/local/cuda/lib64"
            cp "$simulator/libcublas.so.12" "$2/usr/local/cuda/lib64/libcublasLt.so.12"
            cp "$simulator"/lib{cudnn.so.9,nccl.so.2} "$2/usr/lib/x86_64-linux-gnu"
            ;;
    esac
}
sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")

# ---- the Dockerfile

declare -A base=() steps=() arguments=([REVISION]=$(git rev-parse HEAD 2>/dev/null || true))
order=()

# expand TEXT NAME=VALUE…: with the variables that these give in place of $NAME and ${NAME}.
expand() {
    local text=$1 pair
    shift
    for pair; do
        text=${text//\$\{${pair%%=*}\}/${pair#*=}}
        [[ $text =~ \$${pair%%=*}([^A-Za-z0-9_]|$) ]] && text=${text//\$${pair%%=*}/${pair#*=}}
    done
    printf '%s' "$text"
}

read_dockerfile() {
    local line whole= name
    while IFS= read -r line || [ -n "$line" ]; do
        [[ $line =~ ^[[:space:]]*(#|$) ]] && continue
        if [[ $line == *\\ ]]; then
            whole+=${line%\\}
            continue
        fi
        whole+=$line
        if [[ $whole =~ ^FROM\ ([^ ]+)(\ AS\ ([a-z]+))?$ ]]; then
            name=${BASH_REMATCH[3]:-final}
            order+=("$name")
            base[$name]=${BASH_REMATCH[1]}
            steps[$name]=
        elif [ ${#order[@]} -gt 0 ]; then
            steps[$name]+=$whole$'\n'
        fi
        whole=
    done <Dockerfile
}

# ---- steps

# mounts ROOT: what a step finds of this machine; in a mount namespace of its own.
mounts() {
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount -t tmpfs tmpfs "$1/run"
    mkdir "$1/run/host"
    cp /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt "$1/run/host"
    mount --bind "$1/run/host/resolv.conf" "$1/etc/resolv.conf"
    mount --bind -o ro /etc/apt "$1/etc/apt"
    mount --bind -o ro /usr/share/keyrings "$1/usr/share/keyrings"
    if [ -d ~/.nuget/NuGet ]; then
        mkdir -p "$1/root/.nuget/NuGet"
        mount --bind -o ro ~/.nuget/NuGet "$1/root/.nuget/NuGet"
    fi
}

# step ROOT FOLDER COMMAND NAME=VALUE…: a RUN.
step() {
    local place=$1 folder=$2 command=$3
    shift 3
    export -f mounts
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child bash -euc 'place=$1 folder=$2 command=$3; shift 3; mounts "$place"
        exec chroot "$place" env --chdir="$folder" -i HOME=/root "$@" /bin/sh -c "$command"' bash "$place" "$folder" "$command" "$@"
}

# copy FROM-ROOT TO-ROOT FOLDER SOURCE… PLACE: a COPY.
copy() {
    local from=$1 to=$2 folder=$3 place source
    shift 3
    place=${*: -1}
    [[ $place == /* ]] || place=$folder/$place
    for source in "${@:1:$#-1}"; do
        if [ -d "$from/$source" ]; then
            mkdir -p "$to/$place"
            cp -a "$from/$source/." "$to/$place"
        elif [[ $place == */ || $place == */. || $# -gt 2 ]]; then
            mkdir -p "$to/$place"
            cp -a "$from/$source" "$to/$place"
        else
            mkdir -p "$to/$(dirname "$place")"
            cp -a "$from/$source" "$to/$place"
        fi
    done
    [ "$from" != "$work/context" ] || chown -R 0:0 "$to/$place"
}

# Settings of this machine that programs which download read.
mapfile -t settings < <(env | grep -E '^(NUGET_CERT|NUGET_ENABLE|[a-zA-Z]+_(proxy|PROXY)=)' || true)
settings+=(SSL_CERT_FILE=/run/host/ca-certificates.crt)

declare -A environment=() folder_of=() user_of=() entry=() default=() health=()

# The RUN at hand in build; without arguments, which a message would repeat.
this_step() { step "$place" "${folder_of[$stage]}" "$pairs" "${settings[@]}" "${variables[@]}" "${known[@]}"; }

build() {
    local stage=$1 place=$work/$1 line word pairs words from
    local -a variables known
    if [ -n "${base[${base[$stage]}]:-}" ]; then
        from=${base[$stage]}
        cp -a "$work/$from" "$place"
        environment[$stage]=${environment[$from]} folder_of[$stage]=${folder_of[$from]} user_of[$stage]=${user_of[$from]}
        entry[$stage]=${entry[$from]:-} default[$stage]=${default[$from]:-} health[$stage]=${health[$from]:-}
    else
        pull "${base[$stage]}" "$place"
        environment[$stage]=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin folder_of[$stage]=/ user_of[$stage]=0:0
    fi

    known=()
    while IFS= read -r line; do
        [ -n "$line" ] || continue
        mapfile -t variables <<<"${environment[$stage]}"
        case $line in
            "RUN "*) ;;
            *) line=$(expand "$line" "${variables[@]}" "${known[@]}") ;;
        esac
        say "$stage: ${line:0:110}"
        pairs=${line#* }
        case $line in
            "ARG "*)
                word=${pairs%%=*}
                known+=("$word=${arguments[$word]-${pairs#*=}}")
                ;;
            "ENV "*) environment[$stage]+=$'\n'${pairs// /$'\n'} ;;
            "RUN "*)
                quietly "$work/$stage.log" this_step
                ;;
            "COPY --from="*)
                read -ra words <<<"$pairs"
                copy "$work/${words[0]#--from=}" "$place" "${folder_of[$stage]}" "${words[@]:1}"
                ;;
            "COPY "*)
                read -ra words <<<"$pairs"
                copy "$work/context" "$place" "${folder_of[$stage]}" "${words[@]}"
                ;;
            "WORKDIR "*) folder_of[$stage]=$pairs && mkdir -p "$place/$pairs" ;;
            "USER "*) user_of[$stage]=$pairs && [ "$pairs" != root ] || user_of[$stage]=0:0 ;;
            "ENTRYPOINT "*) entry[$stage]=$pairs ;;
            "CMD "*) default[$stage]=$pairs ;;
            "HEALTHCHECK "*) health[$stage]=${pairs#*CMD } ;;
            "EXPOSE "*) ;;
            *) die "the step \"$line\" is none that this script knows" ;;
        esac
    done <<<"${steps[$stage]}"
}

# words JSON: the words of a list in the Dockerfile, a line each.
words() { sed 's/^\["//; s/"\]$//; s/", *"/\n/g' <<<"$1"; }

read_dockerfile
mkdir "$work/context"
tar -c --exclude-from=<(sed '/^#/d; s|^\*\*/||' .dockerignore) .[!.]* * | tar -x -C "$work/context"
[ "${base[final]}${steps[final]}" = '${VARIANT}' ] || die "the last stage is not that of the variant alone"
for stage in "${order[@]}"; do
    [ "$stage" = final ] || build "$stage"
done

# ---- what has come of it

megabytes() { du -sm --apparent-size "$1" | cut -f1; }

# Runs in namespaces of its own: no network but the loopback device, and a root that cannot be written but /tmp.
ask() {
    local place=$1 user=$2 folder=$3 clip=$4 count answer id code=0
    shift 4
    ip link set lo up
    mount --bind "$place" "$place" && mount -o remount,ro,bind "$place"
    mount -t proc proc "$place/proc"
    mount --rbind /dev "$place/dev"
    mount -t tmpfs tmpfs "$place/tmp"
    inside() { exec chroot --userspec="$user" "$place" env --chdir="$folder" -i HOME=/data "${variables[@]}" "$@"; }

    (inside cudatrainer --version)
    for library in "$place"/usr/local/lib/cudatrainer/*.so; do
        [[ $library == *_mpi.so ]] || ! (inside ldd "/usr/local/lib/cudatrainer/$(basename "$library")") | grep 'not found' || return 1
    done
    (inside "${entry[@]}" "${default[@]}") &
    server=$!
    trap 'kill -9 $server 2>/dev/null' EXIT
    for ((count = 0; ; count++)); do
        (inside "${health[@]}") 2>/dev/null && break
        [ $count -lt 240 ] && kill -0 $server || { echo "the server does not become healthy"; return 1; }
        sleep 0.25
    done
    curl -fsS http://127.0.0.1:8080/api/health
    id=$(curl -fsS -F "video=@$clip" http://127.0.0.1:8080/api/videos | sed -n 's/.*"id": "\(.*\)".*/\1/p')
    for ((count = 0; ; count++)); do
        answer=$(curl -fsS "http://127.0.0.1:8080/api/videos/$id")
        grep -qE '"state": "(done|failed)"' <<<"$answer" && break
        [ $count -lt 240 ] || break
        sleep 0.25
    done
    grep -E '"(state|violent|label)":' <<<"$answer" | head -3
    grep -q '"state": "done"' <<<"$answer" || { echo "$answer"; return 1; }
    trap - EXIT
    kill -TERM $server
    wait $server || code=$?
    [ $code -eq 130 ] || { echo "the server ended with $code"; return 1; }
    (inside "${health[@]}") 2>/dev/null && { echo "the check of health says that a stopped server is healthy"; return 1; }
    return 0
}

# check STAGE: what an image holds, and that it does what it is for.
check() {
    local image=$work/$1 unwanted library
    local -a variables entry_words default_words health_words
    [ "${user_of[$1]}" = 10001:10001 ] || die "the user of the image $1 is ${user_of[$1]}"
    for unwanted in usr/share/dotnet/sdk usr/bin/cc usr/bin/g++ usr/bin/cmake usr/bin/git source root/.nuget/packages; do
        [ ! -e "$image/$unwanted" ] || die "the image $1 has /$unwanted"
    done
    mapfile -t variables <<<"${environment[$1]}"
    mapfile -t entry_words < <(words "${entry[$1]}")
    mapfile -t default_words < <(words "${default[$1]}")
    mapfile -t health_words < <(words "${health[$1]}")
    say "running $1: ${entry_words[*]} ${default_words[*]}"
    # shellcheck disable=SC2016
    unshare --mount --pid --net --fork --kill-child bash -uc "$(declare -f ask)
        $(declare -p variables)
        $(declare -p entry_words | sed 's/entry_words/entry/')
        $(declare -p default_words | sed 's/default_words/default/')
        $(declare -p health_words | sed 's/health_words/health/')"'
        ask "$@"' bash "$image" "${user_of[$1]}" "${folder_of[$1]}" "$root/tests/golden/anamorphic.mp4" >&2 ||
        die "the image $1 does not do what it should"
}

check cpu
for library in libcublas.so.12 libcudnn.so.9 libnccl.so.2; do
    chroot "$work/cuda" /sbin/ldconfig -p | grep "$library .* => /usr/local/cuda/lib64/" >/dev/null ||
        die "the image cuda does not find $library in /usr/local/cuda/lib64"
done
[ -e "$work/cuda/usr/local/cuda/lib64/libcublasLt.so.12" ] || die "the image cuda lacks libcublasLt.so.12"
check cuda
say "both images build, and answer as user ${user_of[cpu]}"
printf '%d MB of files in the image cpu: Debian %d, .NET %d, the program %d, the rest FFmpeg and what it needs\n' \
    "$(megabytes "$work/cpu")" "$(megabytes "$work/debian")" "$(megabytes "$work/cpu/usr/share/dotnet")" \
    "$(megabytes "$work/cpu/usr/local/lib/cudatrainer")" >&2
