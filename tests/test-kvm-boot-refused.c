/* What the loaders of x86 guests refuse, and in which words. What they load is in
 * tests/test-kvm-boot.c. */
#include "config.h"

#include "tests/kvm-boot.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"

static const char code[] = "these are the kernel's instructions";

START_TEST(refuses_what_is_no_file)
{
    expect_refusal("No such file");
    save(image, "", 0);
    expect_refusal("the file is empty");
    unlink(image);
    ck_assert_int_eq(mkdir(image, 0700), 0);
    expect_refusal("is a directory");
    rmdir(image);
    ck_assert_int_eq(mkfifo(image, 0600), 0);
    expect_refusal("not a regular file");
    unlink(image);
    save(image, "hello, world\n", 13);
    expect_refusal("neither a Linux kernel, nor ELF");
    ck_assert_int_eq(truncate(image, 1ll << 40), 0);
    expect_refusal("larger than 512 MiB");
    config.image = NULL;
    expect_refusal_of(": ", "an empty file name");
}
END_TEST

static const struct {
    const char *format, *words;
} mismatches[] = {
    {"bzimage", "not a Linux bzImage"},   {"pvh", "not an ELF file"},
    {"elf64", "not an ELF file"},         {"elf32", "not an ELF file"},
    {"multiboot", "no Multiboot header"}, {"multiboot2", "no Multiboot 2 header"},
    {"bootsector", "not a boot sector"},  {"uimage", "no format is called \"uimage\""},
};

START_TEST(refuses_the_wrong_format)
{
    save(image, code, sizeof code);
    config.format = mismatches[_i].format;
    expect_refusal(mismatches[_i].words);
}
END_TEST

#define FIELD(member)                                                                              \
#member, offsetof(struct x86_elf64, member), sizeof(((struct x86_elf64 *)0)->member)

static const struct {
    const char *member;
    size_t offset, size;
    uint64_t value;
    const char *words;
} damages[] = {
    {FIELD(ehdr.e_ident[EI_CLASS]), 0, "damaged ELF header"},
    {FIELD(ehdr.e_ident[EI_DATA]), ELFDATA2MSB, "big-endian"},
    {FIELD(ehdr.e_machine), EM_RISCV, "an ELF file for RISC-V (machine 243), not x86"},
    {FIELD(ehdr.e_machine), EM_386, "not x86"},
    {FIELD(ehdr.e_machine), EM_AARCH64, "64-bit ARM"},
    {FIELD(ehdr.e_type), ET_REL, "not linked"},
    {FIELD(ehdr.e_type), ET_DYN, "position-independent"},
    {FIELD(ehdr.e_type), ET_CORE, "core dump"},
    {FIELD(ehdr.e_phnum), 0, "no segments"},
    {FIELD(ehdr.e_phnum), 60000, "program headers"},
    {FIELD(ehdr.e_phoff), 0, "no segments"},
    {FIELD(ehdr.e_phoff), UINT64_MAX, "damaged ELF header"},
    {FIELD(ehdr.e_entry), 0, "in no segment"},
    {FIELD(ehdr.e_entry), 0x7c00, "in no segment"},
    {FIELD(phdr[0].p_type), PT_NOTE, "in no segment"},
    {FIELD(phdr[0].p_offset), UINT64_MAX, "beyond the end"},
    {FIELD(phdr[0].p_offset), sizeof(struct x86_elf64) - 63, "beyond the end"},
    {FIELD(phdr[0].p_filesz), UINT64_MAX, "more bytes in the file"},
    {FIELD(phdr[0].p_memsz), 63, "more bytes in the file"},
    {FIELD(phdr[0].p_memsz), 0x3000, "overlaps a segment"},
    {FIELD(phdr[0].p_memsz), BOOT_MEMORY, "outside the guest's 64 MiB"},
    {FIELD(phdr[0].p_memsz), UINT64_MAX, "outside the guest's 64 MiB"},
    {FIELD(phdr[0].p_paddr), 0, "overlaps the boot information"},
    {FIELD(phdr[0].p_paddr), 0xfff00, "overlaps the ACPI tables"},
    {FIELD(phdr[0].p_paddr), BOOT_MEMORY - 64, "outside the guest's 64 MiB"},
    {FIELD(phdr[0].p_paddr), UINT64_MAX - 64, "outside the guest's 64 MiB"},
    {FIELD(phdr[0].p_paddr), KVM_HIGH_BASE, "outside the guest's 64 MiB"},
    {FIELD(phdr[1].p_paddr), X86_TEXT + 16, "overlaps a segment"},
};

START_TEST(refuses_a_damaged_elf)
{
    struct x86_elf64 file;
    x86_elf64(&file, code, sizeof code, 0);
    memcpy((uint8_t *)&file + damages[_i].offset, &damages[_i].value, damages[_i].size);
    save(image, &file, sizeof file);
    expect_refusal(damages[_i].words);
}
END_TEST

START_TEST(refuses_a_damaged_note)
{
    struct x86_elf64 file;
    x86_elf64(&file, code, sizeof code, 1);
    file.note.entry = 0x5000;
    save(image, &file, sizeof file);
    expect_refusal("the PVH entry 0x5000 is in no segment");
    config.format = "pvh";
    file.note.size = 2; /* no entry, then */
    save(image, &file, sizeof file);
    expect_refusal("PHYS32_ENTRY is missing");
    file.phdr[2].p_filesz = UINT64_MAX;
    save(image, &file, sizeof file);
    expect_refusal("PHYS32_ENTRY is missing");
}
END_TEST

