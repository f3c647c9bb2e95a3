#!/usr/bin/env bash
# Two network namespaces stand for two hosts, with a wire between them: one rank on each extracts and trains, the wire is cut, a rank is killed. Needs root, iproute2 and OpenMPI.
source "$(dirname "$0")/common.sh"

[ "$(id -u)" -eq 0 ] || { say "skipped: two hosts need root to make network namespaces"; exit 0; }
command -v ip >/dev/null || { say "skipped: two hosts need iproute2"; exit 0; }
{ command -v mpirun >/dev/null && mpirun --version | grep -q 'Open MPI'; } || { say "skipped: two hosts need OpenMPI's mpirun"; exit 0; }

a=ct-a-$$ b=ct-b-$$
wire_a=cta$$ wire_b=ctb$$
work=$(mktemp -d)
program=$root/artifacts/bin/Cli/release/cudatrainer.dll

clean_up() {
    local space
    for space in "$a" "$b"; do
        { ip netns pids "$space" | xargs -r kill -9; } 2>/dev/null || true
        ip netns del "$space" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT

ip netns add "$a" 2>/dev/null && ip netns add "$b" 2>/dev/null || { say "skipped: this machine makes no network namespaces"; exit 0; }
ip link add "$wire_a" netns "$a" type veth peer name "$wire_b" netns "$b"
for end in "$a $wire_a 10.77.0.1" "$b $wire_b 10.77.0.2"; do
    read -r space wire address <<<"$end"
    ip -n "$space" link set lo up
    ip -n "$space" link set "$wire" up
    ip -n "$space" addr add "$address/24" dev "$wire"
done

# What ssh would do: mpirun gives it a host's address and a command.
cat >"$work/agent" <<AGENT
#!/usr/bin/env bash
address=\$1
shift
space=$a name=host-a
[ "\$address" = 10.77.0.1 ] || { space=$b; name=host-b; }
exec ip netns exec "\$space" unshare --uts bash -c 'hostname "\$0"; eval "\$*"' "\$name" "\$@"
AGENT
chmod +x "$work/agent"

# on_both FOLDER-RELATIVE ARGUMENTS: one rank on each host, started on host a.
on_both() {
    ip netns exec "$a" unshare --uts bash -c 'hostname host-a; exec "$@"' host-a \
        env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 TERM=dumb \
        mpirun --mca plm_rsh_agent "$work/agent" --mca plm_rsh_no_tree_spawn 1 --mca oob_tcp_if_include 10.77.0.0/24 --mca btl tcp,self \
        --mca btl_tcp_if_include 10.77.0.0/24 --host 10.77.0.1:1,10.77.0.2:1 -n 2 --wdir "$work" dotnet "$program" "$@" --distributed mpi
}

alone() { (cd "$work" && dotnet "$program" "$@"); }

expect() {
    local what=$1 pattern=$2 file=$3
    grep -aq -- "$pattern" "$file" || { cat "$file" >&2; die "$what: no line has \"$pattern\""; }
    say "ok: $what"
}

losses() { cut -d, -f4 "$work/$1/training_steps.csv" | tail -n +2; }

say "extracting on two hosts"
alone demo --clips-only --clips 12 --output demo >"$work/demo.log" 2>&1
extract=(extract --dataset-path demo/dataset --frames 2 --max-corrupt 0.5 --device cpu)
alone "${extract[@]}" --cache-dir one >"$work/one.log" 2>&1
on_both "${extract[@]}" --cache-dir two >"$work/two.log" 2>&1 || { cat "$work/two.log" >&2; die "extraction on two hosts failed"; }
for file in "$work"/one/*.npy "$work"/one/*.csv; do
    cmp "$file" "$work/two/$(basename "$file")" || die "the caches differ"
done
say "ok: two hosts leave the cache of one"

train=(train --features-dir one --model simple-lstm --batch-size 5 --warmup-epochs 0 --sync-batchnorm --early-stopping-patience 0 --checkpoint-every 0 --log-every-steps 1 --device cpu)
alone "${train[@]}" --epochs 3 --checkpoint-dir alone >"$work/alone.log" 2>&1
on_both "${train[@]}" --epochs 3 --check-replicas 1 --checkpoint-dir both >"$work/both.log" 2>&1 || { cat "$work/both.log" >&2; die "training on two hosts failed"; }
expect "ranks name their hosts" "on host-a" "$work/both.log"
paste <(losses alone) <(losses both) | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-3 * $1) bad = 1 } END { exit bad || NR == 0 }' || die "the losses of two hosts are not those of one"
say "ok: two hosts have the losses of one"

# begin RUN: trains for ever in the background until the first checkpoint is there.
begin() {
    on_both "${train[@]}" --epochs 100000 --checkpoint-dir "$1" >"$work/$1.log" 2>&1 &
    job=$!
    for _ in $(seq 600); do
        [ ! -e "$work/$1/last.ckpt" ] || return 0
        sleep 0.1
    done
    cat "$work/$1.log" >&2
    die "no checkpoint within a minute"
}

# ends WHAT SECONDS: the job ends by itself, with an error.
ends() {
    local began=$SECONDS
    for _ in $(seq $((10 * $2))); do
        kill -0 "$job" 2>/dev/null || break
        sleep 0.1
    done
    ! kill -0 "$job" 2>/dev/null || die "$1: mpirun still runs after $2 s"
    ! wait "$job" || die "$1: mpirun reports success"
    say "ok: $1: all ends within $((SECONDS - began + 1)) s"
}

begin killed
ip netns pids "$b" | while read -r pid; do
    ! grep -aq 'dotnet' "/proc/$pid/cmdline" || kill -9 "$pid"
done
ends "a rank is killed" 20
expect "the lost rank is named" "rank 1 (host host-b, pid " "$work/killed.log"
alone "${train[@]}" --epochs 1 --checkpoint-dir killed --resume auto >"$work/resumed.log" 2>&1 || { cat "$work/resumed.log" >&2; die "one process cannot resume what two began"; }
expect "one process goes on" "resumed from" "$work/resumed.log"

begin cut
ip -n "$a" link set "$wire_a" down
began=$SECONDS
running() { for space in "$a" "$b"; do ip netns pids "$space" | while read -r pid; do tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -a '^dotnet .* train ' || true; done; done; }
while [ -n "$(running)" ] && [ $((SECONDS - began)) -lt 30 ]; do
    sleep 0.5
done
[ -z "$(running)" ] || die "the wire is cut: a rank still runs after 30 s"
# mpirun itself may wait for the other host for ever.
kill -9 "$job" 2>/dev/null || true
say "ok: the wire is cut: both ranks end within $((SECONDS - began + 1)) s"
expect "silence is noticed" "has not answered for 10 s" "$work/cut.log"
say "two hosts work"
