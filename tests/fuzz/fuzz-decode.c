/* Fuzzes decoder, disassembler, and two engines: the input is code, run in every mode. Both engines
 * must leave the same state behind. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "cpu/isa.h"
#include "cpu/machine.h"

enum { STEPS = 500 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Nothing in it but the hart and memory. */
static struct machine *make_machine(const struct engine *engine)
{
    struct machine_config config;
    char why[MACHINE_ERROR];
    machine_config_init(&config);
    config.memory = 4u << 20;
    config.engine = engine;
    struct machine *m = machine_new(&config, why);
    if (!m)
        abort();
    return m;
}

static void check_word(uint32_t word)
{
    char text[64];
    if (isa_disassemble(VIRT_RAM, word, text, sizeof text) >= (int)sizeof text)
        abort();
    struct insn insn = isa_decode(word);
    if (insn.op != OP_ILLEGAL && (word & isa_rows[insn.op].mask) != isa_rows[insn.op].match)
        abort();
}

/* Executes the input, which is also where every trap goes. */
static uint64_t run(struct machine *m, const uint8_t *bytes, size_t count)
{
    machine_clear(m);
    ram_write(&m->ram, VIRT_RAM, bytes, count);
    m->hart.mtvec = VIRT_RAM;
    machine_loaded(m);
    machine_run(m, STEPS);
    return machine_digest(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct machine *m, *other;
    if (!m) {
        m = make_machine(&engine_interp);
        other = make_machine(&engine_threaded);
    }
    if (count > 4096)
        return 0;
    for (size_t i = 0; i + 4 <= count; i += 4)
        check_word(bytes[i] | bytes[i + 1] << 8 | bytes[i + 2] << 16 |
                   (uint32_t)bytes[i + 3] << 24);
    if (run(m, bytes, count) != run(other, bytes, count))
        abort();
    return 0;
}
