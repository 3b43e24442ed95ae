/*
 * Views as text: what `vitrine debug`, `walk`, `devices` and `disasm` print.
 *
 * Each function prints one view of session.h on `out`, and changes nothing.
 */
#ifndef VITRINE_HV_CMD_SHOW_H
#define VITRINE_HV_CMD_SHOW_H

#include <stdbool.h>
#include <stdio.h>

#include "hv/session.h"

/* Registers of one hart; changed ones are marked with *. */
void show_registers(FILE *out, const struct view_hart *hart);
/* Registers of any processor: those of the group whose name begins so, or of "all".
 * False: there is no such group. */
bool show_any_registers(FILE *out, const struct view_registers *registers, const char *group);
/* Both harts side by side; those that differ are marked with !. */
void show_registers_both(FILE *out, const struct view_hart *real, const struct view_hart *virtual);
void show_csrs(FILE *out, const struct view_hart *hart);
/* One instruction a line: address, word, text, symbol and source line; `pc` is marked. */
/* Those of RISC-V as words, those of x86 byte by byte. */
void show_insns(FILE *out, enum view_isa isa, const struct view_insn *insn, int count, uint64_t pc);
/* The three translations, level by level. */
void show_translation(FILE *out, const struct view_translation *translation, enum view_isa isa);
void show_table(FILE *out, const struct view_table *table);
void show_snapshot(FILE *out, const struct view_snapshot *snapshot);
/* Of session_snapshot_tree(). */
void show_snapshots_tree(FILE *out, const struct view_snapshot *list, int count);
/* A line. */
void show_difference(FILE *out, const struct view_difference *difference);
void show_differences(FILE *out, const struct view_differences *differences);
/* Those parts of memory that are at least so hot: 1 to 255. */
void show_heat(FILE *out, const struct view_dirty *dirty, uint8_t least);
void show_tlb(FILE *out, const struct view_tlb *tlb);
void show_memory(FILE *out, const struct view_memory *memory);
/* One line. */
void show_exit(FILE *out, const struct view_exit *exit);
void show_exit_stats(FILE *out, const struct view_exit_stats *stats);
void show_devices(FILE *out, const struct view_devices *devices);
/* Where and why it stands, in one line, and the instruction there. */
void show_stop(FILE *out, struct session *session);

/* "U", "S" or "M". */
const char *show_mode(unsigned mode);
/* The bits R W X U G A D of a leaf as letters, with dashes for those that are clear. */
const char *show_permissions(uint32_t pte, char text[static 10]);
/* "4 KiB", "2 MiB" ... */
const char *show_page_size(uint32_t bytes);

#endif
