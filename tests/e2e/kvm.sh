#!/bin/sh
# x86 guests on the host's processor: every sample as a user runs it, how a run ends, what it
# reports. The debugger is in kvm-debug.sh, files that are no guests in kvm-input.sh.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
need_kvm

x86=$samples/x86
source=$top_srcdir/samples/x86
printed() { grep -q -- "$1" "$out"; }
complains() { grep -q -- "$1" "$err"; }

# ---- the samples -------------------------------------------------------------------------------

sample() { # name, its source, arguments...
    name=$1 from=$source/$2
    shift 2
    run run "$@"
    check "$name ends well" status_is 0
    check "$name prints what it promises" prints_promises "$from"
    check "$name: nothing is on stderr" [ ! -s "$err" ]
}

sample "hello16, the file" hello16.S "$x86/hello16.img" --kvm
sample "hello16, a disk's first sector" hello16.S --disk "$x86/hello16.img"
sample "hello64.elf" hello64.S "$x86/hello64.elf" --under kvm
sample "hello64.bin" hello64.S "$x86/hello64.bin" --boot flat64
sample "longmode" longmode/main.c "$x86/longmode/longmode.elf"
sample "chaos" chaos.c "$x86/chaos.elf"
sample "multiboot" multiboot/main.c "$x86/multiboot/multiboot.elf" --kernel-args 'one two'

# The second version hands its information over in another order, and here with a module.
printf 'twelve bytes' >"$work/module"
for version in multiboot multiboot2; do
    run run "$x86/multiboot/$version.elf" --kernel-args 'one two' --initrd "$work/module"
    check "$version with a module ends well" status_is 0
    check "$version: started by us" printed '^started by Vitrine$'
    check "$version: the command line" printed '^command line: one two$'
    check "$version: the module" printed '^module of 12 bytes: .*module$'
    check "$version: the memory" printed '^65151 KiB of memory in all$'
done
run run "$x86/multiboot/multiboot.elf" --memory 16M
check "--memory is what the guest finds" printed '^15999 KiB of memory in all$'
run run "$x86/multiboot/multiboot.elf" --memory 5G
check "memory above 4 GiB begins there" printed '^0x100000000 '

# ---- which guests need no --kvm ------------------------------------------------------------------

for guest in hello16.img hello64.elf multiboot/multiboot2.elf; do
    run run "$x86/$guest"
    check "$guest is known as an x86 guest" status_is 0
done
refuses "an x86 guest on the simulated computer" run "$x86/hello64.elf" --under bare
check "and the line says what to do" complains 'runs with --kvm'
if [ -e "$samples/hello.elf" ]; then
    refuses "a RISC-V guest on the host's processor" run "$samples/hello.elf" --kvm
    check "and the line says what it is" complains 'RISC-V'
else
    skip "a RISC-V guest on the host's processor is refused" "no RISC-V compiler"
fi
refuses "--kvm with --under" run "$x86/hello64.elf" --kvm --under hv
for option in '--engine interp' '--max-instructions 5' '--clock host' '--misaligned trap' \
    '--ad-bits trap' '--signature x' '--trace mmu' '--trace exits,insns'; do
    # shellcheck disable=SC2086 # an option and its value
    refuses "$option of an x86 guest" run "$x86/hello64.elf" $option
done
for option in '--cpus 2' '--initrd x' '--net user' '--no-seccomp' '--kvm-fd 3'; do
    # shellcheck disable=SC2086
    refuses "$option of a simulated guest" run "$work/x.bin" $option
done

# ---- how a run ends ------------------------------------------------------------------------------

guest=$work/guest.bin
for code in 0 1 77 255; do
    echo "mov dx, 0x501; mov al, $code; out dx, al" | assemble_x86 "$guest" 64
    run run "$guest" --boot flat64
    check "port 0x501: exit code $code" status_is $code
done
assemble_x86 "$guest" 64 <<'END'
    mov dx, 0x604           # ACPI: the sleep type of switching off, and go
    mov ax, 0x2000
    out dx, ax
END
run run "$guest" --boot flat64
check "ACPI's power-off ends the run with 0" status_is 0

assemble_x86 "$guest" 64 <<'END'
    lidt [rip + nothing]
    ud2
nothing: .quad 0, 0
END
run run "$guest" --boot flat64
check "a triple fault ends the run with 125" status_is 125
check "and is explained" complains 'triple fault'
check "with the instruction" complains 'ud2'
check "in several lines, the first of them ours" [ "$(grep -c '^vitrine: ' "$err")" = 1 ]

echo 'cli; hlt' | assemble_x86 "$guest" 64
run run "$guest" --boot flat64
check "sleep without interrupts ends the run with 125" status_is 125
check "and is explained" complains 'nothing can wake the guest'
check "in one line" [ "$(wc -l <"$err")" = 1 ]

