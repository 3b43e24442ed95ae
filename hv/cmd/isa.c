/*
 * `vitrine isa`: the tables that the computer and the monitor are built from, as text.
 *
 * A line for each row: what a program needs to know comes first, the line of prose last.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "cpu/isa.h"
#include "hv/cmd/cmd.h"
#include "hv/cmd/show.h"

static void show_instructions(void)
{
    static const char *const KINDS[] = {[KIND_PLAIN] = "plain",
                                        [KIND_TRAPS] = "traps",
                                        [KIND_SENSITIVE] = "sensitive",
                                        [KIND_CSRS] = "by csr"};
    printf("%-10s %-10s %-10s %-9s %s\n", "name", "match", "mask", "kind", "meaning");
    for (int i = 0; i < OP_COUNT; i++) {
        const struct insn_row *row = &isa_rows[i];
        printf("%-10s 0x%08x 0x%08x %-9s %s\n", row->mnemonic, row->match, row->mask,
               KINDS[row->kind], row->meaning);
    }
}

static void show_csr_rows(void)
{
    const struct csr_row *row;
    printf("%-14s %-6s %-4s %-3s %-10s %s\n", "name", "number", "mode", "", "writable", "meaning");
    for (unsigned i = 0; (row = isa_csr_at(i)); i++)
        printf("%-14s 0x%03x  %-4s %-3s 0x%08x %s\n", row->name, row->number,
               show_mode(csr_privilege(row->number)), csr_is_read_only(row->number) ? "r" : "rw",
               row->mask, row->meaning);
}

static const struct {
    uint32_t cause;
    const char *name, *meaning;
} CAUSES[] = {
#define CAUSE(NAME, code, name, meaning)    {code, name, meaning},
#define INTERRUPT(NAME, bit, name, meaning) {0x80000000u | bit, name, meaning},
#include "cpu/cause.def"
};

static void show_causes(void)
{
    printf("%-10s %-32s %s\n", "cause", "name", "meaning");
    for (size_t i = 0; i < sizeof CAUSES / sizeof *CAUSES; i++)
        printf("0x%08x %-32s %s\n", CAUSES[i].cause, CAUSES[i].name, CAUSES[i].meaning);
}

static const struct {
    const char *name;
    unsigned cost;
    const char *meaning;
} EXITS[] = {
#define EXIT(NAME, name, cost, meaning) {name, cost, meaning},
#include "hv/exit.def"
};

static void show_exits(void)
{
    printf("%-20s %5s %s\n", "exit", "cost", "what the monitor does");
    for (size_t i = 0; i < sizeof EXITS / sizeof *EXITS; i++)
        printf("%-20s %5u %s\n", EXITS[i].name, EXITS[i].cost, EXITS[i].meaning);
}

/* Why the host's processor gives an x86 guest's vCPU back: hv/kvm. */
static const struct {
    unsigned reason;
    const char *name, *meaning;
} KVM_EXITS[] = {
#define EXIT(id, number, name, meaning) {number, name, meaning},
#include "hv/kvm/kvm-exit.def"
};

static void show_kvm_exits(void)
{
    printf("%-6s %-24s %s\n", "reason", "name", "meaning");
    for (size_t i = 0; i < sizeof KVM_EXITS / sizeof *KVM_EXITS; i++)
        printf("%6u %-24s %s\n", KVM_EXITS[i].reason, KVM_EXITS[i].name, KVM_EXITS[i].meaning);
}

static const struct {
    const char *name;
    void (*show)(void);
} TABLES[] = {
    {"instructions", show_instructions},
    {"csrs", show_csr_rows},
    {"causes", show_causes},
    {"exits", show_exits},
    {"kvm-exits", show_kvm_exits},
};

enum { COUNT = sizeof TABLES / sizeof *TABLES };

int cmd_isa(const struct options *options, int argc, char **argv)
{
    for (int i = 0; i < COUNT; i++)
        if (argc == 1 && !strcmp(argv[0], TABLES[i].name)) {
            TABLES[i].show();
            return 0;
        }
    if (argc == 1)
        return cmd_fail("isa: '%s' is not instructions, csrs, causes, exits or kvm-exits", argv[0]);
    for (int i = 0; i < COUNT; i++) {
        printf("%s# %s\n", i ? "\n" : "", TABLES[i].name);
        TABLES[i].show();
    }
    return 0;
}
