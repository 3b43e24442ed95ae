/* Guests and samples. See guests.h. */
#include "gui/guests.h"

#include <gio/gio.h>
#include <string.h>

/* ---- what to start ------------------------------------------------------------------------ */

void guest_init(struct guest *guest)
{
    *guest = (struct guest){.under = SESSION_HV, .kvm_fd = -1, .history = GUEST_HISTORY};
}

void guest_clear(struct guest *guest)
{
    g_free(guest->image);
    g_free(guest->disk);
    g_free(guest->kept);
    g_free(guest->kernel_args);
    g_free(guest->initrd);
    g_free(guest->firmware);
    g_free(guest->boot);
    g_free(guest->net);
    guest_init(guest);
}

void guest_copy(struct guest *to, const struct guest *from)
{
    *to = *from;
    to->image = g_strdup(from->image);
    to->disk = g_strdup(from->disk);
    to->kept = g_strdup(from->kept);
    to->kernel_args = g_strdup(from->kernel_args);
    to->initrd = g_strdup(from->initrd);
    to->firmware = g_strdup(from->firmware);
    to->boot = g_strdup(from->boot);
    to->net = g_strdup(from->net);
}

void guest_configure(const struct guest *guest, struct session_config *config)
{
    config->under = guest->under;
    config->image = guest->image;
    config->disk = guest->disk;
    config->disk_readonly = guest->disk_readonly;
    config->kernel_args = guest->kernel_args;
    config->initrd = guest->initrd;
    config->firmware = guest->firmware;
    config->boot_format = guest->boot;
    config->net = guest->net;
    config->kvm_fd = guest->kvm_fd;
    config->cpus = guest->cpus ? guest->cpus : config->cpus;
    config->memory = guest->memory ? guest->memory : config->memory;
    config->history = guest->history;
}

const char *guest_path(const struct guest *guest)
{
    return guest->kept    ? guest->kept
           : guest->image ? guest->image
           : guest->disk  ? guest->disk
                          : guest->firmware;
}

/* ---- samples ------------------------------------------------------------------------------ */

static const struct sample samples[] = {
    {"minios/minios.elf", "minios/fs.img", "a small Unix: processes, system calls, a shell", FALSE},
    {"hello.elf", NULL, "the smallest guest: it greets and switches off", FALSE},
    {"traps.elf", NULL, "every kind of exit, one after the other", FALSE},
    {"paging.elf", NULL, "page tables that change under the shadow's feet", FALSE},
    {"primes.elf", NULL, "a guest that only computes and hardly exits", FALSE},
    {"linux/linux.elf", "linux/disk.img", "Linux for 32-bit RISC-V", FALSE},
    {"x86/hello16.img", NULL, "a boot sector in 16-bit code", TRUE},
    {"x86/hello64.elf", NULL, "64-bit code from the first instruction on", TRUE},
    {"x86/multiboot/multiboot.elf", NULL, "a 32-bit kernel that a boot loader starts", TRUE},
    {"x86/longmode/longmode.elf", NULL,
     "a 64-bit kernel: its page tables, interrupts, tasks at CPL 3", TRUE},
    {"x86/chaos.elf", NULL, "a guest that does everything wrong", TRUE},
};

static char *existing(const char *folder, const char *name)
{
    char *path = g_build_filename(folder, "samples", name, NULL);
    if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return path;
    g_free(path);
    return NULL;
}

/* Installed samples all lie in one folder (or that of x86). */
static char *find_in(const char *folder, const char *name)
{
    char *base = g_path_get_basename(name);
    char *flat =
        g_str_has_prefix(name, "x86/") ? g_build_filename("x86", base, NULL) : g_strdup(base);
    char *path = existing(folder, name);
    if (!path)
        path = existing(folder, flat);
    g_free(flat);
    g_free(base);
    return path;
}

static char *find(const char *name)
{
    char *program = g_file_read_link("/proc/self/exe", NULL);
    char *folder = program ? g_path_get_dirname(program) : NULL;
    char *path = folder ? find_in(folder, name) : NULL;
    if (!path)
        path = find_in(".", name);
    if (!path)
        path = find_in(VITRINE_DATADIR, name);
    g_free(folder);
    g_free(program);
    return path;
}

const struct sample *sample_nth(unsigned index)
{
    return index < G_N_ELEMENTS(samples) ? &samples[index] : NULL;
}

gboolean sample_find(const struct sample *sample, struct guest *guest)
{
    char *image = find(sample->name);
    if (!image)
        return FALSE;
    guest->under = sample->x86 ? SESSION_KVM : SESSION_HV;
    guest->image = image;
    guest->disk = sample->disk ? find(sample->disk) : NULL;
    guest->disk_readonly = guest->disk != NULL; /* it belongs to all who use this copy */
    return TRUE;
}
