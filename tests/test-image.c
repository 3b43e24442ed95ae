/* The image loader: what it loads, and everything that it must refuse, with words. */
#include "cpu/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/symbols.h"
#include "tests/device.h"
#include "tests/elf-sample.h"
#include "tests/tap.h"

enum { MEMORY = 8 << 20 };
#define RAM 0x80000000u

static struct elf_sample sample;
static struct ram ram;
static struct image image;
static char why[IMAGE_ERROR];
static char folder[] = "/tmp/vitrine-test-image.XXXXXX";
static char path[64];

static void setup(void)
{
    elf_sample(&sample);
    ck_assert_int_eq(ram_init(&ram, RAM, MEMORY), 0);
    why[0] = 0;
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/guest.elf", folder);
}

static void teardown(void)
{
    unlink(path);
    rmdir(path);
    rmdir(folder);
    ram_free(&ram);
}

static void save(const void *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, count), (ssize_t)count);
    close(fd);
}

static uint64_t memory(void)
{
    struct digest digest;
    digest_init(&digest);
    ram_digest(&ram, &digest);
    return digest.value;
}

static int load(size_t count)
{
    return image_load_bytes(&image, "guest.elf", (const uint8_t *)&sample, count, &ram, why);
}

/* Refused with one line that names the file and says `words`, and nothing was written. */
static void expect_refusal(int error, const char *words)
{
    ck_assert_msg(error == -EINVAL, "not refused (%d), expected \"%s\"", error, words);
    ck_assert_msg(strstr(why, words), "\"%s\" does not say \"%s\"", why, words);
    ck_assert_msg(strstr(why, "guest.elf"), "\"%s\" does not name the file", why);
    ck_assert_ptr_null(strchr(why, '\n'));
    ck_assert_ptr_null(image.symbols);
    struct ram empty;
    struct digest fresh;
    ck_assert_int_eq(ram_init(&empty, RAM, MEMORY), 0);
    digest_init(&fresh);
    ram_digest(&empty, &fresh);
    ck_assert_uint_eq(memory(), fresh.value);
    ram_free(&empty);
}

/* ---- loading ------------------------------------------------------------------------------ */

START_TEST(loads_segments_and_clears_bss)
{
    static uint8_t page[0x3000], back[0x3000];
    memset(page, 0xff, sizeof page);
    ck_assert(ram_write(&ram, RAM, page, sizeof page));
    ck_assert_int_eq(load(sizeof sample), 0);
    ck_assert(!image.flat);
    ck_assert_uint_eq(image.entry, 0x80002004u); /* physical */
    ck_assert_uint_eq(image.low, 0x80000000u);
    ck_assert_uint_eq(image.high, 0x80002010u);
    memcpy(page, sample.text, 64);
    memset(page + 64, 0, 4096);
    memcpy(page + 0x2000, sample.text, 16);
    ck_assert(ram_read(&ram, RAM, back, sizeof back));
    ck_assert_mem_eq(back, page, sizeof page);
    symbols_free(image.symbols);
}
END_TEST

START_TEST(finds_symbols)
{
    static const struct {
        uint32_t address;
        const char *name;
        uint32_t offset;
    } places[] = {
        {0x80000000u, "start", 0}, {0x80000004u, "start", 4}, {0x80000008u, "loop", 0},
        {0x8000003cu, "loop", 0x34}, {0x80000040u, "end", 0}, {0x80000100u, "end", 0xc0},
        {0xc0002000u, "high", 0}, {0xc000200fu, "high", 15}, {0xc0002010u, NULL, 0},
        {0x7fffffffu, NULL, 0}, {0, NULL, 0}, {0xffffffffu, NULL, 0},
    };
    static const char *const order[] = {"start", "loop", "end", "high"};
    uint64_t address, offset, size;
    ck_assert_int_eq(load(sizeof sample), 0);
    for (int i = 0; i < ROWS(places); i++) {
        const char *name = symbols_at(image.symbols, places[i].address, &offset);
        ck_assert_pstr_eq(name, places[i].name);
        if (name)
            ck_assert_uint_eq(offset, places[i].offset);
    }
    for (int i = 0; i < ROWS(order); i++) {
        ck_assert_str_eq(symbols_nth(image.symbols, (unsigned)i, &address, &size), order[i]);
        ck_assert(symbols_find(image.symbols, order[i], &offset));
        ck_assert_uint_eq(address, offset);
    }
    ck_assert_ptr_null(symbols_nth(image.symbols, 4, &address, &size));
    ck_assert(!symbols_find(image.symbols, ".L1", &address));
    ck_assert(!symbols_find(image.symbols, "nobody", &address));
    symbols_free(image.symbols);
}
END_TEST

