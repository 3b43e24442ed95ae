#!/bin/sh
# A primary and a backup in two processes: the primary is killed while somebody types, and the backup's
# console goes on; nothing that was shown is denied, and never do two run.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_samples minios/minios.elf

minios=$samples/minios
guest=$minios/minios.elf
there=unix:$work/there
fence=$work/fence

# Neither is below timeout: they are killed. Whatever happens they do not outlive this script.
primary='' backup='' third=''
trap 'for p in $primary $backup $third; do kill -9 "$p" 2>/dev/null; done; rm -rf "$work"' EXIT

start_backup() { # options...
    : >"$work/err2"
    "$vitrine" backup "$there" "$guest" --patience 20000 "$@" >"$work/out2" \
        2>"$work/err2" &
    backup=$!
    await grep -q 'waiting for a guest' "$work/err2"
}

# A FIFO for input, and nothing printed yet: a program in the background empties its files only when it
# gets to that, and until then they tell of the one before.
prepare_primary() {
    rm -f "$work/typing"
    mkfifo "$work/typing"
    : >"$work/out1"
    : >"$work/err1"
}

# A link that is closed is a loss at once; patience is for the silence of a busy host.
start_primary() { # options...
    prepare_primary
    "$vitrine" run "$guest" --protect "$there" --patience 20000 "$@" <"$work/typing" >"$work/out1" \
        2>"$work/err1" &
    primary=$!
    exec 3>"$work/typing"
}

# The number of the first byte that the backup shows.
shown_from() { sed -n 's/.*begins with byte \([0-9]*\) .*/\1/p' "$work/err2"; }

# What the world has seen, each byte once: the primary's text up to where the backup begins.
seen_once() {
    head -c "$(shown_from)" "$work/out1"
    cat "$work/out2"
}

denies_nothing() { # what the primary has shown is how the whole begins
    seen_once | head -c "$(wc -c <"$work/out1")" | cmp -s - "$work/out1"
}

sed -n 's/^< //p' "$top_srcdir/samples/minios/session.expect" >"$work/typed"
head -n 4 "$work/typed" >"$work/typed1"
tail -n +5 "$work/typed" >"$work/typed2"
cp "$minios/fs.img" "$work/readonly.img"
run run "$minios/minios.elf" --disk "$work/readonly.img" --disk-readonly --input "$work/typed"
check "the unprotected run ends well" status_is 0
tr -d '\r' <"$out" >"$work/expected"

# ---- in order -----------------------------------------------------------------------------------

cp "$minios/fs.img" "$work/disk.img"
start_backup --disk "$work/disk.img" --fence "$fence" --input "$work/typed2" --json="$work/json"
start_primary --disk "$work/disk.img" --fence "$fence" --epoch 10
cat "$work/typed" >&3
end_of "$primary"
exec 3>&-
check "in order: the primary ends well" status_is 0
tr -d '\r' <"$work/out1" >"$work/printed"
check "in order: it has shown all" same_file "$work/expected" "$work/printed"
check "in order: what it cost is told" grep -q 'protected for .* epochs of' "$work/err1"
end_of "$backup"
check "in order: the backup ends" status_is 0
check "in order: and has shown nothing" [ ! -s "$work/out2" ]
check "in order: it reports that" grep -q '"phase" : "over"' "$work/json"

# ---- kill -9, while somebody types --------------------------------------------------------------

for how in "hv hv fence" "bare hv fence" "hv bare none"; do
    # shellcheck disable=SC2086
    set -- $how
    rm -f "$fence"
    guard="--disk $work/readonly.img --disk-readonly"
    [ "$3" = none ] || guard="$guard --fence $fence"
    # shellcheck disable=SC2086
    start_backup $guard --under "$2" --input "$work/typed2"
    # shellcheck disable=SC2086
    start_primary $guard --under "$1" --epoch 10
    cat "$work/typed1" >&3
    await grep -q 'no such file\|nope' "$work/out1"
    sleep 0.3
    kill -9 "$primary"
    end_of "$primary"
    exec 3>&-
    end_of "$backup"
    check "$how: the backup goes on, and the guest ends well" status_is 0
    check "$how: why is told" grep -q 'the primary is lost' "$work/err2"
    check "$how: the primary has shown something" printed "$work/out1" 10
    check "$how: nothing is denied" denies_nothing
    seen_once | tr -d '\r' >"$work/printed"
    check "$how: the world has seen one guest" same_file "$work/expected" "$work/printed"
