#!/bin/sh
# Kills `vitrine disk commit` at many moments: the overlay must show the same disk afterwards, the
# backing file be consistent, and a second commit finish the work.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
cd "$work" || exit 99

rounds=${FAULTS_ROUNDS:-40}
head -c 48M /dev/urandom >noise
truncate -s 64M noise
"$vitrine" disk convert noise base.kept || exit 99
cp base.kept base
"$vitrine" disk create over.kept --backing base || exit 99
command -v qemu-io >/dev/null || skip_all "no qemu-io (Debian/Ubuntu: qemu-utils)"
for n in $(seq 0 60); do
    echo "write -P $((n + 1)) $((n * 1000000)) 400k"
done >writes
qemu-io -f qcow2 over.kept <writes >/dev/null || exit 99
"$vitrine" disk convert over.kept expected --format raw || exit 99

# Exit status 0, or 3: leaks.
consistent() {
    "$vitrine" disk check "$1" >/dev/null
    case $? in 0 | 3) ;; *) return 1 ;; esac
    qemu-img check -q "$1" >/dev/null 2>&1
    case $? in 0 | 3) ;; *) return 1 ;; esac
}
shows_expected() {
    rm -f now
    "$vitrine" disk convert "$1" now --format raw && cmp -s now expected
}

killed=0 round=0
while [ $round -lt "$rounds" ]; do
    cp base.kept base
    cp over.kept over
    "$vitrine" disk commit over &
    sleep "0.$(printf %03d $((round * 150 / rounds)))"
    kill -9 $! 2>/dev/null
    wait $! 2>/dev/null && status=0 || status=$?
    [ "$status" = 137 ] && killed=$((killed + 1))
    well=1
    consistent base && consistent over && shows_expected over || well=0
    "$vitrine" disk commit over && consistent base && shows_expected base || well=0
    check "round $round: nothing is lost" test $well = 1
    round=$((round + 1))
done
check "some were killed at work ($killed of $rounds)" test $killed -gt 0
finish
