#!/usr/bin/env bash
# Has systemd look at packaging/cudatrainer.service, alone and with the drop-in for GPUs, and rate what the service may do. Where root may,
# a systemd of its own then runs the service, in namespaces and on a copy of this machine's files that is thrown away: it must answer,
# start again when it is killed, stop in order, and stay away where its options are wrong.
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
cp packaging/gpu.conf packaging/cameras.conf "$work/cudatrainer.service.d"
verify " with its drop-ins"

# start FOLDER: becomes the first process of a machine that has nothing but the service; in namespaces of its own.
start() {
    local to=$1 device
    mount -t tmpfs tmpfs "$to"
    mkdir "$to"/{upper,work,files}
    mount -t overlay overlay -o "lowerdir=/,upperdir=$to/upper,workdir=$to/work" "$to/files"
    to=$to/files
    DESTDIR=$to "$root/scripts/install.sh"
    # Without the units that every service waits for, which would set up the machine, and without the journal, which is one of them.
    mkdir -p "$to/etc/systemd/system/cudatrainer.service.d"
    printf '%s\n' '[Unit]' DefaultDependencies=no '[Service]' Standard{Output,Error}=append:/run/cudatrainer.log \
        >"$to/etc/systemd/system/cudatrainer.service.d/alone.conf"
    install -m 600 "$root/src/Training/Bundled/motion.safetensors" "$to/var/lib/model.safetensors"
    : >"$to/etc/fstab"
    mount -t proc proc "$to/proc"
    mount --bind -o ro "$to/proc/sys" "$to/proc/sys"
    mount -t sysfs -o ro sysfs "$to/sys"
    mount -t cgroup2 cgroup2 "$to/sys/fs/cgroup"
    for device in dev run tmp; do
        mount -t tmpfs tmpfs "$to/$device"
    done
    for device in null zero full random urandom tty; do
        : >"$to/dev/$device"
        mount --bind "/dev/$device" "$to/dev/$device"
    done
    mkdir "$to"/dev/{shm,pts,mqueue} "$to/run/old"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$to/dev/pts"
    ln -s pts/ptmx "$to/dev/ptmx"
    ln -s /proc/self/fd "$to/dev/fd"
    ip link set lo up
    cd "$to"
    pivot_root . run/old
    cd /
    umount -l /run/old
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=cudatrainer.service
}

# until_true WHAT COMMAND…: waits until the command succeeds on the machine.
until_true() {
    local what=$1 count
    shift
    for ((count = 0; ; count++)); do
        ! inside "$@" >/dev/null 2>&1 || return 0
        [ $count -lt 150 ] || break
        sleep 0.2
    done
    cat "$work/systemd.log" >&2
    { inside systemctl status --no-pager cudatrainer; inside cat /run/cudatrainer.log; } >&2
    die "$what"
}
inside() { nsenter --target "$first" --all "$@"; }
state() { inside systemctl show --value --property "$1" cudatrainer; }
has() { [ "$(state "$1")" = "$2" ] || die "the service's $1 is '$(state "$1")', not '$2'"; }

tree=/sys/fs/cgroup/unified
[ -d $tree ] || tree=/sys/fs/cgroup
group=$tree/cudatrainer-check-$$
if [ "$(id -u)" -ne 0 ] || ! [ -x /lib/systemd/systemd ] || ! [ -e $tree/cgroup.procs ] || ! mkdir "$group" ||
    ! command -v ip >/dev/null || ! unshare --mount --pid --net --uts --ipc --cgroup --fork true; then
    [ ! -d "$group" ] || rmdir "$group"
    say "systemd understands the unit; it was not run, which takes root, namespaces, cgroups of the second version and iproute2"
    exit 0
fi

mkdir "$work/machine"
export -f start
export root
# shellcheck disable=SC2016
(
    echo "$BASHPID" >"$group/cgroup.procs"
    exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child bash -euc 'start "$1"' bash "$work/machine"
) >"$work/systemd.log" 2>&1 &
shell=$!
clean_up() {
    local count
    { kill -9 $shell && wait $shell; } 2>/dev/null || true
    # What ran on the machine ends a little later.
    for ((count = 0; count < 100; count++)); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.1
    done
    rm -rf "$work"
}
trap clean_up EXIT
for ((count = 0; count < 150; count++)); do
    first=$(pgrep --parent $shell --full /lib/systemd/systemd) && break
    sleep 0.2
done
[ -n "$first" ] || { cat "$work/systemd.log" >&2 && die "systemd does not start"; }

health=/usr/local/lib/cudatrainer/health.sh
until_true "the service does not answer" $health
inside curl -fsS -F video=@"$root/tests/golden/anamorphic.mp4" http://127.0.0.1:8080/api/videos >"$work/video.json"
id=$(sed -n 's/.*"id": "\(.*\)".*/\1/p' "$work/video.json")
until_true "no answer for a video" bash -c "curl -fsS http://127.0.0.1:8080/api/videos/$id | grep '\"state\": \"done\"'"
main=$(state MainPID)
[ "$(inside stat --format %U "/proc/$main")" = cudatrainer ] || die "the service runs as $(inside stat --format %U "/proc/$main")"

inside kill -KILL "$main"
until_true "the service does not start again when it is killed" \
    bash -c "[ \$(systemctl show --value -p NRestarts cudatrainer) = 1 ] && $health"

# A model where the documentation puts it, and options where it writes them.
inside install -m 644 /var/lib/model.safetensors /var/lib/cudatrainer/model.safetensors
inside bash -c 'echo "SERVE_OPTIONS=--checkpoint model.safetensors --port 8081" >/etc/default/cudatrainer'
inside systemctl restart cudatrainer
until_true "the service does not answer with a model of its own" $health 8081
inside systemctl stop cudatrainer
has Result success
! inside $health 8081 2>/dev/null || die "the service answers after its end"

inside bash -c 'echo "SERVE_OPTIONS=--widnow 3" >/etc/default/cudatrainer'
inside systemctl start cudatrainer
until_true "wrong options do not end the service" systemctl is-failed cudatrainer
has ExecMainStatus 2
has NRestarts 0
say "systemd understands the unit and runs it"
