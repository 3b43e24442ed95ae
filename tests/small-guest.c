/* Guests of a few instructions. See small-guest.h. */
#include "tests/small-guest.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t guest_code[GUEST_WORDS];
unsigned guest_count;

void guest_begin(void)
{
    memset(guest_code, 0, sizeof guest_code);
    guest_count = 0;
}

void guest_word(uint32_t word)
{
    guest_code[guest_count++] = word;
}

void guest_lui(unsigned rd, uint32_t value)
{
    guest_word(value | rd << 7 | 0x37);
}

void guest_i(enum insn_op op, unsigned rd, unsigned rs1, int32_t imm)
{
    guest_word(isa_rows[op].match | rd << 7 | rs1 << 15 | (uint32_t)imm << 20);
}

void guest_r(enum insn_op op, unsigned rd, unsigned rs1, unsigned rs2)
{
    guest_word(isa_rows[op].match | rd << 7 | rs1 << 15 | rs2 << 20);
}

void guest_store(enum insn_op op, unsigned base, unsigned rs2, uint32_t at)
{
    guest_word(isa_rows[op].match | (at & 31) << 7 | base << 15 | rs2 << 20 |
               (at >> 5 & 127) << 25);
}

void guest_branch(enum insn_op op, unsigned rs1, unsigned rs2, unsigned to)
{
    uint32_t by = (to - guest_count) * 4;
    guest_word(isa_rows[op].match | rs1 << 15 | rs2 << 20 | (by >> 12 & 1) << 31 |
               (by >> 5 & 63) << 25 | (by >> 1 & 15) << 8 | (by >> 11 & 1) << 7);
}

void guest_jump(unsigned to)
{
    uint32_t by = (to - guest_count) * 4;
    guest_word(0x6f | (by >> 12 & 255) << 12 | (by >> 11 & 1) << 20 | (by >> 1 & 1023) << 21 |
               (by >> 20 & 1) << 31);
}

void guest_write(char path[64])
{
    strcpy(path, "/tmp/small-guest-XXXXXX.bin");
    int fd = mkstemps(path, 4);
    if (fd < 0 || write(fd, guest_code, sizeof guest_code) != (ssize_t)sizeof guest_code)
        abort();
    close(fd);
}