/* Every file cut off at every length is refused, or was complete without its tail. */
START_TEST(refuses_what_is_cut_off)
{
    struct x86_elf64 file;
    x86_elf64(&file, code, sizeof code, _i);
    for (size_t count = 1; count < sizeof file; count++) {
        save(image, &file, count);
        ck_assert_int_eq(kvm_boot(&config, &memory, &state, why), -EINVAL);
    }
    x86_bzimage(&linux_image, code, sizeof code, code, sizeof code);
    for (size_t count = 1; count < sizeof linux_image - 16; count++) {
        save(image, &linux_image, count);
        if (count < 0x1f1 + sizeof(struct setup_header)) /* only a boot sector as yet */
            continue;
        expect_refusal("truncated");
    }
}
END_TEST

static const struct {
    unsigned index;
    uint32_t value;
    const char *words;
} multiboot_damages[] = {
    {1, 1 << 16 | 4, "video mode"},
    {1, 1 << 16 | 8, "flags 0x10008, of which 0x8"},
    {3, X86_TEXT - 4, "loading begins at 0x100000"},
    {3, X86_TEXT + 4, "loading begins at 0x100000"},
    {4, 0, "loading begins at 0x0"},
    {5, X86_TEXT - 1, "before its start"},
    {5, X86_TEXT + 0x1000, "truncated"},
    {5, 0xffffffff, "truncated"},
    {6, 0xffffffff, "outside the guest's 64 MiB"},
    {7, X86_TEXT - 1, "in no segment"},
    {7, X86_TEXT + 0x10000, "in no segment"},
};

START_TEST(refuses_multiboot)
{
    struct x86_text text = {.code = "code"};
    x86_multiboot(&text, 0, 1);
    text.header[multiboot_damages[_i].index] = multiboot_damages[_i].value;
    text.header[2] = -(text.header[0] + text.header[1]);
    save(image, &text, sizeof text);
    expect_refusal(multiboot_damages[_i].words);
}
END_TEST

/* A first tag, before load addresses and entry. */
static const struct {
    uint32_t tag[4];
    const char *words; /* NULL: accepted */
} wishes[] = {
    {{1, 12, 1}, NULL},
    {{1, 12, 8}, "requests information 8"},
    {{1 | 1 << 16, 12, 8}, NULL},
    {{4, 12, 3}, NULL},
    {{5, 8}, "frame buffer"},
    {{5 | 1 << 16, 8}, NULL},
    {{6, 8}, NULL},
    {{7, 8}, NULL},
    {{10, 8}, "insists on tag 10"},
    {{99, 8}, "insists on tag 99"},
    {{99 | 1 << 16, 8}, NULL},
    {{1, 7}, "tag 1 has 7 bytes"},
    {{1, 1000}, "tag 1 has 1000 bytes"},
    {{0, 8}, "neither ELF nor"},
};

START_TEST(grants_what_multiboot2_asks)
{
    struct x86_text text = {.code = "code"};
    uint32_t *h = text.header, tail[12];
    uint32_t size = (wishes[_i].tag[1] < 8 ? 8 : wishes[_i].tag[1] > 16 ? 16 : wishes[_i].tag[1]);
    x86_multiboot2(&text, 1);
    memcpy(tail, h + 4, sizeof tail);
    memcpy(h + 4, wishes[_i].tag, 16);
    memcpy(h + 4 + (size + 7) / 8 * 2, tail, (h[2] - 16));
    h[2] += (size + 7) / 8 * 8;
    h[3] = -(h[0] + h[1] + h[2]);
    ck_assert_uint_le(h[2], sizeof text.header);
    save(image, &text, sizeof text);
    if (wishes[_i].words)
        expect_refusal(wishes[_i].words);
    else
        boot();
}
END_TEST

START_TEST(refuses_real_mode)
{
    static uint8_t sectors[65537 + 600000];
    sectors[510] = 0x55;
    sectors[511] = 0xaa;
    save(image, sectors, 65537);
    expect_refusal("to boot from it takes firmware");
    config.format = "flat16";
    save(image, sectors, sizeof sectors);
    expect_refusal("do not fit below 0x9fc00");
}
END_TEST

START_TEST(refuses_an_initrd)
{
    save_linux();
    config.initrd = folder;
    expect_refusal_of(folder, "is a directory");
    config.initrd = "/nowhere/initrd";
    expect_refusal_of("/nowhere/initrd", "No such file");
    save(initrd, "x", 1);
    ck_assert_int_eq(truncate(initrd, BOOT_MEMORY), 0);
    config.initrd = initrd;
    expect_refusal_of(initrd, "do not fit");
}
END_TEST

START_TEST(refuses_too_much)
{
    save_linux();
    config.cpus = 255;
    expect_refusal("255 processors");
    config.cpus = 1;
    config.virtio_count = 33;
    expect_refusal("33 virtio devices");
    config.virtio_count = 0;
    set_memory(512 << 10);
    expect_refusal("at least 1 MiB");
}
END_TEST
int main(void)
{
    Suite *suite = suite_create("kvm-boot");
    TCase *tests = tcase_create("refused");
    tcase_add_checked_fixture(tests, boot_setup, boot_teardown);
    tcase_add_test(tests, refuses_what_is_no_file);
    tcase_add_loop_test(tests, refuses_the_wrong_format, 0, ROWS(mismatches));
    tcase_add_loop_test(tests, refuses_a_damaged_elf, 0, ROWS(damages));
    tcase_add_test(tests, refuses_a_damaged_note);
    tcase_add_loop_test(tests, refuses_what_is_cut_off, 0, 2);
    tcase_add_loop_test(tests, refuses_multiboot, 0, ROWS(multiboot_damages));
    tcase_add_loop_test(tests, grants_what_multiboot2_asks, 0, ROWS(wishes));
    tcase_add_test(tests, refuses_real_mode);
    tcase_add_test(tests, refuses_an_initrd);
    tcase_add_test(tests, refuses_too_much);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