START_TEST(finds_lines)
{
    static const struct {
        uint32_t address;
        int line;
    } places[] = {
        {0x7fffffffu, 0}, {0x80000000u, 10}, {0x80000004u, 10}, {0x80000008u, 12},
        {0x8000000fu, 12}, {0x80000010u, 0}, {0xffffffffu, 0},
    };
    const char *file;
    uint64_t address;
    int line;
    save(&sample, sizeof sample);
    ck_assert_int_eq(image_load(&image, path, &ram, why), 0);
    for (int i = 0; i < ROWS(places); i++) {
        bool found = symbols_line(image.symbols, places[i].address, &file, &line);
        ck_assert_int_eq(found, places[i].line != 0);
        if (found) {
            ck_assert_int_eq(line, places[i].line);
            ck_assert_str_eq(file, "src/a.c");
        }
    }
    ck_assert(symbols_line_address(image.symbols, "a.c", 12, &address));
    ck_assert_uint_eq(address, 0x80000008u);
    ck_assert(symbols_line_address(image.symbols, "src/a.c", 10, &address));
    ck_assert(!symbols_line_address(image.symbols, "a.c", 11, &address));
    ck_assert(!symbols_line_address(image.symbols, ".c", 10, &address));
    ck_assert(!symbols_line_address(image.symbols, "other/src/a.c", 10, &address));
    symbols_free(image.symbols);
}
END_TEST

/* ---- damaged ELF files -------------------------------------------------------------------- */

#define FIELD(member)                                                                            \
    #member, offsetof(struct elf_sample, member), sizeof(((struct elf_sample *)0)->member)

/* A member set to a value, and what the refusal says. */
static const struct {
    const char *member;
    size_t offset, size;
    uint32_t value;
    const char *words;
} damages[] = {
    {FIELD(ehdr.e_ident[EI_CLASS]), ELFCLASS64, "64-bit"},
    {FIELD(ehdr.e_ident[EI_CLASS]), 0, "class 0"},
    {FIELD(ehdr.e_ident[EI_CLASS]), 99, "class 99"},
    {FIELD(ehdr.e_ident[EI_DATA]), ELFDATA2MSB, "big-endian"},
    {FIELD(ehdr.e_ident[EI_DATA]), 0, "byte order 0"},
    {FIELD(ehdr.e_ident[EI_VERSION]), 0, "version 0"},
    {FIELD(ehdr.e_machine), EM_X86_64, "x86-64"},
    {FIELD(ehdr.e_machine), EM_ARM, "ARM"},
    {FIELD(ehdr.e_machine), 0, "not RISC-V"},
    {FIELD(ehdr.e_type), ET_REL, "not linked"},
    {FIELD(ehdr.e_type), ET_DYN, "shared object"},
    {FIELD(ehdr.e_type), ET_CORE, "core dump"},
    {FIELD(ehdr.e_type), 0, "unknown type"},
    {FIELD(ehdr.e_phnum), 0, "no segments"},
    {FIELD(ehdr.e_phnum), 60000, "60000 program headers"},
    {FIELD(ehdr.e_phnum), 0xffff, "program headers"},
    {FIELD(ehdr.e_phentsize), 8, "program headers of 8 bytes"},
    {FIELD(ehdr.e_phentsize), 0, "program headers of 0 bytes"},
    {FIELD(ehdr.e_phentsize), 56, "program headers of 56 bytes"},
    {FIELD(ehdr.e_phoff), 0, "no segments"},
    {FIELD(ehdr.e_phoff), 1, "truncated"},
    {FIELD(ehdr.e_phoff), 0xffffffff, "truncated"},
    {FIELD(ehdr.e_phoff), sizeof(struct elf_sample) - 63, "truncated"},
    {FIELD(ehdr.e_entry), 0, "in no segment"},
    {FIELD(ehdr.e_entry), 0x80001040u, "in no segment"},
    {FIELD(ehdr.e_entry), 0x7ffffffcu, "in no segment"},
    {FIELD(ehdr.e_entry), 0x80000002u, "multiple of 4"},
    {FIELD(phdr[0].p_type), PT_NOTE, "in no segment"},
    {FIELD(phdr[0].p_offset), 0xffffffff, "beyond the end"},
    {FIELD(phdr[0].p_offset), sizeof(struct elf_sample) - 63, "beyond the end"},
    {FIELD(phdr[0].p_filesz), 0x1041, "more bytes in the file"},
    {FIELD(phdr[0].p_filesz), 0xffffffff, "more bytes in the file"},
    {FIELD(phdr[0].p_memsz), 63, "more bytes in the file"},
    {FIELD(phdr[0].p_memsz), 0x7fffffff, "outside memory"},
    {FIELD(phdr[0].p_memsz), MEMORY + 1, "outside memory"},
    {FIELD(phdr[0].p_memsz), MEMORY, "overlap"},
    {FIELD(phdr[0].p_memsz), 0xffffffff, "past 4 GiB"},
    {FIELD(phdr[0].p_paddr), 0, "outside memory"},
    {FIELD(phdr[0].p_paddr), 0x7fffffff, "outside memory"},
    {FIELD(phdr[0].p_paddr), 0xffffff00u, "past 4 GiB"},
    {FIELD(phdr[0].p_paddr), RAM + MEMORY, "outside memory"},
    {FIELD(phdr[0].p_paddr), RAM + MEMORY - 64, "outside memory"},
    {FIELD(phdr[1].p_paddr), 0x80000000u, "overlap"},
    {FIELD(phdr[1].p_paddr), 0x8000103fu, "overlap"},
};

