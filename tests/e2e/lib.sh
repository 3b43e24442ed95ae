# What the end-to-end tests share: TAP output, running the command, a folder of their own.
#
# Read by the scripts with `.`; they use it as
#
#     run run "$samples/hello.elf" --under bare
#     check "hello says hello" grep -q Hello "$out"
#     finish
#
# shellcheck shell=sh

: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$PWD}"
vitrine=$top_builddir/vitrine
samples=$top_builddir/samples

[ -x "$vitrine" ] || { echo "Bail out! $vitrine was not built"; exit 99; }
work=$(mktemp -d "${TMPDIR:-/tmp}/vitrine-test.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
out=$work/out
err=$work/err
count=0

# One TAP line; the description first, then a command that succeeds if all is well.
check() {
    description=$1
    shift
    count=$((count + 1))
    if "$@"; then
        printf 'ok %s - %s\n' "$count" "$description"
    else
        printf 'not ok %s - %s\n' "$count" "$description"
        echo "# failed: $*"
        echo "# exit status of vitrine: $status"
        head -n 20 "$out" | cat -v | cut -c1-300 | sed 's/^/# stdout: /'
        head -n 20 "$err" | cat -v | cut -c1-300 | sed 's/^/# stderr: /'
    fi
}

skip() { # description, reason
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}

# What was waited for in vain is a failure, whatever the checks have said.
finish() {
    [ ! -e "$work/in-vain" ] || check "all that was waited for has come" false
    echo "1..$count"
    exit 0
}

# Runs vitrine with these arguments: $status, and what it printed in the files $out and $err. The
# limits here and below only end what hangs: no test is about how fast the host is.
# Standard input is the file $typed, if that is set, else empty.
run() {
    status=0
    timeout -k 5 600 "$vitrine" "$@" <"${typed:-/dev/null}" >"$out" 2>"$err" || status=$?
}

status_is() { [ "$status" = "$1" ]; }

same_file() { cmp -s "$1" "$2"; }

# Waits until a command succeeds: 5 minutes at most, and once something has not come 10 seconds, since
# what builds upon it will not come either. Says so on stderr, for stdout may be a guest's input.
await() {
    tries=0
    until "$@" 2>/dev/null; do
        tries=$((tries + 1))
        most=3000
        [ ! -e "$work/in-vain" ] || most=100
        if [ $tries -ge $most ]; then
            echo "# waited in vain: $*" | tee -a "$work/in-vain" >&2
            return 1
        fi
        sleep 0.1
    done
}

# Has a program ended?
gone() { ! kill -0 "$1" 2>/dev/null; } # pid

# Waits for the end of one in the background: $status. What does not end is killed; the signal TERM is
# for one below timeout, which passes it on.
end_of() { # pid, signal
    status=0
    await gone "$1" || kill -"${2:-KILL}" "$1"
    wait "$1" 2>/dev/null || status=$?
}

# Runs a command on a terminal of its own, with what comes from stdin typed there; what is printed
# comes into $out. The command writes its number to $work/pid; who types must let_go in the end.
on_pty() { # command
    timeout -k 5 600 script -qefc "$1" /dev/null >"$out" 2>&1
}

has_pty() { script -qec true /dev/null </dev/null >/dev/null 2>&1; }

# Types nothing more until the program on the terminal has ended. What does not end is killed, so that
# the test fails instead of waiting for ever.
let_go() {
    await test -s "$work/pid" || return 0
    await gone "$(cat "$work/pid")" || kill -KILL "$(cat "$work/pid")"
}

# The processor time of a process so far, in hundredths of a second.
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; } # pid

# Has a file so many lines by now?
printed() { [ "$(wc -l <"$1")" -ge "$2" ]; }

# vitrine refuses these arguments: one line on stderr, nothing on stdout, exit 2.
refused() {
    [ "$status" = 2 ] && [ ! -s "$out" ] && [ "$(wc -l <"$err")" = 1 ] && grep -q '^vitrine: ' "$err"
}