done

# ---- the backup is killed -----------------------------------------------------------------------

rm -f "$fence"
start_backup --fence "$fence"
start_primary --fence "$fence"
await printed "$work/out1" 3
run run "$minios/minios.elf" --protect "$there" --fence "$fence"
check "a second guest under the fence is refused" grep -q 'a guest runs under this fence' "$err"
kill -9 "$backup"
await grep -q 'goes on unprotected' "$work/err1"
check "with a fence the primary goes on alone" grep -q 'goes on unprotected' "$work/err1"
echo poweroff >&3
end_of "$primary"
check "and ends well" status_is 0
exec 3>&-
end_of "$backup"

start_backup
start_primary
await printed "$work/out1" 3
kill -9 "$backup"
end_of "$primary"
exec 3>&-
check "without a fence it stands" status_is 3
check "and says why" grep -q 'may have taken it over' "$work/err1"
end_of "$backup"

# ---- one after the other: the guest outlives two hosts ------------------------------------------

# A is protected by B, which is protected by C as soon as it has taken over. All have the same disk.
rm -f "$fence"
cp "$minios/fs.img" "$work/disk.img"
mkfifo "$work/typing2"
head -n 3 "$work/typed2" >"$work/typed-b"
tail -n +4 "$work/typed2" >"$work/typed-c"
guard="--disk $work/disk.img --fence $fence"
: >"$work/err2"
# shellcheck disable=SC2086
"$vitrine" backup "$there" "$minios/minios.elf" $guard --protect "unix:$work/third" \
    --patience 20000 --control "$work/control2" <"$work/typing2" >"$work/out2" 2>"$work/err2" &
backup=$!
exec 4>"$work/typing2"
await grep -q 'waiting for a guest' "$work/err2"
# shellcheck disable=SC2086
start_primary $guard --epoch 10 --control "$work/control1"
cat "$work/typed1" >&3
await grep -q 'no such file\|nope' "$work/out1"
sleep 0.3
run control "$work/control1"
check "the status of a primary" \
    grep -q '^protection on by unix:.* epochs acknowledged; the last: .* pages' "$out"
run control "$work/control2"
check "the status of a backup" grep -q '^protection on, as the backup' "$out"
run control "$work/control2" protect "unix:$work/third"
check "who has no guest cannot have it protected" status_is 1
kill -9 "$primary"
wait "$primary" 2>/dev/null
await grep -q 'the primary is lost' "$work/err2"
run control "$work/control2" status --json
python3 - "$out" <<'END' >"$work/values" 2>&1
import json, sys
status = json.load(open(sys.argv[1]))
p = status["protection"]
print(p["phase"], p["role"], p["searching"], p["generation"], p["epochs"] > 0)
END
check "taken over: as JSON" grep -qx 'taken backup True 2 True' "$work/values"
: >"$work/err3"
# shellcheck disable=SC2086
"$vitrine" backup "unix:$work/third" "$minios/minios.elf" $guard --input "$work/typed-c" \
    --patience 20000     --json="$work/json" >"$work/out3" 2>"$work/err3" &
third=$!
await grep -q 'the guest is protected again' "$work/err2"
check "the new primary is protected again" grep -q 'the guest is protected again' "$work/err2"
cat "$work/typed-b" >&4
await printed "$work/out2" "$(wc -l <"$work/typed-b")"
sleep 0.5
run control "$work/control2" status --json
check "it is a primary now" grep -q '"role" : "primary"' "$out"
kill -9 "$backup"
wait "$backup" 2>/dev/null
exec 3>&- 4>&-
end_of "$third"
check "the third one goes on, and the guest ends well" status_is 0
second=$(shown_from)
third_from=$(sed -n 's/.*begins with byte \([0-9]*\) .*/\1/p' "$work/err3")
{
    head -c "$second" "$work/out1"
    head -c $((third_from - second)) "$work/out2"
    cat "$work/out3"
} | tr -d '\r' >"$work/printed"
check "three hosts: the world has seen one guest" same_file "$work/expected" "$work/printed"
check "the summary as JSON" grep -q '"phase" : "taken"' "$work/json"

# ---- asked for later, and a backup that is lost and found again ----------------------------------

