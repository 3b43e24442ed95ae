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

ask_there() { # line: the same to the destination
    (control=$work/control2 && ask "$1")
}

# The source: a guest whose input comes from a FIFO, ruled by its control socket.
start_source() { # guest, options...
    rm -f "$work/typing"
    mkfifo "$work/typing"
    : >"$work/out1"
    : >"$work/err1"
    timeout -k 5 600 "$vitrine" run "$@" --control "$control" <"$work/typing" >"$work/out1" \
        2>"$work/err1" &
    source=$!
    exec 3>"$work/typing"
    await [ -S "$control" ]
}

end_source() {
    exec 3>&-
    end_of "$source" TERM
}

start_destination() { # guest, options...
    : >"$work/err2"
    timeout -k 5 600 "$vitrine" run "$@" >"$work/out2" 2>"$work/err2" &
    destination=$!
    await grep -q 'waiting for a guest' "$work/err2"
}

end_destination() {
    end_of "$destination" TERM
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

# ---- a disk in layers ---------------------------------------------------------------------------

cp "$minios/fs.img" "$work/fs.img"
timeout -k 5 600 "$vitrine" disk create "$work/mine.qcow2" --backing fs.img >/dev/null
start_source "$minios/minios.elf" --disk "$work/mine.qcow2"
cat "$work/typed1" >&3
await printed "$work/out1" 4
run run "$minios/minios.elf" --disk "$work/mine.qcow2"
check "overlay: a second program does not get it" status_is 2
check "overlay: and is told why" grep -q 'mine.qcow2: in use' "$err"
start_destination "$minios/minios.elf" --disk "$work/mine.qcow2" --incoming "$there" \
    --input "$work/typed2"
run migrate "$control" "$there"
check "overlay: it moves" status_is 0
end_source
end_destination
check "overlay: the guest ends well there" status_is 0
cat "$work/out1" "$work/out2" | tr -d '\r' >"$work/printed"
check "overlay: the world has seen one guest" same_file "$work/expected" "$work/printed"
run disk check "$work/mine.qcow2"
check "overlay: the image is clean" status_is 0
# ---- post-copy ----------------------------------------------------------------------------------

for how in "hv hv" "bare bare" "bare hv"; do
    from=${how% *} to=${how#* }
    cp "$minios/fs.img" "$work/disk.img"
    start_source "$minios/minios.elf" --disk "$work/disk.img" --under "$from"
    cat "$work/typed1" >&3
    await printed "$work/out1" 4
    start_destination "$minios/minios.elf" --disk "$work/disk.img" --under "$to" \
        --incoming "$there" --input "$work/typed2"
    run migrate "$control" "$there" --postcopy --downtime 0
    check "post-copy, $from to $to: it moves" status_is 0
    check "post-copy, $from to $to: how that went is told" grep -q '^moved in .* rounds' "$out"
    end_source
    check "post-copy, $from to $to: the source ends" status_is 0
    end_destination
    check "post-copy, $from to $to: the guest ends well there" status_is 0
    cat "$work/out1" "$work/out2" | tr -d '\r' >"$work/printed"
    check "post-copy, $from to $to: the world has seen one guest" \
        same_file "$work/expected" "$work/printed"
done

# A guest that writes to 32 MiB as fast as it can, and prints a letter now and then.
python3 - >"$work/busy.bin" <<'END'
import struct, sys
def i(op, f3, rd, rs, imm): return (imm & 0xfff) << 20 | rs << 15 | f3 << 12 | rd << 7 | op
def add(rd, a, b): return b << 20 | a << 15 | rd << 7 | 0x33
def store(f3, base, value): return value << 20 | base << 15 | f3 << 12 | 0x23
def branch(f3, a, b, words):
    o = words * 4
    return ((o >> 12 & 1) << 31 | (o >> 5 & 63) << 25 | b << 20 | a << 15 | f3 << 12
            | (o >> 1 & 15) << 8 | (o >> 11 & 1) << 7 | 0x63)
def lui(rd, value): return value << 12 | rd << 7 | 0x37
def addi(rd, rs, value): return i(0x13, 0, rd, rs, value)
first, end, page, uart, letter, turn, at, x = 5, 6, 7, 18, 19, 20, 10, 11
code = [lui(first, 0x80800), lui(end, 0x82800), lui(page, 1), lui(uart, 0x10000),
        addi(letter, 0, 65), addi(turn, 0, 0),
        addi(at, first, 0),
        store(2, at, turn), add(at, at, page), branch(4, at, end, -2),
        addi(turn, turn, 1), i(0x13, 7, x, turn, 63), branch(1, x, 0, -6),
        store(0, uart, letter), addi(letter, letter, 1), addi(x, 0, 91), branch(1, letter, x, -10),
        addi(letter, 0, 65), branch(0, 0, 0, -12)]
sys.stdout.buffer.write(struct.pack("<%dI" % len(code), *code))
END

# The link is cut after so many bytes. It does not outlive this script.
relayed=''
trap 'kill $relayed 2>/dev/null; rm -rf "$work"' EXIT
relay() { # address, bytes, folder that is removed then: what comes to $work/cut goes there
    rm -f "$work/cut"
    python3 - "$work/cut" "$@" <<'END' &
import os, socket, sys, threading
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(1)
source, _ = listener.accept()
target = socket.socket(socket.AF_UNIX)
target.connect(sys.argv[2])
def back():
    try:
        while part := target.recv(65536):
            source.sendall(part)
    except OSError:
        pass
threading.Thread(target=back, daemon=True).start()
left = int(sys.argv[3])
while left and (part := source.recv(min(65536, left))):
    target.sendall(part)
    left -= len(part)
for folder in sys.argv[4:]:
    os.rmdir(folder)
for end in source, target:
    end.shutdown(socket.SHUT_RDWR)
END
    relayed="$relayed $!"
    await [ -S "$work/cut" ]
}

start_source "$work/busy.bin"
start_destination "$work/busy.bin" --incoming "$there" --control "$work/control2"
await [ -s "$work/out1" ]
run migrate "$control" "$there" --throttle 0 --rounds 3 --downtime 0
check "a guest that writes too fast stays" status_is 1
end_destination

# Rounds without end, until somebody presses Ctrl-C (which the shell's background would ignore).
start_destination "$work/busy.bin" --incoming "$there" --control "$work/control2"
: >"$err" # which still tells of the rounds before
python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$vitrine" migrate "$control" "$there" --throttle 0 \
    --rounds 100000 --downtime 0 >"$out" 2>"$err" &
mover=$!
await grep -q '^round ' "$err"
kill -INT "$mover"
end_of "$mover"
check "Ctrl-C: it stays" status_is 1
check "Ctrl-C: that is said" grep -q 'it was called off' "$err"
end_destination
check "Ctrl-C: the destination is told" grep -q 'it was called off' "$work/err2"
ask status >"$out"
check "Ctrl-C: the guest goes on" grep -q '^ok running,' "$out"

start_destination "$work/busy.bin" --incoming "$there" --control "$work/control2"
relay "$work/there" 45000000
run migrate "$control" "unix:$work/cut" --postcopy
check "the link is cut in post-copy: torn" status_is 4
check "that is said" grep -q 'pages of its memory may be here only' "$err"
await grep -q 'waiting for the rest of the guest' "$work/err2"
check "the destination says what is missing" grep -q 'pages of the guest are missing' "$work/err2"
stands() {
    ask_there status | grep -q 'is missing: the link broke'
}
await stands
ask take-back >"$out"
check "the source does not take it back" grep -q '^error: no migration' "$out"
ask status >"$out"
check "the source waits" grep -q '^ok ended (the link is lost) ([0-9]* pages of it are here only)' \
    "$out"
run migrate "$control" "unix:$work/nobody" --recover
check "nobody there: still torn" status_is 1
run migrate "$control" "$there" --recover
check "over another link the rest comes" status_is 0
letters=$(wc -c <"$work/out2")
goes_on() {
    [ "$(wc -c <"$work/out2")" -gt $((letters + 2)) ]
}
await goes_on
ask_there status >"$out"
check "and it goes on" grep -q '^ok running,' "$out"
end_source
check "the source ends" status_is 0
ask_there quit >"$out"
end_destination
cat "$work/out1" "$work/out2" >"$work/printed"
python3 - "$work/printed" <<'END'
import sys
text = open(sys.argv[1]).read()
sys.exit(text != "".join(chr(65 + n % 26) for n in range(len(text))))
END
check "no letter is missing, none is there twice" [ $? = 0 ]

# The same, but the destination cannot listen again.
mkdir "$work/folder"
start_source "$work/busy.bin"
start_destination "$work/busy.bin" --incoming "unix:$work/folder/there"
await [ -s "$work/out1" ]
relay "$work/folder/there" 45000000 "$work/folder"
run migrate "$control" "unix:$work/cut" --postcopy
check "the link is cut for good: torn" status_is 4
end_destination
check "the destination does not wait for who cannot come" status_is 125
check "and says why" grep -q "folder/there: No such file or directory" "$work/err2"
ask quit >"$out"
end_source

# Who ends the run ends a move that has no end.
start_source "$work/busy.bin"
start_destination "$work/busy.bin" --incoming "$there"
await [ -s "$work/out1" ]
: >"$err"
timeout -k 5 600 "$vitrine" migrate "$control" "$there" --throttle 0 --rounds 100000 --downtime 0 \
    >"$out" 2>"$err" &
mover=$!
await grep -q '^round ' "$err"
ask quit >"$work/answer"
end_source
check "quit during a move: the run ends" status_is 0
end_of "$mover" TERM
check "quit during a move: that is told" grep -q 'it was called off' "$err"
end_destination
check "quit during a move: there, too" grep -q 'it was called off' "$work/err2"
refuses "--recover with --postcopy" migrate "$control" "$there" --recover --postcopy

# ---- refusals -----------------------------------------------------------------------------------

cp "$minios/fs.img" "$work/discarded.img"
start_source "$minios/minios.elf" --disk "$work/discarded.img" --disk-discard
start_destination "$minios/minios.elf" --incoming "$there"
run migrate "$control" "$there"
check "a guest whose disk is in no file stays" status_is 1
check "and is told why" grep -q 'is in no file' "$err"
end_destination
ask quit >"$out"
end_source

echo "a secret of enough bytes" >"$work/secret"
echo "another one, long enough" >"$work/other"
echo "short" >"$work/short"
chmod 600 "$work/secret" "$work/other" "$work/short"
echo "everybody can read this one" >"$work/open"
chmod 644 "$work/open"

refuses "a directory for what a guest writes to the disk that it brings" run "$minios/minios.elf" \
    --disk "$work/disk.img" --incoming "$there" --session "$work/kept"
check "which is told" grep -q 'disk.img: the guest comes from another host' "$err"
check "and no directory is made" [ ! -e "$work/kept" ]
refuses "a guest from there and from a snapshot" run --session "$work/kept" --from 1 \
    --incoming "$there"
refuses "no address" run "$minios/minios.elf" --incoming nowhere
refuses "a public address without a secret" run "$minios/minios.elf" --incoming tcp:0.0.0.0:0
refuses "a secret that nobody asks for" run "$minios/minios.elf" --secret "$work/secret"
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

# A port that is free; others may run this test at the same time.
tcp=tcp:127.0.0.1:$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
start_destination "$minios/minios.elf" --incoming "$tcp" --secret "$work/secret"
run migrate "$control" "$tcp"
check "without the secret: it stays" status_is 1
run migrate "$control" "$tcp" --secret "$work/other"
check "with another secret: it stays" status_is 1
check "with another secret: why is told" grep -q 'secret' "$err"
check "strangers are named" grep -q 'does not know the secret' "$work/err2"
run migrate "$control" "$tcp" --secret "$work/secret"
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

# ---- drawn, inside of one program ---------------------------------------------------------------

run draw "$minios/minios.elf" --at 100000 --what migration -o "$work/move.svg"
check "draw --what migration" grep -q 'Moved to a second session' "$work/move.svg"
finish