static void set(size_t offset, size_t size, uint32_t value)
{
    memcpy((uint8_t *)&sample + offset, &value, size);
}

START_TEST(damaged)
{
    /* The entry in the first segment, where most cases damage something else. */
    sample.ehdr.e_entry = strncmp(damages[_i].member, "phdr[0].p_type", 14) ? 0xc0002000u
                                                                            : 0x80000000u;
    set(damages[_i].offset, damages[_i].size, damages[_i].value);
    expect_refusal(load(sizeof sample), damages[_i].words);
}
END_TEST

/* Damage to what only symbols and lines need: the guest is loaded all the same. */
static const struct {
    const char *member;
    size_t offset, size;
    uint32_t value;
} scratches[] = {
    {FIELD(ehdr.e_shoff), 0xffffffff}, {FIELD(ehdr.e_shoff), 0}, {FIELD(ehdr.e_shoff), 53},
    {FIELD(ehdr.e_shnum), 0}, {FIELD(ehdr.e_shnum), 8}, {FIELD(ehdr.e_shnum), 0xffff},
    {FIELD(ehdr.e_shstrndx), 0xffff}, {FIELD(ehdr.e_shstrndx), 99}, {FIELD(ehdr.e_shstrndx), 1},
    {FIELD(ehdr.e_shentsize), 0}, {FIELD(ehdr.e_shentsize), 8},
    {FIELD(shdr[1].sh_entsize), 0}, {FIELD(shdr[1].sh_entsize), 1},
    {FIELD(shdr[1].sh_entsize), 0xffffffff},
    {FIELD(shdr[1].sh_link), 99}, {FIELD(shdr[1].sh_link), 0}, {FIELD(shdr[1].sh_link), 1},
    {FIELD(shdr[1].sh_link), 0xffffffff},
    {FIELD(shdr[1].sh_offset), 0xffffffff}, {FIELD(shdr[1].sh_offset), 3},
    {FIELD(shdr[1].sh_size), 0xffffffff}, {FIELD(shdr[1].sh_size), 17},
    {FIELD(shdr[1].sh_type), SHT_NOBITS}, {FIELD(shdr[1].sh_flags), SHF_COMPRESSED},
    {FIELD(shdr[2].sh_size), 0}, {FIELD(shdr[2].sh_size), 3}, {FIELD(shdr[2].sh_size), 0xffffffff},
    {FIELD(shdr[2].sh_type), SHT_PROGBITS}, {FIELD(shdr[2].sh_offset), 0xfffffff0u},
    {FIELD(sym[1].st_name), 0xffffffff}, {FIELD(sym[1].st_name), sizeof sample.strtab},
    {FIELD(shdr[4].sh_size), 0xffffffff}, {FIELD(shdr[4].sh_size), 1},
    {FIELD(shdr[5].sh_size), 0xffffffff}, {FIELD(shdr[5].sh_size), 5},
    {FIELD(shdr[5].sh_flags), SHF_COMPRESSED}, {FIELD(shdr[6].sh_size), 0xffffffff},
    {FIELD(shdr[6].sh_size), 20}, {FIELD(shdr[6].sh_offset), 0xffffffff},
    {FIELD(shdr[6].sh_flags), SHF_COMPRESSED}, {FIELD(shdr[6].sh_type), SHT_NOBITS},
};

