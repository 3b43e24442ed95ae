/*
 * Views as text, see show.h.
 *
 * Deliberately without colours and without regard to the terminal's width: the output is also read
 * by scripts and diffs.
 */
#include "config.h"

#include "hv/cmd/show.h"

#include <inttypes.h>
#include <string.h>

#include "cpu/isa.h"
#include "cpu/rv.h"

const char *show_mode(unsigned mode)
{
    static const char *const NAMES[] = {"U", "S", "?", "M"};
    return NAMES[mode & 3];
}

const char *show_permissions(uint32_t pte, char text[static 10])
{
    static const struct {
        uint32_t bit;
        char letter;
    } BITS[] = {{PTE_R, 'r'}, {PTE_W, 'w'}, {PTE_X, 'x'}, {PTE_U, 'u'},
                {PTE_G, 'g'}, {PTE_A, 'a'}, {PTE_D, 'd'}};
    char *at = text;
    for (size_t i = 0; i < sizeof BITS / sizeof *BITS; i++)
        *at++ = pte & BITS[i].bit ? BITS[i].letter : '-';
    *at = '\0';
    return text;
}

const char *show_page_size(uint32_t bytes)
{
    switch (bytes) {
    case 1u << 30: return "1 GiB";
    case 4u << 20: return "4 MiB";
    case 2u << 20: return "2 MiB";
    default: return "4 KiB";
    }
}

/* ---- registers ---------------------------------------------------------------------------- */

static void show_hart_line(FILE *out, const struct view_hart *hart)
{
    fprintf(out, "%s hart: pc%c0x%08x, mode %s%s%s, %" PRIu64 " instructions, mtime %" PRIu64 "\n",
            hart->kind == VIEW_VIRTUAL ? "virtual" : "real", hart->pc_changed ? '*' : ' ', hart->pc,
            show_mode(hart->mode), hart->mode_changed ? "*" : "",
            hart->waiting ? ", waiting for an interrupt" : "", hart->instructions, hart->mtime);
}

void show_registers(FILE *out, const struct view_hart *hart)
{
    show_hart_line(out, hart);
    for (unsigned i = 0; i < 32; i++)
        fprintf(out, "  %-4s%c0x%08x%s", isa_register_name(i), hart->x_changed >> i & 1 ? '*' : ' ',
                hart->x[i], i % 4 == 3 ? "\n" : "");
}

/* A wide register's upper half first. */
static void show_any_register(FILE *out, const struct view_register *r)
{
    char value[40];
    int digits = r->bits > 64 ? 16 : (r->bits + 3) / 4;
    if (r->bits > 64)
        snprintf(value, sizeof value, "0x%0*" PRIx64 "%016" PRIx64, (r->bits - 64 + 3) / 4, r->high,
                 r->value);
    else
        snprintf(value, sizeof value, "0x%0*" PRIx64, digits, r->value);
    fprintf(out, "  %-16s%c", r->name, r->changed ? '*' : ' ');
    if (*r->text)
        fprintf(out, "%-*s  %s\n", r->bits > 64 ? 34 : 18, value, r->text);
    else
        fprintf(out, "%s\n", value);
}

bool show_any_registers(FILE *out, const struct view_registers *registers, const char *group)
{
    const char *last = "";
    for (unsigned i = 0; i < registers->count; i++) {
        const struct view_register *r = &registers->reg[i];
        if (strcmp(group, "all") && strncmp(group, r->group, strlen(group)))
            continue;
        if (strcmp(last, r->group))
            fprintf(out, "%s\n", r->group);
        last = r->group;
        show_any_register(out, r);
    }
    return *last != '\0';
}

static void show_pair(FILE *out, const char *name, uint32_t real, uint32_t virtual)
{
    fprintf(out, "  %-14s 0x%08x  0x%08x%s\n", name, real, virtual, real == virtual ? "" : "  !");
}

void show_registers_both(FILE *out, const struct view_hart *real, const struct view_hart *virtual)
{
    fprintf(out, "  %-14s %-10s  %-10s\n", "", "real", "virtual");
    fprintf(out, "  %-14s %-10s  %-10s%s\n", "mode", show_mode(real->mode),
            show_mode(virtual->mode), real->mode == virtual->mode ? "" : "  !");
    show_pair(out, "pc", real->pc, virtual->pc);
    for (unsigned i = 1; i < 32; i++)
        show_pair(out, isa_register_name(i), real->x[i], virtual->x[i]);
    for (unsigned i = 0; i < real->csr_count; i++)
        for (unsigned j = 0; j < virtual->csr_count; j++)
            if (real->csr[i].number == virtual->csr[j].number)
                show_pair(out, real->csr[i].name, real->csr[i].value, virtual->csr[j].value);
}

