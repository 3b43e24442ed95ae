#!/bin/sh
# make bench: the plain interpreter, bare and under the monitor, beside QEMU where it is installed.
# Figures, not a test: it fails only when something cannot be run at all. Runs of the programs
# compared take turns, each figure is the median of BENCH_RUNS (5), and what counts are the ratios.
build=${top_builddir:-.}
vitrine=$build/vitrine
primes=$build/samples/primes.elf
minios=$build/samples/minios/minios.elf
disk=$build/samples/minios/fs.img
runs=${BENCH_RUNS:-5}

[ -f "$primes" ] || { echo "make bench needs the guests: install gcc-riscv64-unknown-elf"; exit 1; }
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# User time of a command in seconds, appended to a file.
timed() { # file, command...
    file=$1
    shift
    bash -c 'TIMEFORMAT=%U; time "$@" >/dev/null 2>&1 </dev/null' - "$@" 2>>"$file"
}

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

qemu=
command -v qemu-system-riscv32 >/dev/null && qemu=yes

run=0
while [ $run -lt "$runs" ]; do
    timed "$scratch/bare" "$vitrine" run --under bare "$primes"
    timed "$scratch/hv" "$vitrine" run --under hv "$primes"
    [ -z "$qemu" ] || timed "$scratch/qemu" qemu-system-riscv32 -M virt -nographic -bios "$primes"
    run=$((run + 1))
done

instructions=$("$vitrine" run --under bare --json "$primes" </dev/null | jq .instructions)
bare=$(median "$scratch/bare")
hv=$(median "$scratch/hv")

echo "primes, $instructions instructions, median user time of $runs runs"
row() { # name, seconds
    awk -v n="$1" -v s="$2" -v i="$instructions" -v b="$bare" 'BEGIN {
        printf "  %-24s %7.2f s  %7.0f M instructions/s  %5.2f of bare\n", n, s, i / s / 1e6, b / s }'
}
row "interp, bare" "$bare"
row "interp, under monitor" "$hv"
[ -z "$qemu" ] || row "qemu-system-riscv32" "$(median "$scratch/qemu")"

if [ -x /usr/bin/time ]; then
    echo "resident memory at most, guest's touched pages included"
    for under in bare hv; do
        /usr/bin/time -o "$scratch/rss" -f %M "$vitrine" run --under $under \
            --max-instructions 3000000 "$minios" --disk "$disk" --disk-readonly \
            </dev/null >/dev/null 2>&1
        awk -v u=$under 'END { printf "  minios, %-16s %7.1f MiB\n", u, $1 / 1024 }' "$scratch/rss"
    done
else
    echo "resident memory: not measured, there is no /usr/bin/time (package time)"
fi

echo "start-up: vitrine run hello, $runs runs"
for under in bare hv; do
    rm -f "$scratch/start"
    run=0
    while [ $run -lt "$runs" ]; do
        bash -c 'TIMEFORMAT=%R; time "$@" >/dev/null 2>&1 </dev/null' - \
            "$vitrine" run --under $under "$build/samples/hello.elf" 2>>"$scratch/start"
        run=$((run + 1))
    done
    awk -v u=$under -v s="$(median "$scratch/start")" \
        'BEGIN { printf "  hello, %-17s %7.0f ms\n", u, s * 1000 }'
done

echo "exits: minios from reset to its prompt"
"$vitrine" run --json --max-instructions 2300000 "$minios" --disk "$disk" --disk-readonly \
    </dev/null 2>/dev/null |
    jq -r '"  \(.instructions) instructions, \(.exits) exits, \(.mips | floor) M instructions/s"'
exit 0
