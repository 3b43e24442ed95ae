#!/bin/sh
# x86 guests on a network: a guest that gets an address, finds the gateway and pings it, with its
# monitor's threads confined; again after a snapshot and a reset; what --net refuses. No packet
# leaves the computer.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_kvm

guest=$samples/x86/net.elf
source=$top_srcdir/samples/x86/net.c
printed() { grep -Eq -- "$1" "$out"; }
repeats() { [ "$(grep -Ec -- "$1" "$out")" = "$2" ] || { echo "# $(grep -Ec -- "$1" "$out") times: $1"; false; }; }
complains() { grep -q -- "$1" "$err"; }

for net in user user,loopback user,restrict; do
    for option in '' '--cpus 2' --no-seccomp; do
        # shellcheck disable=SC2086 # options
        run run --kvm "$guest" --net $net $option
        check "--net $net $option: ends well" status_is 0
        check "--net $net $option: prints what it promises" prints_promises "$source"
        check "--net $net $option: nothing is on stderr" [ ! -s "$err" ]
    done
done
run run --kvm "$guest"
check "without --net there is no card" status_is 1
check "and the guest says so" printed '^net: there is no network card'

# ---- snapshots ---------------------------------------------------------------------------------

session() { # options...
    cat >"$work/script"
    typed=$work/script
    run debug --kvm "$guest" "$@"
    typed=
}

# A guest keeps its address over a snapshot, and finds the gateway again.
session --net user <<'END'
until find_gateway
snapshot address
devices
run
restore 1
run
reset
run
END
check "a session with a network ends well" status_is 0
check "the card is among the devices" printed 'virtio-net'
check "with its address" printed 'macHigh.*0x0*14e'
check "DHCP: once, and after the reset" repeats '^dhcp: 10.0.2.15 is mine' 2
check "ARP: to the end, after going back, after the reset" repeats '^arp: 10.0.2.2 is at' 3
check "pings as often" repeats '^ping: answer 3 of 10.0.2.2' 3
check "and three ends" repeats '^net: done' 3

# While it stands, frames wait: the answer to the first message of DHCP comes when it goes on.
session --net user <<'END'
until receive
step 500
run
END
check "a guest that was stepped through ends well" status_is 0
check "and has lost nothing" repeats '^net: done' 1

# ---- what is refused ---------------------------------------------------------------------------

for net in tap users user, user,fly user,hostfwd=tcp::0-:1 user,hostfwd=tcp::1-192.168.0.1:1 \
    user,hostfwd=udp::1-:1; do
    refuses "--net $net" run --kvm "$guest" --net $net
done
port=$((20000 + $$ % 10000))
refuses "a port that is taken" run --kvm "$guest" \
    --net user,hostfwd=tcp::$port-:1,hostfwd=tcp::$port-:2
check "the line names it" complains "TCP port $port of 127.0.0.1"
finish