void show_csrs(FILE *out, const struct view_hart *hart)
{
    show_hart_line(out, hart);
    for (unsigned i = 0; i < hart->csr_count; i++) {
        const struct view_csr *csr = &hart->csr[i];
        const struct csr_row *row = isa_csr(csr->number);
        fprintf(out, "  %-14s 0x%03x %s%c0x%08x  %s\n", csr->name, csr->number,
                show_mode(csr->privilege), csr->changed ? '*' : ' ', csr->value,
                row ? row->meaning : "");
    }
}

/* ---- instructions ------------------------------------------------------------------------- */

/* Of a processor whose instructions have many lengths: byte by byte, as they stand in memory. */
static void show_bytes(FILE *out, const struct view_insn *insn)
{
    char hex[2 * sizeof insn->bytes + 1] = "";
    for (unsigned i = 0; i < insn->length && i < sizeof insn->bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", insn->bytes[i]);
    fprintf(out, "%-20s  %-32s", hex, insn->text);
}

void show_insns(FILE *out, enum view_isa isa, const struct view_insn *insn, int count, uint64_t pc)
{
    for (int i = 0; i < count; i++) {
        const struct view_insn *at = &insn[i];
        if (at->symbol_start)
            fprintf(out, "%s:\n", at->symbol);
        fprintf(out, "%s%c 0x%08" PRIx64 "  ", at->va == pc ? "=>" : "  ",
                at->breakpoint ? '*' : ' ', at->va);
        if (at->readable && isa == ISA_X86)
            show_bytes(out, at);
        else if (at->readable)
            fprintf(out, "%08x  %-32s", at->word, at->text);
        else
            fprintf(out, "%-8s  %-32s", "", at->text);
        if (at->sensitive)
            fprintf(out, " [traps]");
        if (at->line)
            fprintf(out, " %s:%d", at->file, at->line);
        fputc('\n', out);
    }
}

/* ---- translation -------------------------------------------------------------------------- */

/* What Intel calls the table of a level. */
static const char *x86_table(unsigned level)
{
    static const char *const NAMES[] = {"table", "directory", "PDPT", "PML4", "PML5"};
    return level < sizeof NAMES / sizeof *NAMES ? NAMES[level] : "?";
}

static void show_step(FILE *out, const struct view_walk_step *step, enum view_isa isa)
{
    char bits[10];
    if (isa == ISA_X86)
        fprintf(out, "    %-9s", x86_table(step->level));
    else
        fprintf(out, "    level %u,", step->level);
    fprintf(out, " entry %4u at 0x%08" PRIx64 ": 0x%08" PRIx64 " ", step->index, step->pte_pa,
            step->pte);
    if (!(step->flags & PTE_V))
        fprintf(out, "not valid");
    else if (step->leaf)
        fprintf(out, "leaf %s, page at 0x%08" PRIx64, show_permissions(step->flags, bits),
                step->next_pa);
    else
        fprintf(out, "table at 0x%08" PRIx64, step->next_pa);
    if (step->updated)
        fprintf(out, ", becomes 0x%08" PRIx64, step->pte_new);
    fputc('\n', out);
}

static void show_walk(FILE *out, const char *title, const char *from, const char *to,
                      const struct view_walk *walk, enum view_isa isa)
{
    char bits[10];
    if (!walk->present) {
        fprintf(out, "  %-14s none here\n", title);
        return;
    }
    const char *mode = isa == ISA_RV32 ? show_mode(walk->mode) : walk->mode ? "CPL 0" : "CPL 3";
    fprintf(out, "  %-14s %s 0x%08" PRIx64 " -> ", title, from, walk->va);
    if (walk->ok)
        fprintf(out, "%s 0x%08" PRIx64, to, walk->pa);
    else
        fprintf(out, "%s: %s", walk->fault, walk->why);
    if (walk->bare)
        fprintf(out, ", translation is off");
    else if (walk->ok)
        fprintf(out, ", %s, %s page", show_permissions(walk->permissions, bits),
                show_page_size(walk->page_size));
    fputc('\n', out);
    if (walk->step_count)
        fprintf(out, "    root table at 0x%08" PRIx64 ", address space %u, as %s\n", walk->root_pa,
                walk->asid, mode);
    for (int i = 0; i < walk->step_count && i < VIEW_WALK_STEPS; i++)
        show_step(out, &walk->step[i], isa);
}

static const char *change_name(enum shadow_change_kind kind)
{
    static const char *const NAMES[] = {"unchanged", "filled", "upgraded", "dropped"};
    return NAMES[kind & 3];
}

static void show_change(FILE *out, const struct view_shadow_change *change)
{
    fprintf(out, "  newest change  %s", change_name(change->kind));
    if (change->count == 1)
        fprintf(out, " 0x%08" PRIx64 ", entry 0x%08" PRIx64 " -> 0x%08" PRIx64, change->va,
                change->pte_old, change->pte_new);
    else
        fprintf(out, " %u entries", change->count);
    fprintf(out, " at exit %" PRIu64 ": %s\n", change->exit_seq, change->reason);
}

/* On the host's processor the second translation is the hardware's own (EPT, NPT), which nobody is
 * shown; what it leads to is memory of this program. */
static void show_x86_translation(FILE *out, const struct view_translation *translation)
{
    show_walk(out, "guest table", "gVA", "gPA", &translation->guest, ISA_X86);
    if (translation->guest.ok)
        show_walk(out, "memory slot", "gPA", "this program's", &translation->map, ISA_X86);
}

void show_translation(FILE *out, const struct view_translation *translation, enum view_isa isa)
{
    fprintf(out, "0x%08" PRIx64 ", access %c\n", translation->va, translation->access);
    if (isa == ISA_X86) {
        show_x86_translation(out, translation);
        return;
    }
    bool monitored = translation->map.present || translation->shadow.present;
    show_walk(out, monitored ? "guest table" : "page table", monitored ? "gVA" : "VA",
              monitored ? "gPA" : "PA", &translation->guest, isa);
    if (!monitored)
        return;
    show_walk(out, "monitor's map", "gPA", "hPA", &translation->map, isa);
    show_walk(out, "shadow table", "gVA", "hPA", &translation->shadow, isa);
    if (translation->shadow_class[0])
        fprintf(out, "    of class %s; %u shadow tables alive\n", translation->shadow_class,
                translation->shadow_sets);
    if (translation->change.kind != SHADOW_NONE)
        show_change(out, &translation->change);
}

void show_table(FILE *out, const struct view_table *table)
{
    static const char *const TITLES[] = {"guest table, gVA -> gPA", "monitor's map, gPA -> hPA",
                                         "shadow table, gVA -> hPA"};
    char bits[10];
    if (!table->present) {
        fprintf(out, "%s: none here\n", TITLES[table->kind]);
        return;
    }
    fprintf(out, "%s: root 0x%08" PRIx64 ", %u run%s of pages%s\n", TITLES[table->kind],
            table->root_pa, table->count, table->count == 1 ? "" : "s",
            table->truncated ? " (there are more)" : "");
    for (unsigned i = 0; i < table->count; i++) {
        const struct view_region *region = &table->region[i];
        fprintf(out,
                "  0x%08" PRIx64 "..0x%08" PRIx64 " -> 0x%08" PRIx64 "  %s  %" PRIu64
                " KiB by %s\n",
                region->va, region->va + (region->size - 1), region->pa,
                show_permissions(region->permissions, bits), region->size >> 10,
                show_page_size(region->page_size));
    }
}

void show_tlb(FILE *out, const struct view_tlb *tlb)
{
    char bits[10];
    fprintf(out, "%u entries, %" PRIu64 " misses\n", tlb->count, tlb->misses);
    for (unsigned i = 0; i < tlb->count; i++) {
        const struct view_tlb_entry *entry = &tlb->entry[i];
        fprintf(out, "  0x%08" PRIx64 " -> 0x%08" PRIx64 "  %s  %s  ", entry->va, entry->pa,
                show_permissions(entry->permissions, bits), show_mode(entry->mode));
        if (entry->satp)
            fprintf(out, "root 0x%08x, address space %u\n", SATP_PPN(entry->satp) << PAGE_SHIFT,
                    SATP_ASID(entry->satp));
        else
            fprintf(out, "translation off\n");
    }
}

/* ---- memory ------------------------------------------------------------------------------- */

static bool byte_valid(const struct view_memory *memory, uint32_t n)
{
    return n < memory->length && memory->valid[n / 8] >> n % 8 & 1;
}

static void show_memory_line(FILE *out, const struct view_memory *memory, uint32_t start)
{
    char text[17] = "";
    fprintf(out, "  0x%08" PRIx64 " ", memory->address + start);
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t n = start + i;
        uint8_t byte = n < memory->length ? memory->data[n] : 0;
        if (byte_valid(memory, n))
            fprintf(out, " %02x", byte);
        else
            fprintf(out, n < memory->length ? " --" : "   ");
        text[i] = !byte_valid(memory, n) ? ' ' : byte >= ' ' && byte < 0x7f ? (char)byte : '.';
    }
    fprintf(out, "  %s\n", text);
}

