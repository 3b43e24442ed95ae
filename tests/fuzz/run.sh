#!/bin/sh
# Builds every fuzz target with clang's libFuzzer and sanitizers, and runs each for a while.
#
#     tests/fuzz/run.sh [seconds each]        from the build folder: make fuzz FUZZ_SECONDS=600
#
# A crash leaves its input in the folder; the target, run with that file, does it again.
top=${top_srcdir:-.} seconds=${1:-60} cc=${FUZZ_CC:-clang}
out=${FUZZ_DIR:-fuzz} failed=0

if ! command -v "$cc" >/dev/null; then
    echo "fuzzing needs clang (Debian/Ubuntu: clang)" >&2
    exit 2
fi
mkdir -p "$out" || exit 2
for source in "$top"/tests/fuzz/fuzz-*.c; do
    name=$(basename "$source" .c)
    # What a target needs beside the simulated computer stands in its first comment.
    more=$(sed -n 's/^ \* Sources: //p' "$source")
    echo "==== $name, $seconds s"
    "$cc" -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
        -I"$top" -I. -D_GNU_SOURCE -o "$out/$name" "$source" "$top/tests/elf-sample.c" \
        "$top"/cpu/*.c "$top"/cpu/dev/*.c $(cd "$top" && for f in $more; do echo "$PWD/$f"; done) \
        -lelf -ldw -lfdt -lnettle || exit 2
    mkdir -p "$out/$name.corpus"
    "$out/$name" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="$out/$name-" -print_final_stats=1 "$out/$name.corpus" \
        >"$out/$name.log" 2>&1
    status=$?
    grep '^stat::' "$out/$name.log"
    [ $status = 0 ] && continue
    failed=1
    grep -vE '^(stat::|#[0-9])' "$out/$name.log" | tail -n 40
done
exit $failed
