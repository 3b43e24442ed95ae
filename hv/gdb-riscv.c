/*
 * An RV32 hart as gdb expects it: x0..x31, pc = 32, CSR n = 65 + n, and the privilege mode as
 * "priv".
 *
 * In a virtual machine it is the virtual hart. Source: gdb's RISC-V port; "Debugging with GDB",
 * section G.5.11.
 */
#include <errno.h>
#include <stdio.h>

#include "cpu/isa.h"
#include "hv/gdb_priv.h"

enum { REG_PC = 32, REG_CSR = 65, REG_PRIV = REG_CSR + 4096 };

static const char CPU[] = "org.gnu.gdb.riscv.cpu", CSRS[] = "org.gnu.gdb.riscv.csr",
                  VIRTUAL[] = "org.gnu.gdb.riscv.virtual";

static const char *type_of(unsigned n)
{
    return n == 1 || n == REG_PC ? "code_ptr" : n >= 2 && n <= 4 ? "data_ptr" : "int";
}

static void add(struct gdb_register *out, const char *feature, const char *name, uint32_t number,
                uint32_t value)
{
    *out = (struct gdb_register){
        .feature = feature, .number = number, .bits = 32, .known = true, .value = value};
    snprintf(out->name, sizeof out->name, "%s", name);
}

static int list(struct session *session, struct gdb_register *out)
{
    struct view_hart hart;
    int n = 0;
    session_view_hart(session, VIEW_VIRTUAL, &hart);
    if (!hart.present)
        session_view_hart(session, VIEW_REAL, &hart);
    for (; n <= REG_PC; n++) {
        uint32_t number = (uint32_t)n;
        add(&out[n], CPU, n == REG_PC ? "pc" : isa_register_name(number), number,
            n == REG_PC ? hart.pc : hart.x[n]);
        out[n].type = type_of(number);
    }
    for (unsigned i = 0; i < hart.csr_count; i++, n++) {
        add(&out[n], CSRS, hart.csr[i].name, (uint32_t)REG_CSR + hart.csr[i].number,
            hart.csr[i].value);
        out[n].group = "csr";
    }
    add(&out[n], VIRTUAL, "priv", REG_PRIV, hart.mode);
    return n + 1;
}

static int write(struct session *session, uint32_t number, uint64_t value)
{
    if (number <= REG_PC)
        return session_write_register(session, (int)number, (uint32_t)value);
    if (number >= REG_CSR && number < REG_PRIV)
        return session_write_csr(session, (uint16_t)(number - REG_CSR), (uint32_t)value);
    return -EINVAL;
}

const struct gdb_isa gdb_riscv = {
    .architecture = "riscv:rv32",
    .cpu = "hart",
    .pc = "pc",
    .address_max = UINT32_MAX,
    .general = REG_PC + 1,
    .list = list,
    .write = write,
};
