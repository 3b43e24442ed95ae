#!/bin/sh
# A guest moves from one vitrine to another while somebody types: what both have printed is what a run
# prints that stays where it is. Who may not bring a guest is refused; a link or program that ends
# leaves the guest where it was.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_samples minios/minios.elf

minios=$samples/minios
control=$work/control
there=unix:$work/there

# The source: a guest whose input comes from a FIFO, ruled by its control socket.
start_source() { # guest, options...
    rm -f "$work/typing"
    mkfifo "$work/typing"
    timeout -k 5 120 "$vitrine" run "$@" --control "$control" <"$work/typing" >"$work/out1" \
        2>"$work/err1" &
    source=$!
    exec 3>"$work/typing"
    await [ -S "$control" ]
}

end_source() {
    exec 3>&-
    status=0
    wait "$source" || status=$?
}

start_destination() { # guest, options...
    : >"$work/err2"
    timeout -k 5 120 "$vitrine" run "$@" >"$work/out2" 2>"$work/err2" &
    destination=$!
    await grep -q 'waiting for a guest' "$work/err2"
}

end_destination() {
    status=0
    wait "$destination" || status=$?
}

# ---- typed input across the move ----------------------------------------------------------------

sed -n 's/^< //p' "$top_srcdir/samples/minios/session.expect" >"$work/typed"
head -n 3 "$work/typed" >"$work/typed1"
tail -n +4 "$work/typed" >"$work/typed2"
cp "$minios/fs.img" "$work/disk.img"
run run "$minios/minios.elf" --disk "$work/disk.img" --input "$work/typed"
check "the run that stays ends well" status_is 0
tr -d '\r' <"$out" >"$work/expected"

for how in "hv hv" "bare bare" "hv bare"; do
    from=${how% *} to=${how#* }
    cp "$minios/fs.img" "$work/disk.img"
    start_source "$minios/minios.elf" --disk "$work/disk.img" --under "$from"
    cat "$work/typed1" >&3
    await printed "$work/out1" 4
    start_destination "$minios/minios.elf" --disk "$work/disk.img" --under "$to" \
        --incoming "$there" --input "$work/typed2"
    run migrate "$control" "$there"
    check "$from to $to: it moves" status_is 0
    check "$from to $to: how that went is told" grep -q '^moved in .* rounds' "$out"
    end_source
    check "$from to $to: the source ends" status_is 0
    check "$from to $to: and says why" grep -q 'has moved to' "$work/err1"
    end_destination
    check "$from to $to: the guest ends well there" status_is 0
    cat "$work/out1" "$work/out2" | tr -d '\r' >"$work/printed"
    check "$from to $to: the world has seen one guest" same_file "$work/expected" "$work/printed"
done

# ---- refusals -----------------------------------------------------------------------------------

echo "a secret of enough bytes" >"$work/secret"
echo "another one, long enough" >"$work/other"
echo "short" >"$work/short"
chmod 600 "$work/secret" "$work/other" "$work/short"
echo "everybody can read this one" >"$work/open"
chmod 644 "$work/open"

refuses "no address" run "$minios/minios.elf" --incoming nowhere
refuses "a public address without a secret" run "$minios/minios.elf" --incoming tcp:0.0.0.0:0
refuses "a short secret" run "$minios/minios.elf" --incoming "$there" --secret "$work/short"
refuses "a secret that others can read" run "$minios/minios.elf" --incoming "$there" \
    --secret "$work/open"
refuses "a session that is not there" migrate "$work/nothing" "$there"
refuses "a bad address" migrate "$work/nothing" tcp:1
refuses "a throttle of 100 percent" migrate "$work/nothing" "$there" --throttle 100

start_source "$minios/minios.elf"
check "the control socket is private" [ "$(stat -c %a "$control")" = 600 ]
await printed "$work/out1" 2

run migrate "$control" "unix:$work/nobody"
check "nobody there: it stays" status_is 1
ask status >"$out"
check "nobody there: and goes on" grep -q '^ok \(running\|stopped\)' "$out"

start_destination "$minios/minios.elf" --incoming tcp:127.0.0.1:17493 --secret "$work/secret"
run migrate "$control" tcp:127.0.0.1:17493
check "without the secret: it stays" status_is 1
run migrate "$control" tcp:127.0.0.1:17493 --secret "$work/other"
check "with another secret: it stays" status_is 1
check "with another secret: why is told" grep -q 'secret' "$err"
check "strangers are named" grep -q 'does not know the secret' "$work/err2"
run migrate "$control" tcp:127.0.0.1:17493 --secret "$work/secret"
check "with the secret: it moves" status_is 0
end_source
end_destination # its input is at its end

start_source "$minios/minios.elf"
start_destination "$minios/minios.elf" --memory 32M --incoming "$there"
run migrate "$control" "$there"
check "another guest: it stays" status_is 1
check "another guest: why is told" grep -q 'memory=' "$err"
end_destination
check "another guest: the destination ends" status_is 2

start_destination "$minios/minios.elf" --incoming "$there"
head -c 100000 /dev/urandom | python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    s.sendall(sys.stdin.buffer.read())
except OSError:
    pass' "$work/there"
end_destination
check "rubbish: refused" status_is 2
check "rubbish: nothing was executed" [ ! -s "$work/out2" ]
check "rubbish: with a clear line" grep -q 'no guest has come: the stream is damaged' "$work/err2"

ask nonsense >"$out"
check "a command that there is not" grep -q '^error: ' "$out"
ask take-back >"$out"
check "nothing to take back" grep -q '^error: no migration' "$out"
ask pause >"$out"
ask status >"$out"
check "paused" grep -q '^ok stopped: paused' "$out"
ask resume >"$out"
ask status >"$out"
check "resumed" grep -q '^ok running' "$out"
ask quit >"$out"
end_source
check "quit ends the run" status_is 0
check "the socket is gone" [ ! -e "$control" ]
finish
