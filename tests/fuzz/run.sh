#!/bin/bash
# make fuzz: every fuzz target for FUZZ_SECONDS, two at a time. What a run finds new in tests/fuzz/corpus stays in build/fuzz/corpus,
# and what makes a target fail in build/fuzz/faults.
#
#     tests/fuzz/run.sh [TARGET...]
set -u
cd "$(dirname "$0")/../.." || exit 70
seconds=${FUZZ_SECONDS:-60}
jobs=${FUZZ_JOBS:-2}
make=${MAKE:-make}

if [ $# -eq 0 ]; then
    set -- tests/fuzz/fuzz_*.c
    set -- "${@##*/}"
    set -- "${@%.c}"
fi
$make -s "-j$jobs" "${@/#/build/fuzz/}" CC=clang || exit 1
mkdir -p build/fuzz/faults

fuzz() {
    local name=$1 seeds=tests/fuzz/corpus/${1#fuzz_} corpus=build/fuzz/corpus/$1 log=build/fuzz/$1.log status
    mkdir -p "$corpus"
    [ ! -d "$seeds" ] || cp -r "$seeds/." "$corpus"
    timeout -k 10 $((seconds + 120)) "build/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/faults/$name-" "$corpus" >"$log" 2>&1 </dev/null
    status=$?
    printf '%-22s %s runs, exit status %d\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: //p' "$log")" $status
    [ $status -eq 0 ] || { tail -n 40 "$log"; return 1; }
}
export -f fuzz
export seconds

# shellcheck disable=SC2016  # the inner shell expands it
if printf '%s\n' "$@" | xargs -n 1 -P "$jobs" bash -c 'fuzz "$1" || exit 1' fuzz; then
    echo "fuzz: $# targets, $seconds s each, no fault"
else
    echo "fuzz: a target failed, see above"
    exit 1
fi