rm -f "$fence"
prepare_primary
"$vitrine" run "$minios/minios.elf" --control "$work/control1" --json="$work/json" \
    <"$work/typing" >"$work/out1" 2>"$work/err1" &
primary=$!
exec 3>"$work/typing"
await printed "$work/out1" 3
run control "$work/control1" unprotect
check "what is not protected cannot be released" status_is 1
run control "$work/control1" protect "$there" --fence "$fence"
check "nobody stands by: refused" status_is 1
start_backup --fence "$fence"
run control "$work/control1" protect "$there" --fence "$fence" --epoch 10 \
    --patience 20000
check "a guest that runs is protected" status_is 0
run control "$work/control1" protect "$there"
check "once is enough" status_is 1
check "once is enough: why" grep -q 'protected already' "$err"
await sh -c '"$0" control "$1" | grep -q "protection on"' "$vitrine" "$work/control1"
kill -9 "$backup"
await grep -q 'goes on unprotected' "$work/err1"
start_backup --fence "$fence"
await grep -q 'protected again' "$work/err1"
check "the next backup is found" grep -q 'protected again' "$work/err1"
await sh -c '"$0" control "$1" | grep -q "protection on"' "$vitrine" "$work/control1"
run control "$work/control1"
check "under the turn that was claimed" grep -q '^protection on.*; generation 2 of the fence' "$out"
run control "$work/control1" unprotect
check "released" status_is 0
end_of "$backup"
check "the backup ends in order" status_is 0
echo poweroff >&3
end_of "$primary"
exec 3>&-
check "and the guest ends well" status_is 0
check "the run's report tells of it" grep -q '"phase" : "over"' "$work/json"

# ---- a primary that was stopped, and comes back -------------------------------------------------

# It may be stopped just where it holds the fence's lock: then nobody may go on, and it is tried again.
freeze() { # what is prepared, the backup's options, the primary's
    for try in 1 2 3 4 5 6 7 8 9 10; do
        rm -f "$fence"
        $1
        # shellcheck disable=SC2086
        start_backup --fence "$fence" --input "$work/more" --patience 3000 $2
        # shellcheck disable=SC2086
        start_primary --fence "$fence" --patience 3000 $3
        await printed "$work/out1" 3
        kill -STOP "$primary"
        await grep -q 'goes on here\|is not run' "$work/err2"
        grep -q 'is not run: .*fence' "$work/err2" || return 0
        echo "# stopped with the fence's lock ($try)"
        kill -9 "$primary" "$backup"
        wait "$primary" "$backup" 2>/dev/null
        exec 3>&-
    done
}

head -n 2 "$work/typed" >"$work/more"
echo poweroff >>"$work/more"
freeze true '' ''
end_of "$backup"
check "frozen: the backup takes over" status_is 0
kill -CONT "$primary"
end_of "$primary"
exec 3>&-
check "frozen: the old primary does not run on" grep -q 'has taken the guest over' "$work/err1"
check "frozen: nothing is denied" denies_nothing

# ---- a disk in layers, on a host that both share ------------------------------------------------

image_is_clean() { # qemu-img's exit status: 3 is leaks only
    clean=0
    qemu-img check -q "$1" >"$out" 2>&1 || clean=$?
    [ $clean = 0 ] || [ $clean = 3 ] || sed 's/^/# /' "$out"
    [ $clean = 0 ] || [ $clean = 3 ]
}

overlay=$work/mine.qcow2
fresh_overlay() { # the image below
    rm -f "$overlay" "$fence"
    timeout -k 5 600 "$vitrine" disk create "$overlay" --backing "$1" >/dev/null
}

cp "$minios/fs.img" "$work/fs.img"
fresh_overlay fs.img
start_backup --disk "$overlay" --fence "$fence" --input "$work/typed2"
start_primary --disk "$overlay" --fence "$fence" --epoch 10
cat "$work/typed1" >&3
await grep -q 'no such file\|nope' "$work/out1"
run run "$guest" --disk "$overlay"
check "overlay: a third program does not get it" status_is 2
check "overlay: and is told why" grep -q 'mine.qcow2: in use' "$err"
kill -9 "$primary"
end_of "$primary"
exec 3>&-
end_of "$backup"
check "overlay: the backup goes on, and the guest ends well" status_is 0
seen_once | tr -d '\r' >"$work/printed"
check "overlay: the world has seen one guest" same_file "$work/expected" "$work/printed"
check "overlay: the image is clean" image_is_clean "$overlay"

