#!/bin/sh
# Builds every fuzz target with clang's libFuzzer and sanitizers, and runs each for a while.
#
#     tests/fuzz/run.sh [seconds each [target...]]
#                               from the build folder: make fuzz FUZZ_SECONDS=600 FUZZ_TARGETS=fuzz-walk
#
# A crash leaves its input in the folder; the target, run with that file, does it again.
top=${top_srcdir:-.} seconds=${1:-60} cc=${FUZZ_CC:-clang}
out=${FUZZ_DIR:-fuzz} failed=0
[ $# -gt 0 ] && shift
targets=${*:-$(cd "$top/tests/fuzz" && echo fuzz-*.c)}
flags="-std=gnu17 -g -O1 -fno-sanitize-recover=undefined -I$top -I. -D_GNU_SOURCE"
sanitizers=address,undefined

if ! command -v "$cc" >/dev/null; then
    echo "fuzzing needs clang and its run-time library (Debian/Ubuntu: clang libclang-rt-14-dev)" >&2
    exit 2
fi
mkdir -p "$out/objects" || exit 2

# What a target needs stands in its first comment: "Sources: hv/kvm/walk.c" beside the whole simulated
# computer, or "Parts: cpu/bus.c" and nothing else, which is built much faster; "Packages: capstone".
# There may be several such lines, and lines of nothing but file names go on with the one above.
words_of() {
    awk -v key="$1: " '
        { text = $0; sub(/^ \* /, "", text) }
        at = index(text, key) { listing = 1; print substr(text, at + length(key)); next }
        listing && text ~ /^([^ ]+\.c *)+$/ { print text; next }
        { listing = 0 }
        /\*\// { exit }
    ' "$2"
}

# The object of a source, compiled if it is not newer than the source and all headers. The one large
# function of computed jumps takes many minutes to optimize with all these checks in it.
object_of() {
    optimize=
    [ "$1" = cpu/threaded-execute.c ] && optimize=-O0
    object=$out/objects/$(echo "${1%.c}" | tr / -).o
    if ! [ "$object" -nt "$top/$1" ] || [ "$newest" -nt "$object" ]; then
        # shellcheck disable=SC2086
        "$cc" $flags $optimize $2 -fsanitize=fuzzer-no-link,$sanitizers -c -o "$object" "$top/$1" || exit 2
    fi
    echo "$object"
}

newest=$(find "$top" \( -name '*.h' -o -name '*.def' \) -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
computer=$(cd "$top" && echo cpu/*.c cpu/dev/*.c tests/elf-sample.c)
for target in $targets; do
    name=$(basename "$target" .c)
    source=$top/tests/fuzz/$name.c
    packages=$(words_of Packages "$source")
    cflags= libraries=
    if [ "$packages" ]; then
        cflags=$(pkg-config --cflags $packages) libraries=$(pkg-config --libs $packages) || exit 2
    fi
    echo "==== $name, $seconds s"
    objects= parts=$(words_of Parts "$source") more=$(words_of Sources "$source")
    # shellcheck disable=SC2086
    for file in $(cd "$top" && echo ${parts:-$computer $more}); do
        objects="$objects $(object_of "$file" "$cflags")" || exit 2
    done
    # shellcheck disable=SC2086
    "$cc" $flags $cflags -fsanitize=fuzzer,$sanitizers -o "$out/$name" "$source" $objects \
        -lelf -ldw -lfdt -lnettle $libraries || exit 2
    mkdir -p "$out/$name.corpus"
    "$out/$name" -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="$out/$name-" -print_final_stats=1 "$out/$name.corpus" \
        >"$out/$name.log" 2>&1
    status=$?
    grep '^stat::' "$out/$name.log"
    [ $status = 0 ] && continue
    failed=1
    grep -vE '^(stat::|#[0-9])' "$out/$name.log" | tail -n 40
done
exit $failed