/* Asks everything; answers must be sound whatever was read. */
static void ask(const struct symbols *symbols)
{
    uint64_t address, size, offset;
    const char *file;
    int line;
    if (!symbols)
        return;
    for (unsigned n = 0; n < 20; n++) {
        const char *name = symbols_nth(symbols, n, &address, &size);
        if (name)
            ck_assert_uint_le(strlen(name), 1023);
        symbols_line(symbols, 0x80000000u + n, &file, &line);
        symbols_at(symbols, 0x80000000u + 3 * n, &offset);
    }
    symbols_find(symbols, "start", &address);
    symbols_line_address(symbols, "a.c", 10, &address);
}

START_TEST(scratched)
{
    set(scratches[_i].offset, scratches[_i].size, scratches[_i].value);
    save(&sample, sizeof sample);
    int error = image_load(&image, path, &ram, why);
    ck_assert_msg(error == 0, "%s: %s", scratches[_i].member, why);
    ck_assert_uint_eq(image.entry, 0x80002004u);
    ask(image.symbols);
    symbols_free(image.symbols);
}
END_TEST

/* Cut at every byte: refused as long as a header or a segment is not whole, fine after that. */
START_TEST(truncated)
{
    size_t needed = offsetof(struct elf_sample, text) + sizeof sample.text;
    uint8_t *exactly = malloc(sizeof sample);
    for (size_t count = 1; count < sizeof sample; count++) {
        exactly = realloc(exactly, count);
        memcpy(exactly, &sample, count);
        int error = image_load_bytes(&image, "guest.elf", exactly, count, &ram, why);
        if (count < 4)
            expect_refusal(error, "not an ELF file, nor a flat");
        else if (count < needed)
            expect_refusal(error, "truncated");
        else
            ck_assert_int_eq(error, 0);
        symbols_free(image.symbols);
    }
    free(exactly);
}
END_TEST

/* Random damage, symbols and lines included. What is accepted must be sound. */
START_TEST(mutated)
{
    struct random r = {3};
    unsigned accepted = 0;
    for (int round = 0; round < 20000; round++) {
        uint8_t *bytes = malloc(sizeof sample);
        memcpy(bytes, &sample, sizeof sample);
        for (unsigned n = 1 + random_below(&r, 4); n; n--) {
            static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
            uint32_t at = random_below(&r, sizeof sample);
            bytes[at] = random_below(&r, 2) ? edges[random_below(&r, 5)]
                                            : (uint8_t)random_next(&r);
        }
        if (!image_load_bytes(&image, "guest.elf", bytes, sizeof sample, &ram, why)) {
            accepted++;
            ck_assert(ram_has(&ram, image.low) && image.high - RAM <= MEMORY);
            ck_assert(image.entry >= image.low && image.entry < image.high);
            ask(image.symbols);
            symbols_free(image.symbols);
        }
        Elf *elf = elf_memory((char *)bytes, sizeof sample);
        struct symbols *symbols = elf ? symbols_read(elf, true) : NULL;
        ask(symbols);
        symbols_free(symbols);
        elf_end(elf);
        free(bytes);
    }
    ck_assert_uint_gt(accepted, 1000);
}
END_TEST

/* ---- flat images -------------------------------------------------------------------------- */

