/* Fuzzes decoder, disassembler and interpreter: the input is code, run in every mode. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "cpu/isa.h"
#include "cpu/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct machine *m;
    char why[MACHINE_ERROR], text[64];
    if (!m) {
        struct machine_config config;
        machine_config_init(&config);
        config.memory = 4u << 20;
        m = machine_new(&config, why);
        if (!m)
            abort();
    }
    if (count > 4096)
        return 0;
    for (size_t i = 0; i + 4 <= count; i += 4) {
        uint32_t word = bytes[i] | bytes[i + 1] << 8 | bytes[i + 2] << 16 | (uint32_t)bytes[i + 3] << 24;
        if (isa_disassemble(VIRT_RAM, word, text, sizeof text) >= (int)sizeof text)
            abort();
        struct insn insn = isa_decode(word);
        if (insn.op != OP_ILLEGAL && (word & isa_rows[insn.op].mask) != isa_rows[insn.op].match)
            abort();
    }
    machine_clear(m);
    ram_write(&m->ram, VIRT_RAM, bytes, count);
    m->hart.mtvec = VIRT_RAM;
    machine_run(m, 2000);
    return 0;
}
