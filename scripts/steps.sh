# shellcheck shell=bash
# Steps that are run once: sourced by the scripts beside it, before they go to the repository's
# root and set `dir`.
#
# A step leaves $dir/NAME.json (what the program said) when it is done, and a line in
# $dir/figures.tsv: wall and processor seconds, peak resident memory, and by how much the disk
# filled at most. RUN is put before every program, for example "chrt -i 0 nice -n 19".

here=$PWD
# Paths are the caller's, the programs those of the repository.
absolute() { (cd "$here" && realpath -m "$1"); }

# remember NAME VALUE…: what the folder is made from; refuses one that was made from something
# else, whose results would be taken for those of now. A file's size is part of what it is.
remember() {
    local name value
    while [ $# -ge 2 ]; do
        name=$1 value=$2
        shift 2
        [ ! -f "$value" ] || value="$value ($(stat -L -c %s "$value") bytes)"
        printf '%s\t%s\n' "$name" "$value"
    done >"$dir/inputs.part"
    if [ -e "$dir/inputs" ] && ! cmp -s "$dir/inputs" "$dir/inputs.part"; then
        echo "$dir holds results of other inputs; expected < and found >:" >&2
        diff "$dir/inputs" "$dir/inputs.part" | grep '^[<>]' >&2 || :
        rm "$dir/inputs.part"
        echo "give another folder, or remove this one" >&2
        exit 2
    fi
    mv "$dir/inputs.part" "$dir/inputs"
}

used() { df --output=used -k "$dir" | tail -1; }

# step NAME COMMAND…: runs the command unless it was done before.
step() {
    local name=$1; shift
    [ -e "$dir/$name.json" ] && { echo "-- $name: done before"; return; }
    echo "-- $name: $*"
    [ -e "$dir/figures.tsv" ] ||
        printf 'step\tseconds\tCPU seconds\tresident MiB\tdisk MiB\n' >"$dir/figures.tsv"
    local before start peak=0 disk=0 now resident seconds cpu=0
    before=$(used) start=$(date +%s.%N)
    # shellcheck disable=SC2086
    ${RUN:-} "$@" >"$dir/$name.out" 2>"$dir/$name.log" &
    pid=$! # not local: the trap outlives the function
    # Without this a stopped script would leave the program running.
    trap 'kill "$pid" 2>/dev/null || :' EXIT
    while kill -0 "$pid" 2>/dev/null; do
        resident=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null || :)
        [ "${resident:-0}" -gt "$peak" ] && peak=$resident
        now=$(($(used) - before))
        [ "$now" -gt "$disk" ] && disk=$now
        # User and system ticks of the program: what other jobs do not distort.
        now=$(awk '{ printf "%.1f", ($14 + $15) / 100 }' "/proc/$pid/stat" 2>/dev/null || :)
        [ -z "$now" ] || cpu=$now
        sleep 0.2
    done
    wait "$pid" || { cat "$dir/$name.log"; exit 1; }
    trap - EXIT
    seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
    printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$seconds" "$cpu" "$((peak / 1024))" "$((disk / 1024))" \
        >>"$dir/figures.tsv"
    grep -v '^$' "$dir/$name.log" | sed 's/^/   /' || :
    echo "   $seconds s, $cpu s of CPU, peak $((peak / 1024)) MiB resident," \
        "$((disk / 1024)) MiB more disk at most"
    mv "$dir/$name.out" "$dir/$name.json"
}
