/*
 * Guests: what it takes to start one, and which samples there are.
 *
 * Samples are in the build tree, in the folder one is in, or where `make install` put them.
 */
#ifndef VITRINE_GUI_GUESTS_H
#define VITRINE_GUI_GUESTS_H

#include <glib.h>

#include "hv/session.h"

/* Strings are the struct's own. */
struct guest {
    enum session_under under;
    char *image, *disk;
    char *kept; /* a session directory: it says all else, and where it runs; `image` is NULL then */
    char *kernel_args, *initrd, *firmware, *boot, *net; /* as in struct session_config */
    gboolean disk_readonly;
    unsigned cpus;    /* 0: one */
    uint64_t memory;  /* bytes; 0: the default */
    uint64_t history; /* bytes that going back in time may take; 0: one cannot */
    int kvm_fd;       /* -1: none is given */
};

void guest_init(struct guest *guest);
void guest_clear(struct guest *guest);
/* `to` must not own anything yet. */
void guest_copy(struct guest *to, const struct guest *from);
/* Fills in the part of a configuration that is about the guest; it borrows the strings. */
void guest_configure(const struct guest *guest, struct session_config *config);
/* The file that it is named after. */
const char *guest_path(const struct guest *guest);

enum { GUEST_HISTORY = 256 << 20 }; /* what struct guest begins with */

/* A sample that comes with the project. */
struct sample {
    const char *name; /* "minios/minios.elf", below the folder of the samples */
    const char *disk; /* NULL: none */
    const char *about;
    gboolean x86;
};

/* The samples, those for RISC-V first; `index` from 0 on, NULL after the last. */
const struct sample *sample_nth(unsigned index);
/* Makes the sample the guest. FALSE: it was not built, and `guest` is as it was initialized. */
gboolean sample_find(const struct sample *sample, struct guest *guest);

#endif