void show_memory(FILE *out, const struct view_memory *memory)
{
    for (uint32_t start = 0; start < memory->length && start < sizeof memory->data; start += 16)
        show_memory_line(out, memory, start);
}

/* ---- snapshots, dirty pages ---------------------------------------------------------------- */

void show_snapshot(FILE *out, const struct view_snapshot *snapshot)
{
    char parent[24] = "the start";
    if (snapshot->parent)
        snprintf(parent, sizeof parent, "%d", snapshot->parent);
    fprintf(out,
            "%c%d  after %s: %" PRIu64 " pages of its own, %" PRIu64 " KiB, at exit %" PRIu64
            "  %s\n",
            snapshot->current ? '*' : ' ', snapshot->id, parent, snapshot->pages,
            snapshot->bytes >> 10, snapshot->exits, snapshot->name);
}

/* Children below their parent; deeper than this they are no longer moved to the right. */
enum { DEEPEST = 64 };

void show_snapshots_tree(FILE *out, const struct view_snapshot *list, int count)
{
    bool more[DEEPEST] = {false};
    for (int i = 0; i < count; i++) {
        const struct view_snapshot *s = &list[i];
        int depth = s->depth < DEEPEST ? s->depth : DEEPEST - 1;
        for (int k = 0; k < depth; k++)
            fputs(more[k] ? "|   " : "    ", out);
        more[depth] = !s->last;
        fprintf(out, "%s%d%s%s  (%" PRIu64 " pages, %" PRIu64 " exits)%s\n",
                s->last ? "`-- " : "|-- ", s->id, *s->name ? " " : "", s->name, s->pages, s->exits,
                s->current ? "  <- here" : "");
    }
}