refuses() { # description, arguments...
    what=$1
    shift
    run "$@"
    check "$what is refused" refused
}

need_samples() {
    [ -e "$samples/$1" ] || skip_all "samples/$1 was not built (no RISC-V compiler)"
}

# As run, by a user who may not open /dev/kvm. Only root can do that; so ask can_run_as_nobody first.
run_as_nobody() {
    status=0
    timeout -k 5 600 setpriv --reuid 65534 --regid 65534 --clear-groups "$vitrine" "$@" \
        </dev/null >"$out" 2>"$err" || status=$?
}

can_run_as_nobody() {
    [ "$(id -u)" = 0 ] && chmod 755 "$work" &&
        setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$vitrine" 2>/dev/null &&
        ! setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'exec 3<>/dev/kvm' 2>/dev/null
}

# Skips the whole file where x86 guests cannot run. (A shell that fails to open a file for `exec`
# ends, so it is asked in another.)
need_kvm() {
    [ -e "$samples/x86/hello64.elf" ] || skip_all "no x86 guests: this build has no part for KVM"
    (exec 3<>/dev/kvm) 2>/dev/null ||
        skip_all "/dev/kvm cannot be opened: vitrine kvm-info says why, and what to do about it"
}

# Does the host's KVM interpret the guest's kernel, and lack some of a processor?
kvm_is_software() { [ -e /sys/module/kvm_pvm ]; }

# What a sample promises in its source ("expect:" lines) is what it has printed.
prints_promises() { # source
    sed -n 's,^.*// expect: ,,p' "$1" >"$work/expected"
    [ -s "$work/expected" ] || return 1
    tr -d '\r' <"$out" >"$work/printed"
    same_file "$work/expected" "$work/printed" ||
        { diff "$work/expected" "$work/printed" | sed 's/^/# /'; return 1; }
}

# x86 guests of the tests' own: Intel syntax on stdin, a flat image.
assemble_x86() { # file, bits (16, 32, 64)
    {
        echo ".intel_syntax noprefix; .code$2; .text; .globl _start; _start:"
        cat
    } >"$work/x86.S"
    rm -f "$1"
    machine=-m32 at=0x100000
    [ "$2" = 64 ] && machine=-m64
    [ "$2" = 16 ] && at=0x7c00
    ${CC:-gcc} $machine -nostdlib -static -no-pie -Wl,--build-id=none -Wl,--oformat=binary \
        -Wl,-Ttext=$at -o "$1" "$work/x86.S"
}

# Guests that the tests write themselves: assembly on stdin, an M-mode ELF at 0x80000000.
assemble() { # file
    cat >"$work/guest.S"
    # shellcheck disable=SC2086 # the compiler may have options
    $RISCV_CC -march=rv32ima_zicsr_zifencei -mabi=ilp32 -mno-relax -nostdlib -nostartfiles -static \
        -Wl,-Ttext=0x80000000 -Wl,--no-warn-rwx-segments -Wl,-N -o "$1" "$work/guest.S"
}

# The real gdb, if there is one that knows RISC-V: $gdb, else empty.
find_gdb() {
    for gdb in gdb-multiarch riscv64-unknown-elf-gdb riscv32-unknown-elf-gdb gdb; do
        command -v $gdb >/dev/null &&
            $gdb -nx -batch -ex 'set architecture riscv:rv32' 2>&1 | grep -q 'riscv:rv32' &&
            return
    done
    gdb=
}

# Starts a guest that waits for a debugger, at $address; $server, and what it says, in $err.
serve() { # options...
    err=$work/server
    : >"$err"
    timeout -k 5 600 "$vitrine" run "$@" --gdb 0 </dev/null >"$work/console" 2>"$err" &
    server=$!
    await grep -q 'target remote' "$err"
    address=$(sed -n 's/.*target remote //p' "$err")
}

# Says a line to a run with `--control $control`, and prints the answer.
ask() { # line
    timeout -k 5 300 python3 - "$control" "$1" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\n")
while line := s.recv(4096):
    sys.stdout.write(line.decode())
END
}