# A primary that is frozen keeps its lock: the guest stands, until that one is gone.
head -n 1 "$work/typed" >"$work/more"
echo poweroff >>"$work/more"
control=$work/control
freeze 'fresh_overlay fs.img' "--disk $overlay --control $control" "--disk $overlay"
check "frozen with a disk: the backup stands" grep -q 'is not run: .*mine.qcow2: in use' "$work/err2"
ask resume >"$out"
check "resume tries, and says why not" grep -q '^error: .*mine.qcow2: in use' "$out"
kill -CONT "$primary"
end_of "$primary"
exec 3>&-
check "the primary that comes back is fenced" grep -q 'has taken the guest over' "$work/err1"
ask resume >"$out"
check "then resume goes on" grep -q '^ok' "$out"
end_of "$backup"
check "and the guest ends well there" status_is 0
check "frozen with a disk: the image is clean" image_is_clean "$overlay"

# ---- x86 guests ---------------------------------------------------------------------------------

if [ -w /dev/kvm ]; then
    guest=$samples/x86/net.elf
    rm -f "$fence"
    start_backup --kvm --net user --fence "$fence"
    start_primary --kvm --net user --fence "$fence" --epoch 10
    end_of "$primary"
    exec 3>&-
    cp "$work/out1" "$out"
    check "x86 on a network: ends well, with its frames held back" status_is 0
    check "x86 on a network: prints what it promises" prints_promises "$top_srcdir/samples/x86/net.c"
    end_of "$backup"
    check "x86 on a network: so does the backup" status_is 0

    guest=$samples/x86/virtio.elf
    truncate -s 4096 "$work/small.img"
    fresh_overlay small.img
    start_backup --kvm --disk "$overlay" --fence "$fence"
    start_primary --kvm --disk "$overlay" --fence "$fence" --epoch 10
    end_of "$primary"
    exec 3>&-
    check "x86 with a disk: ends well" status_is 0
    check "x86 with a disk: it has written there" grep -q 'block: run number 1' "$work/out1"
    end_of "$backup"
    check "x86 with a disk: so does the backup" status_is 0
    check "x86 with a disk: the image is clean" image_is_clean "$overlay"
    run run --kvm "$guest" --disk "$overlay"
    check "x86 with a disk: what it wrote is there" grep -q 'block: run number 2' "$out"
    guest=$minios/minios.elf
else
    skip "x86 guests" "/dev/kvm cannot be used"
fi

# ---- refusals -----------------------------------------------------------------------------------

echo "no fence at all" >"$work/rubbish"
refuses "nobody at the address" run "$minios/minios.elf" --protect "unix:$work/nobody"
refuses "a bad address" run "$minios/minios.elf" --protect nowhere
refuses "a file that is no fence" run "$minios/minios.elf" --protect "$there" --fence "$work/rubbish"
refuses "a fence for nothing" run "$minios/minios.elf" --fence "$fence"
refuses "patience of less than some epochs" run "$minios/minios.elf" --protect "$there" \
    --epoch 1000 --patience 1000
refuses "an epoch of no time" run "$minios/minios.elf" --protect "$there" --epoch 0
refuses "with a session directory" run "$minios/minios.elf" --protect "$there" \
    --session "$work/kept"
check "which is not made" [ ! -e "$work/kept" ]
refuses "with a history" run "$minios/minios.elf" --protect "$there" --history 64M
refuses "a command to nobody" control "$work/nobody"
refuses "--json of what is no status" control "$work/nobody" pause --json
refuses "a public address without a secret" backup tcp:0.0.0.0:0 "$minios/minios.elf"

cp "$minios/fs.img" "$work/disk.img"
start_backup --disk "$work/disk.img"
run run "$minios/minios.elf" --disk "$work/disk.img" --protect "$there"
check "a disk without a fence: refused" status_is 2
check "a disk without a fence: why is told" grep -q 'needs a fence' "$err"
end_of "$backup"
check "the backup has no guest" status_is 2

start_backup --memory 32M
run run "$minios/minios.elf" --protect "$there"
check "another guest: refused" status_is 2
check "another guest: why is told" grep -q 'memory=' "$err"
end_of "$backup"
finish