static const struct {
    const char *name, *bytes;
    size_t count;
    const char *words; /* NULL: loads */
} flats[] = {
    {"guest.elf", "\x13\0\0\0", 4, NULL},                 /* addi */
    {"guest.elf", "\x6f\0\0\0\xff\xff", 6, NULL},         /* jal */
    {"guest.elf", "\0\0\0\0", 4, "nor a flat"},           /* no instruction */
    {"guest.elf.bin", "\0\0\0\0", 4, NULL},               /* but named like one */
    {"guest.elf.img", "\0\0\0\0", 4, NULL},
    {"guest.elf.flat", "\0\0\0\0", 4, NULL},
    {"guest.elf/Image", "\0\0\0\0", 4, NULL},
    {"guest.elf", "#!/bin/sh\nexit 0\n", 17, "nor a flat"}, /* a store, if it were code */
    {"guest.elf.bin", "only words\n", 11, "nor a flat"},
    {"guest.elf", "\x13\0\0", 3, "nor a flat"},
    {"guest.elf", "\x7f" "ELX\0\0\0\0", 8, "nor a flat"},
    {"guest.elf", "\x89PNG\r\n\x1a\n", 8, "nor a flat"},
    {"guest.elf", "PK\3\4\0\0", 6, "nor a flat"},
    {"guest.elf", "", 0, "empty"},
};

START_TEST(flat)
{
    int error = image_load_bytes(&image, flats[_i].name, (const uint8_t *)flats[_i].bytes,
                                 flats[_i].count, &ram, why);
    if (flats[_i].words) {
        expect_refusal(error, flats[_i].words);
        return;
    }
    ck_assert_msg(error == 0, "%s", why);
    ck_assert(image.flat);
    ck_assert_uint_eq(image.entry, 0x80400000u);
    ck_assert_uint_eq(image.low, 0x80400000u);
    ck_assert_uint_eq(image.high, 0x80400000u + flats[_i].count);
    ck_assert_mem_eq(ram_peek(&ram, 0x80400000u), flats[_i].bytes, flats[_i].count);
}
END_TEST

START_TEST(flat_image_that_does_not_fit)
{
    static uint8_t big[(4 << 20) + 1] = {0x13};
    ck_assert_int_eq(image_load_bytes(&image, "guest.elf", big, sizeof big - 1, &ram, why), 0);
    ram_clear(&ram);
    expect_refusal(image_load_bytes(&image, "guest.elf", big, sizeof big, &ram, why),
                   "does not fit");
}
END_TEST

START_TEST(linux_image)
{
    static uint8_t header[64] = {0x01, 0x00}; /* a compressed instruction */
    memcpy(header + 48, "RISCV\0\0\0RSC\5", 12);
    ck_assert_int_eq(image_load_bytes(&image, "vmlinux", header, sizeof header, &ram, why), 0);
    ck_assert(image.flat);
}
END_TEST

/* ---- files -------------------------------------------------------------------------------- */

static void expect_file_refusal(const char *words)
{
    int error = image_load(&image, path, &ram, why);
    expect_refusal(error < 0 ? -EINVAL : 0, words);
}

START_TEST(things_that_are_no_files)
{
    expect_file_refusal("No such file");
    save("", 0);
    expect_file_refusal("empty");
    ck_assert_int_eq(truncate(path, 513ll << 20), 0);
    expect_file_refusal("larger than 512 MiB");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* must not wait for a writer */
    expect_file_refusal("regular file");
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_file_refusal("directory");
    rmdir(path);
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
    expect_file_refusal("regular file");
}
END_TEST

START_TEST(a_very_long_name)
{
    char name[5000];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    ck_assert_int_lt(image_load(&image, name, &ram, why), 0);
    ck_assert_uint_lt(strlen(why), IMAGE_ERROR);
    ck_assert_ptr_nonnull(strstr(why, "too long"));
}
END_TEST

int main(void)
{
    elf_version(EV_CURRENT);
    Suite *suite = suite_create("image");
    TCase *tests = tcase_create("image");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, loads_segments_and_clears_bss);
    tcase_add_test(tests, finds_symbols);
    tcase_add_test(tests, finds_lines);
    tcase_add_loop_test(tests, damaged, 0, ROWS(damages));
    tcase_add_loop_test(tests, scratched, 0, ROWS(scratches));
    tcase_add_test(tests, truncated);
    tcase_add_test(tests, mutated);
    tcase_add_loop_test(tests, flat, 0, ROWS(flats));
    tcase_add_test(tests, flat_image_that_does_not_fit);
    tcase_add_test(tests, linux_image);
    tcase_add_test(tests, things_that_are_no_files);
    tcase_add_test(tests, a_very_long_name);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
