/* Symbols of an x86 guest. See symbols.h. */
#include "config.h"

#include "hv/kvm/symbols.h"

#include <fcntl.h>
#include <unistd.h>

#include "cpu/symbols.h"

struct symbols *kvm_symbols_load(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    struct symbols *symbols = elf && elf_kind(elf) == ELF_K_ELF ? symbols_read(elf, true) : NULL;
    elf_end(elf);
    close(fd);
    return symbols;
}
