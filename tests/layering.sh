#!/bin/sh
# The parts know only what they may: includes run downwards, gui -> hv -> cpu, and cpu/ links alone.
top=${top_srcdir:-.} build=${top_builddir:-.}
number=0

report() { # result of a check (empty: fine), what was checked
    number=$((number + 1))
    if [ -z "$1" ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        echo "$1" | sed 's/^/# /'
    fi
}

# Includes in a folder that match one pattern and not another.
includes() { # folder, pattern, exception
    grep -rnE '^#include "' "$top/$1" --include='*.[ch]' | grep -E "$2" | grep -vE "$3"
}

echo 1..6
report "$(includes cpu '"(hv|gui|labs)/' '^$')" "cpu/ includes nothing from above it"
report "$(includes hv '"(gui|labs)/' '/hv/cmd/.*"gui/draw/draw\.h"')" \
    "hv/ includes nothing from above it, but for the drawings in its command"
report "$(includes gui '"(hv|cpu)/' '"hv/(guard|mover|session|view)\.h"')" \
    "gui/ sees sessions, views, and who moves and protects them, never insides"
report "$(includes hv/kvm '"(cpu|hv)/' '"(hv/(backend|disk-format|move-disk|overlay|session|snapshot|view|view-layers)\.h|hv/kvm/|cpu/(bus|state|event|rv|image|symbols)\.h|cpu/dev/)')" \
    "hv/kvm knows devices and sessions, not the simulated processor"
report "$(includes . '_priv\.h"' '(/tests/|/hv/[^/]*:.*"hv/[a-z0-9]*_|/hv/kvm/[^/]*:.*"hv/kvm/|/cpu/dev/[^/]*:.*"cpu/dev/|/gui/draw/[^/]*:.*"gui/draw/|/gui/[^/]*:.*"gui/)')" \
    "private headers stay in their folder, but for tests"

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
echo 'int main(void) { return 0; }' >"$scratch/main.c"
flags=
grep -q 'fsanitize=address' "$build/Makefile" && flags=-fsanitize=address,undefined
report "$(${CC:-cc} $flags "$scratch/main.c" -o "$scratch/main" -Wl,--whole-archive \
    "$build/cpu/libcpu.a" -Wl,--no-whole-archive -lelf -ldw -lfdt -lpthread 2>&1 | grep -i 'undefined')" \
    "cpu/ links without the monitor"
