#!/bin/sh
# Guests that run wild end, or are limited, inside their own machine: the command is unharmed.
# shellcheck source=tests/e2e/lib.sh
. "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e/lib.sh"
[ -n "$RISCV_CC" ] || skip_all "no RISC-V compiler"

# Ends in an orderly way: by itself, by the limit, or because it cannot go on.
orderly() { [ "$status" = 0 ] || [ "$status" = 124 ] || [ "$status" = 125 ]; }

# The guest on stdin, bare and in a virtual machine.
wild() { # description
    cat >"$work/source"
    assemble "$work/wild.elf" <"$work/source"
    for under in bare hv; do
        run run "$work/wild.elf" --under $under --memory 4M --max-instructions 1000000
        check "$under: $1" orderly
        check "$under: $1: at most a line on stderr" [ "$(wc -l <"$err")" -le 1 ]
    done
}

wild "jumps into nowhere" <<'END'
    .globl _start
_start:
    li t0, 0x40000000
    jr t0
END
wild "jumps to an odd address" <<'END'
    .globl _start
_start:
    li t0, 0xffffffff
    jr t0
END
wild "traps in its own trap handler for ever" <<'END'
    .globl _start
_start:
    la t0, 1f
    csrw mtvec, t0
    .balign 4
1:  .word 0xffffffff
END
wild "floods the UART" <<'END'
    .globl _start
_start:
    li t0, 0x10000000
1:  sb t0, 0(t0)
    j 1b
END
wild "writes over all of memory, itself too" <<'END'
    .globl _start
_start:
    la t0, 1f
    li t1, -1
1:  sw t1, 8(t0)
    addi t0, t0, 4
    j 1b
END
wild "touches every page of the address space" <<'END'
    .globl _start
_start:
    la t0, 1f
    csrw mtvec, t0
    li t1, 0
    li t2, 4096
    .balign 4
1:  add t1, t1, t2
    sw t1, 0(t1)
    lw t3, 0(t1)
    j 1b
END
wild "has page tables that point at themselves and at nothing" <<'END'
    .globl _start
_start:
    la t0, 4f
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    la t0, root
    li t1, 1024
    li t2, 0x20000001
1:  sw t2, 0(t0)
    addi t2, t2, 0x401
    addi t0, t0, 4
    addi t1, t1, -1
    bnez t1, 1b
    la t0, root
    srli t1, t0, 2
    ori  t1, t1, 1
    sw   t1, 0(t0)
    srli t0, t0, 12
    li t1, 0x80000000
    or t0, t0, t1
    csrw satp, t0
    li t0, 0x20800
    csrs mstatus, t0
    li t4, 0
3:  lw t5, 0(t4)
    sw t5, 0(t4)
    li t6, 0x00400ffc
    add t4, t4, t6
    csrw sscratch, t4
    sfence.vma
    j 3b
    .balign 4
4:  csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    li t0, 0x20800
    csrs mstatus, t0
    mret
    .balign 4096
root:
    .skip 4096
END
wild "writes every CSR with ones" <<'END'
    .globl _start
    .macro poke number
    csrw \number, t1
    csrr t2, \number
    .endm
_start:
    la t0, trap
    csrw mtvec, t0
    li t1, -1
    .set n, 0
    .rept 4096
    .if n != 0x305
    poke n
    .endif
    .set n, n + 1
    .endr
1:  j 1b
    .balign 4
trap:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    csrr t0, mstatus
    mret
END
wild "stores rubbish to every device" <<'END'
    .globl _start
_start:
    la t0, 9f
    csrw mtvec, t0
    li s1, 12345
    la s2, bases
1:  lw s3, 0(s2)
    addi s2, s2, 4
    beqz s3, 8f
    li s4, 1024
2:  slli t1, s1, 13
    xor s1, s1, t1
    srli t1, s1, 17
    xor s1, s1, t1
    slli t1, s1, 5
    xor s1, s1, t1
    sw s1, 0(s3)
    lw t2, 0(s3)
    sb s1, 1(s3)
    lhu t2, 2(s3)
    addi s3, s3, 4
    addi s4, s4, -1
    bnez s4, 2b
    j 1b
8:  j 8b
    .balign 4
9:  csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
bases:
    .word 0x02000000, 0x02004000, 0x0200b000, 0x0c000000, 0x0c001000, 0x0c002000, 0x0c200000
    .word 0x00101000, 0x10000000, 0x10001000, 0x10008000, 0
END
head -c 65536 /dev/urandom >"$work/noise.bin"
for under in bare hv; do
    run run "$work/noise.bin" --under $under --memory 8M --max-instructions 1000000
    check "$under: noise as a flat binary" orderly
done
finish
