/*
 * Becoming another program: reads the headers of an ELF file and makes an address space from them.
 *
 * Nothing of the program itself is read: the new space knows which part of the file belongs where,
 * and vm_fault() fetches a page when it is touched first. Only the stack's last page is made here,
 * with the arguments on it:
 *
 *   USER_TOP ->  | "cat\0README\0" | argv[0] argv[1] NULL | <- sp, a1
 *
 * The old space stays until nothing can fail any more.
 */
#include "minios.h"

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

enum { EXECUTABLE = 2, RISCV = 243, LOAD = 1, FLAG_X = 1, FLAG_W = 2, FLAG_R = 4 };

static bool is_program(const struct elf_header *elf)
{
    static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 1, 1}; /* 32 bits, little-endian */
    for (unsigned i = 0; i < sizeof ident; i++)
        if (elf->ident[i] != ident[i])
            return false;
    return elf->type == EXECUTABLE && elf->machine == RISCV &&
           elf->phentsize == sizeof(struct program_header);
}

static int add_segment(struct space *space, const struct program_header *header)
{
    if (header->memsz == 0)
        return 0;
    if (space->segments == MAX_SEGMENTS || header->vaddr % PAGE || header->vaddr < space->heap ||
        header->vaddr > USER_HEAP || header->memsz > USER_HEAP - header->vaddr ||
        header->filesz > header->memsz)
        return -1;
    space->segment[space->segments++] = (struct segment){
        .va = header->vaddr,
        .memory_size = header->memsz,
        .file_size = header->filesz,
        .offset = header->offset,
        .rights = (header->flags & FLAG_R ? PTE_R : 0) | (header->flags & FLAG_W ? PTE_W : 0) |
                  (header->flags & FLAG_X ? PTE_X : 0),
    };
    space->heap = (header->vaddr + header->memsz + PAGE - 1) & ~(PAGE - 1u);
    return 0;
}

/* Segments must be in ascending order, so that none overlaps another. The heap comes behind. */
static int read_program(struct space *space, int file, uint32_t *entry)
{
    struct elf_header elf;
    if (fs_read(file, 0, &elf, sizeof elf) != sizeof elf || !is_program(&elf))
        return -1;
    space->file = file;
    space->heap = USER_START;
    for (uint32_t i = 0; i < elf.phnum; i++) {
        struct program_header header;
        if (fs_read(file, elf.phoff + i * sizeof header, &header, sizeof header) != sizeof header)
            return -1;
        if (header.type == LOAD && add_segment(space, &header) != 0)
            return -1;
    }
    space->heap_end = space->heap;
    *entry = elf.entry;
    return 0;
}

/* The stack's last page; the strings' lengths were checked to fit. Returns the stack pointer. */
static uint32_t make_stack(struct space *space, int argc, char *const *argv)
{
    char *page = page_new();
    if (!page)
        return 0;
    uint32_t address[ARGS_MAX + 1] = {0};
    uint32_t at = PAGE;
    for (int i = argc - 1; i >= 0; i--) {
        uint32_t length = 1;
        while (argv[i][length - 1])
            length++;
        at -= length;
        memcpy(page + at, argv[i], length);
        address[i] = USER_TOP - PAGE + at;
    }
    at = (at - sizeof address) & ~15u;
    memcpy(page + at, address, sizeof address);
    if (vm_map(space, USER_TOP - PAGE, page, PTE_R | PTE_W) != 0) {
        page_drop(page);
        return 0;
    }
    return USER_TOP - PAGE + at;
}

int exec(struct process *process, const char *path, int argc, char *const *argv)
{
    int file = fs_open(path);
    struct space space;
    uint32_t entry = 0, sp = 0;
    if (file < 0 || vm_new(&space) != 0)
        return -1;
    if (read_program(&space, file, &entry) == 0)
        sp = make_stack(&space, argc, argv);
    if (sp == 0) {
        vm_free(&space);
        return -1;
    }
    struct space old = process->space;
    process->space = space;
    vm_use(&process->space);
    vm_free(&old);
    string_copy(process->name, path, sizeof process->name);

    struct frame *frame = process->frame;
    memset(frame, 0, sizeof *frame);
    frame->epc = entry;
    frame->status = MSTATUS_SPIE; /* SPP = U, interrupts on after SRET */
    frame->x[SP] = sp;
    frame->x[A1] = sp; /* argv; argc is the system call's result, in a0 */
    return 0;
}