void show_difference(FILE *out, const struct view_difference *d)
{
    unsigned pages = (unsigned)((d->b - d->a) / 4096 + 1);
    fprintf(out, "%-16s ", d->part);
    switch (d->kind) {
    case DIFFERENCE_VALUE:
        fprintf(out, "%-16s 0x%" PRIx64 " -> 0x%" PRIx64 "\n", d->name, d->a, d->b);
        break;
    case DIFFERENCE_MEMORY:
    case DIFFERENCE_DISK:
        fprintf(out, "0x%08" PRIx64 "..0x%08" PRIx64 "  %u %s\n", d->a, d->b, pages,
                d->kind == DIFFERENCE_DISK ? "blocks" : "pages");
        break;
    default:
        fprintf(out, "%s\n", d->kind == DIFFERENCE_PIECE ? "differs" : "is not in both of them");
    }
}

void show_differences(FILE *out, const struct view_differences *d)
{
    uint64_t left = 0;
    for (unsigned i = 0; i < d->count; i++)
        show_difference(out, &d->difference[i]);
    for (int kind = 0; kind < DIFFERENCE_KINDS; kind++)
        left += d->total[kind];
    left -= d->count;
    if (left)
        fprintf(out, "and %" PRIu64 " more\n", left);
    if (!d->count)
        fprintf(out, "they are equal\n");
}

/* A run of pages that are equally hot is a line; a # for each eighth of the heat. */
void show_heat(FILE *out, const struct view_dirty *dirty, uint8_t least)
{
    uint64_t cell = (uint64_t)dirty->pages_per_cell * 4096;
    for (uint32_t from = 0, to; from < dirty->cells; from = to) {
        uint8_t heat = dirty->heat[from];
        for (to = from + 1; to < dirty->cells && dirty->heat[to] == heat;)
            to++;
        if (heat >= least && heat)
            fprintf(out, "  0x%08" PRIx64 "..0x%08" PRIx64 "  %.*s\n", from * cell, to * cell - 1,
                    (heat + 31) / 32, "########");
    }
}