echo '1: jmp 1b' | assemble_x86 "$guest" 64
run run "$guest" --boot flat64 --max-seconds 1
check "--max-seconds ends the run with 124" status_is 124
check "and says so" complains 'limit of 1 seconds'

echo 'mov ah, 0x0e; int 0x10; hlt' | assemble_x86 "$guest" 16
run run "$guest" --boot flat16
check "a BIOS call without a BIOS ends the run" status_is 255
check "and is explained" printed 'interrupt without a BIOS'

echo 'fwait; mov dx, 0x501; mov al, 9; out dx, al' | assemble_x86 "$guest" 64
run run "$guest" --boot flat64
check "fwait, which KVM's emulator lacks, is completed" status_is 9

if kvm_is_software; then
    echo 'popcnt eax, ebx; hlt' | assemble_x86 "$guest" 64
    run run "$guest" --boot flat64
    check "an instruction that KVM's emulator lacks ends the run with 125" status_is 125
    check "it is named" complains 'popcnt'
    check "and the line says that a processor would run it" complains 'VT-x or AMD-V'
else
    skip "an instruction that KVM's emulator lacks is named" "here the processor runs all of them"
fi

# Prints a letter, and resets by the keyboard controller.
assemble_x86 "$guest" 64 <<'END'
    mov dx, 0x3f8
    mov al, 'r'
    out dx, al
    mov al, 0xfe
    out 0x64, al
1:  jmp 1b
END
run run "$guest" --boot flat64 --no-reboot
check "--no-reboot: a reset ends the run with 0" status_is 0
check "after one start" [ "$(cat "$out")" = r ]
run run "$guest" --boot flat64 --max-seconds 5
check "without it the guest starts again" printed 'rrr'

# ---- processors ----------------------------------------------------------------------------------

# Wakes the others by INIT and SIPI; each adds 1 to a byte, the first waits for all.
assemble_x86 "$guest" 64 <<'END'
    lea rsi, [rip + others]
    mov edi, 0x20000
    mov ecx, others_end - others
    rep movsb
    mov eax, 0xfee00000                     # the local APIC:
    mov dword ptr [rax + 0xf0], 0x1ff       # on
    mov dword ptr [rax + 0x300], 0xc4500    # INIT to all but this one
    mov ecx, 10000
1:  loop 1b
    mov dword ptr [rax + 0x300], 0xc4620    # SIPI: start at 0x20000
    mov eax, 1
    cpuid
    shr ebx, 16
    movzx edx, bl                           # how many there are
    lea ebx, [rdx - 1]
2:  cmp byte ptr [0x21000], bl
    jne 2b
    mov eax, edx
    mov edx, 0x501
    out dx, al
others:
    .code16
    mov ax, 0x2100
    mov ds, ax
    lock inc byte ptr ds:[0]
3:  hlt
    jmp 3b
others_end:
    .code64
END
for cpus in 1 2 3 4; do
    run run "$guest" --boot flat64 --cpus $cpus --max-seconds 60
    check "--cpus $cpus: all of them run" status_is $cpus
done
run run "$x86/longmode/longmode.elf" --cpus 4
check "--cpus 4: those that nobody wakes do not disturb" prints_promises "$source/longmode/main.c"

# ---- chaos ---------------------------------------------------------------------------------------

# Politely, by a triple fault, asleep, nowhere, in a loop: the command tells each apart.
orderly() { [ "$status" = "$1" ] && [ "$(grep -vc '^vitrine: ' "$err")" -lt 10 ]; }
for seed in 1 2 3 4 5 11 12 13 14; do
    wanted=125 rounds=300 seconds=100
    [ $((seed % 5)) = 1 ] && wanted=0
    [ $((seed % 5)) = 0 ] && wanted=124 rounds=30 seconds=10
    run run "$x86/chaos.elf" --kernel-args "seed=$seed rounds=$rounds" --max-seconds $seconds
    check "chaos $seed ends in an orderly way" orderly $wanted
    check "chaos $seed has come to its end" printed 'chaos: now it '
done
head -c 65536 /dev/urandom >"$work/noise.bin"
for format in flat16 flat32 flat64; do
    run run "$work/noise.bin" --boot $format --max-seconds 2
    noise_ended() { [ "$status" -lt 126 ] || [ "$status" = 255 ]; }
    check "noise as $format ends in an orderly way" noise_ended
done

# ---- trace and report ----------------------------------------------------------------------------

run run "$x86/hello64.elf" --trace exits
check "--trace exits does not change the result" status_is 0
check "nor the output" prints_promises "$source/hello64.S"
trace_has_form() {
    [ "$(wc -l <"$err")" = 21 ] &&
        [ "$(grep -Ec '^exit [0-9]+ vcpu 0 rip 0x[0-9a-f]{8}: port I/O, out 0x(3f8|501), 1 byte, 0x[0-9a-f]+, [0-9]+\.[0-9] us: (uart THR|exit EXIT) written$' "$err")" = 21 ]
}
check "a line for each exit, with its time" trace_has_form