/* ---- exits and devices -------------------------------------------------------------------- */

/* On the host's processor: time is measured, instructions are not counted. */
static void show_timed_exit(FILE *out, const struct view_exit *exit)
{
    fprintf(out, "exit %" PRIu64 " vcpu %u rip 0x%08" PRIx64 ": %s%s%s, %.1f us: %s\n", exit->seq,
            exit->vcpu, exit->pc, exit->reason_name, *exit->text ? ", " : "", exit->text,
            (double)exit->ns / 1000, exit->action);
}

void show_exit(FILE *out, const struct view_exit *exit)
{
    if (exit->ns) {
        show_timed_exit(out, exit);
        return;
    }
    fprintf(out,
            "exit %" PRIu64 " after %" PRIu64 " %s pc 0x%08" PRIx64
            ": %s%s%s [%s] tval 0x%08" PRIx64 ", cost %u: %s",
            exit->seq, exit->instruction, show_mode(exit->mode), exit->pc, exit->reason_name,
            *exit->text ? ", " : "", /* a fetch that faults has no instruction yet */
            exit->text, isa_cause_name(exit->cause), exit->tval, exit->cost, exit->action);
    if (exit->shadow.kind != SHADOW_NONE)
        fprintf(out, " (shadow %s: %s)", change_name(exit->shadow.kind), exit->shadow.reason);
    fputc('\n', out);
}

void show_exit_stats(FILE *out, const struct view_exit_stats *stats)
{
    if (stats->ns)
        fprintf(out, "%" PRIu64 " exits, %.3f ms in the monitor\n", stats->total,
                (double)stats->ns / 1e6);
    else
        fprintf(out, "%" PRIu64 " exits in %" PRIu64 " instructions\n", stats->total,
                stats->instructions);
    for (unsigned i = 0; i < stats->count; i++) {
        const struct view_exit_count *row = &stats->by_reason[i];
        if (row->count && stats->ns)
            fprintf(out, "  %10" PRIu64 "  %-24s %9.1f us each  %s\n", row->count, row->name,
                    (double)row->ns / 1000 / (double)row->count, row->meaning);
        else if (row->count)
            fprintf(out, "  %10" PRIu64 "  %-24s cost %10" PRIu64 "  %s\n", row->count, row->name,
                    row->cost, row->meaning);
    }
}

void show_devices(FILE *out, const struct view_devices *devices)
{
    for (unsigned i = 0; i < devices->count; i++) {
        const struct view_device *device = &devices->device[i];
        fprintf(out,
                device->ports ? "%s at ports 0x%" PRIx64 "..0x%" PRIx64
                              : "%s at 0x%08" PRIx64 "..0x%08" PRIx64,
                device->name, device->base, device->base + (device->size - 1));
        if (device->irq)
            fprintf(out, ", interrupt %d", device->irq);
        fprintf(out, ": %s\n", device->about);
        for (unsigned j = 0; j < device->count; j++) {
            const struct view_device_register *reg = &device->reg[j];
            fprintf(out, "  +0x%05x %u %-2s %-18s 0x%08" PRIx64 "  %s\n", reg->offset, reg->size,
                    reg->access, reg->name, reg->value, reg->meaning);
        }
    }
}

/* Where KVM has given the vCPU up, the detail says in its first line what the text does. */
static void show_x86_stop(FILE *out, const struct view_status *status)
{
    size_t first = strcspn(status->detail, "\n");
    fprintf(out, "%.*s; vcpu %u, %" PRIu64 " exits\n", first ? (int)first : VIEW_TEXT,
            first ? status->detail : status->text, status->vcpu, status->exits);
    if (status->detail[first])
        fputs(status->detail + first + 1, out);
}

void show_stop(FILE *out, struct session *session)
{
    struct view_status status;
    struct view_insn insn;
    session_status(session, &status);
    if (status.counted)
        fprintf(out, "%s; %" PRIu64 " instructions, %" PRIu64 " %s\n", status.text,
                status.instructions, status.exits, status.under_monitor ? "exits" : "traps");
    else
        show_x86_stop(out, &status);
    if (status.state == SESSION_ENDED)
        return;
    if (session_disassemble_pc(session, 0, &insn, 1) == 1)
        show_insns(out, status.isa, &insn, 1, insn.va);
}