if command -v jq >/dev/null; then
    run run "$x86/hello64.elf" --json
    cp "$out" "$work/json"
    is() { [ "$(jq -r "$1" "$work/json" 2>/dev/null)" = "$2" ]; }
    check "JSON: under" is .under kvm
    check "JSON: stop" is .stop poweroff
    check "JSON: exit code" is .exit_code 0
    check "JSON: console" is .console 'Hello from 64 bits!'
    check "JSON: exits" is .exits 21
    check "JSON: exits by reason" is '.exits_by_reason["port I/O"]' 21
    check "JSON: their time" is '.exit_ns == .exit_ns_by_reason["port I/O"] and .exit_ns > 0' true
    check "JSON: instructions are not counted" is 'has("instructions")' false
    run run "$x86/chaos.elf" --kernel-args 'seed=2 rounds=1' --json="$work/json"
    check "JSON: a triple fault" is .stop shutdown
    check "JSON: explained" is '.detail | contains("IDT")' true
    check "JSON: exit status" is .status 125
    run run "$x86/chaos.elf" --kernel-args 'seed=5 rounds=1' --max-seconds 3 --json="$work/json"
    check "JSON: the time is up" is '.stop + " " + (.status | tostring)' 'limit 124'
    run kvm-info --json
    cp "$out" "$work/json"
    check "kvm-info: JSON" is '.access + " " + (.api | tostring)' 'usable 12'
    check "kvm-info: JSON: features" is '.features["interrupt controllers"]' 1
else
    skip "JSON" "no jq"
fi

run run "$x86/hello64.elf" --digest
check "--digest" grep -Eq '^digest 0x[0-9a-f]{16}$' "$err"

# ---- the console ---------------------------------------------------------------------------------

# Echoes what comes on COM1 until a newline, and exits with the number of characters.
assemble_x86 "$work/echo.bin" 64 <<'END'
    xor ebx, ebx
    mov edx, 0x3f8
    mov al, '>'
    out dx, al
1:  mov edx, 0x3fd
    in al, dx
    test al, 1
    jz 1b
    mov edx, 0x3f8
    in al, dx
    out dx, al
    cmp al, '\n'
    je 2f
    inc ebx
    jmp 1b
2:  mov edx, 0x501
    mov al, bl
    out dx, al
END
printf 'abcde\n' >"$work/keys"
typed=$work/keys
run run "$work/echo.bin" --boot flat64 --max-seconds 60
typed=
check "what comes by a pipe is typed" status_is 5
check "and echoed" printed '^>abcde$'
run run "$work/echo.bin" --boot flat64 --input "$work/keys" --max-seconds 60
check "--input is typed" status_is 5
head -c 2000 /dev/zero | tr '\000' x >"$work/many"
echo >>"$work/many"
run run "$work/echo.bin" --boot flat64 --input "$work/many" --max-seconds 60
check "a guest that polls gets 2,000 keys, not ten a second" status_is $((2000 % 256))

on_terminal() { # text
    status=0
    rm -f "$work/pid"
    : >"$out"
    {
        await grep -q '>' "$out"
        # shellcheck disable=SC2059 # the text has escapes
        printf "$1"
        let_go
    } | on_pty "echo \$\$ >$work/pid; exec $vitrine run $work/echo.bin --boot flat64" || status=$?
}
if has_pty; then
    on_terminal 'abc\n'
    check "on a terminal, too" printed 'abc'
    check "with the guest's exit status" status_is 3
    on_terminal 'a\001x'
    check "Ctrl-A x leaves" status_is 0
else
    skip "Ctrl-A x leaves" "no script(1) that knows -e"
fi

# ---- firmware ------------------------------------------------------------------------------------

# From the reset vector to our boot sector, which reads a second sector by the BIOS.
booted() { # description, arguments...
    what=$1
    shift
    run run --max-seconds 110 "$@"
    check "SeaBIOS, $what: its banner on the debug port" printed 'SeaBIOS (version'
    check "SeaBIOS, $what: it finds our tables" printed 'ACPI: parse DSDT'
    check "SeaBIOS, $what: and the disk" printed 'found virtio-blk-mmio at 0xd0000000'
    check "SeaBIOS, $what: the boot sector prints" printed 'by INT 14h, the serial'
    check "SeaBIOS, $what: and reads the disk" printed 'from the second sector'
    check "SeaBIOS, $what: and ends the run" status_is 0
}
bios=/usr/share/seabios/bios-256k.bin
if [ -r $bios ]; then
    booted "--disk" --firmware $bios --disk "$x86/hello16-bios.img"
    booted "the disk as the guest" --firmware $bios "$x86/hello16-bios.img"
    run run --firmware $bios --disk "$x86/hello16-bios.img" --max-seconds 1
    check "SeaBIOS: the time may be too short" status_is 124
else
    skip "SeaBIOS boots from a disk" "no $bios (Debian: seabios)"
fi
finish
