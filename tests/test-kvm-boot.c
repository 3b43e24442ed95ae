/* The loaders of x86 guests: where everything is put, and the state they start in.
 * No processor is needed; tests/test-kvm-start.c runs them. */
#include "config.h"

#include "tests/kvm-boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"

enum { MIB = 1 << 20 };
enum { GDT = 0x500, INFO = 0x1000, ZERO_PAGE = 0x5000, ACPI = 0xe0000 };

static const char code[] = "these are the kernel's instructions";

static void add_initrd(size_t size)
{
    uint8_t *bytes = malloc(size);
    memset(bytes, 0x5a, size);
    save(initrd, bytes, size);
    config.initrd = initrd;
    free(bytes);
}

static void fetch(uint64_t at, void *bytes, size_t count)
{
    ck_assert(kvm_memory_read(&memory, at, bytes, count));
}

static uint32_t word(uint64_t at)
{
    uint32_t value;
    fetch(at, &value, sizeof value);
    return value;
}

static uint64_t quad(uint64_t at)
{
    return word(at) | (uint64_t)word(at + 4) << 32;
}

static void expect_bytes(uint64_t at, const void *bytes, size_t count)
{
    const uint8_t *host = kvm_memory_at(&memory, at, count);
    ck_assert_ptr_nonnull(host);
    ck_assert_mem_eq(host, bytes, count);
}

static void expect_filled(uint64_t at, uint8_t value, size_t count)
{
    const uint8_t *host = kvm_memory_at(&memory, at, count);
    ck_assert_ptr_nonnull(host);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(host[i] == value, "0x%llx: 0x%02x", (unsigned long long)at + i, host[i]);
}

/* ---- the state of the processor ----------------------------------------------------------- */

static void expect_protected(const struct kvm_sregs *s, bool is_long)
{
    ck_assert_uint_eq(s->cs.selector, 0x10);
    ck_assert_uint_eq(s->ds.selector, 0x18);
    ck_assert_uint_eq(s->ss.selector, 0x18);
    ck_assert_uint_eq(s->cs.limit, 0xffffffff);
    ck_assert_uint_eq(s->cs.l, is_long);
    ck_assert_uint_eq(s->cs.db, !is_long);
    ck_assert_uint_eq(s->gdt.base, GDT);
    ck_assert_uint_eq(s->gdt.limit, 31);
    /* The descriptors that a far jump would load are the same as what is loaded. */
    ck_assert_uint_eq(quad(GDT + 0x10), is_long ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull);
    ck_assert_uint_eq(quad(GDT + 0x18), 0x00cf93000000ffffull);
    ck_assert_uint_eq(s->cr0, is_long ? 0x80000011u : 0x11);
    ck_assert_uint_eq(s->efer, is_long ? 0x500 : 0);
    ck_assert_uint_eq(s->cr4, is_long ? 0x20 : 0);
}

static void expect_identity_map(uint64_t cr3)
{
    static const uint64_t places[] = {0,          0x1234,     0x200000,  0x3fffffff,
                                      0x40000000, 0xd0000000, 0xffffffff};
    for (int i = 0; i < ROWS(places); i++) {
        uint64_t at = places[i];
        uint64_t pml4e = quad(cr3 + (at >> 39 & 511) * 8);
        uint64_t pdpte = quad((pml4e & ~0xfffull) + (at >> 30 & 511) * 8);
        uint64_t pde = quad((pdpte & ~0xfffull) + (at >> 21 & 511) * 8);
        ck_assert_uint_eq(pml4e & 0xfff, 3);
        ck_assert_uint_eq(pdpte & 0xfff, 3);
        ck_assert_uint_eq(pde, (at & ~0x1fffffull) | 0x83);
    }
    ck_assert_uint_eq(quad(cr3 + 8), 0);
}

static struct kvm_sregs start_state(enum kvm_boot_mode mode)
{
    struct kvm_sregs sregs = {.cs = {.base = 0xffff0000, .selector = 0xf000}, .cr0 = 0x60000010};
    ck_assert_int_eq(state.mode, mode);
    ck_assert_uint_eq(state.regs.rflags, 2);
    ck_assert_uint_eq(state.regs.rip, mode == KVM_BOOT_RESET ? 0xfff0 : state.entry);
    kvm_boot_sregs(&state, &sregs);
    if (mode == KVM_BOOT_PROTECTED || mode == KVM_BOOT_LONG)
        expect_protected(&sregs, mode == KVM_BOOT_LONG);
    if (mode == KVM_BOOT_LONG) {
        ck_assert_uint_eq(state.regs.rsp % 16, 8);
        expect_identity_map(sregs.cr3);
    }
    return sregs;
}

/* ---- the information ---------------------------------------------------------------------- */

/* Types of addresses as the guest is told. */
static void expect_map(uint64_t table, unsigned count, size_t stride, size_t type_at)
{
    uint64_t ram = 0, end = 0;
    ck_assert_uint_ge(count, 3);
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = quad(table + i * stride), size = quad(table + i * stride + 8);
        uint32_t type = word(table + i * stride + type_at);
        ck_assert_uint_ge(start, end); /* in order, and no two overlap */
        ck_assert(type == 1 || type == 2);
        ram += type == 1 ? size : 0;
        if (type == 1)
            ck_assert_ptr_nonnull(kvm_memory_at(&memory, start, size));
        end = start + size;
    }
    ck_assert_uint_eq(end, memory.size > memory.low ? KVM_HIGH_BASE + memory.size - memory.low
                                                    : memory.low);
    ck_assert_uint_eq(ram, memory.size - (MIB - 0x9fc00));
}

static void expect_string(uint64_t at, const char *text)
{
    expect_bytes(at, text, strlen(text) + 1);
}

/* Both lead to the same processors: ACPI's tables and the MultiProcessor tables. */
static void expect_firmware_tables(void)
{
    expect_bytes(ACPI, "RSD PTR ", 8);
    expect_bytes(0x9fc00, "_MP_", 4);
    expect_bytes(word(0x9fc00 + 4), "PCMP", 4);
}

static void expect_start_info(uint64_t at, const char *args)
{
    ck_assert_uint_eq(word(at), 0x336ec578);
    ck_assert_uint_eq(word(at + 4), 1);
    ck_assert_uint_eq(word(at + 12), config.initrd != NULL);
    expect_string(quad(at + 24), args);
    ck_assert_uint_eq(quad(at + 32), ACPI);
    expect_firmware_tables();
    expect_map(quad(at + 40), word(at + 48), 24, 16);
    if (config.initrd) {
        uint64_t module = quad(at + 16);
        expect_filled(quad(module), 0x5a, quad(module + 8));
        ck_assert_uint_eq(quad(module) % 4096, 0);
    }
}

static void expect_zero_page(uint64_t at, const char *args)
{
    struct boot_params page;
    fetch(at, &page, sizeof page);
    ck_assert_uint_eq(page.hdr.boot_flag, 0xaa55);
    ck_assert_uint_eq(page.hdr.header, 0x53726448);
    ck_assert_uint_eq(page.hdr.type_of_loader, 0xff);
    ck_assert_uint_eq(page.sentinel, 0);
    ck_assert_uint_eq(page.acpi_rsdp_addr, ACPI);
    expect_firmware_tables();
    expect_string(page.hdr.cmd_line_ptr, args);
    expect_map(at + offsetof(struct boot_params, e820_table), page.e820_entries, 20, 16);
    if (config.initrd)
        expect_filled(page.hdr.ramdisk_image, 0x5a, page.hdr.ramdisk_size);
}

/* ---- formats ------------------------------------------------------------------------------ */

START_TEST(loads_pvh)
{
    struct x86_elf64 file;
    x86_elf64(&file, code, sizeof code, 1);
    save(image, &file, sizeof file);
    add_initrd(5000);
    config.args = "console=ttyS0";
    boot();
    ck_assert_str_eq(state.format_name, "pvh");
    ck_assert_str_eq(state.symbols, image);
    ck_assert_uint_eq(state.entry, X86_ENTRY);
    ck_assert_uint_eq(state.low, X86_TEXT);
    ck_assert_uint_eq(state.high, X86_BSS + 0x2010);
    start_state(KVM_BOOT_PROTECTED);
    expect_start_info(state.regs.rbx, "console=ttyS0");
    expect_bytes(X86_ENTRY, code, sizeof code);
    expect_bytes(X86_BSS, &file.text, 16);
    expect_filled(X86_BSS + 16, 0, 0x2000);
    expect_filled(X86_BSS + 0x2010, 0xee, 16); /* not beyond */
}
END_TEST

START_TEST(loads_pvh_32)
{
    struct x86_elf32 file;
    x86_elf32(&file, code, sizeof code, 1);
    save(image, &file, sizeof file);
    boot();
    ck_assert_str_eq(state.format_name, "pvh");
    start_state(KVM_BOOT_PROTECTED);
    expect_start_info(state.regs.rbx, "");
}
END_TEST

START_TEST(loads_elf64)
{
    struct x86_elf64 file;
    x86_elf64(&file, code, sizeof code, 0);
    save(image, &file, sizeof file);
    add_initrd(100);
    config.args = "quiet";
    boot();
    ck_assert_str_eq(state.format_name, "elf64");
    ck_assert_uint_eq(state.entry, X86_ENTRY); /* physical, though the header has the virtual one */
    start_state(KVM_BOOT_LONG);
    expect_start_info(state.regs.rdi, "quiet");
    expect_zero_page(state.regs.rsi, "quiet");
    file.ehdr.e_entry = X86_ENTRY; /* as Linux has it: physical already */
    save(image, &file, sizeof file);
    boot();
    ck_assert_uint_eq(state.entry, X86_ENTRY);
}
END_TEST

START_TEST(loads_elf32)
{
    struct x86_elf32 file;
    x86_elf32(&file, code, sizeof code, 0);
    save(image, &file, sizeof file);
    boot();
    ck_assert_str_eq(state.format_name, "elf32");
    start_state(KVM_BOOT_PROTECTED);
    expect_start_info(state.regs.rbx, "");
    expect_bytes(X86_ENTRY, code, sizeof code);
}
END_TEST

START_TEST(loads_flat)
{
    static const char *const names[] = {"flat32", "flat64"};
    save(image, code, sizeof code);
    config.format = names[_i];
    boot();
    ck_assert_str_eq(state.format_name, names[_i]);
    ck_assert_ptr_null(state.symbols);
    ck_assert_uint_eq(state.entry, 0x100000);
    start_state(_i ? KVM_BOOT_LONG : KVM_BOOT_PROTECTED);
    expect_start_info(_i ? state.regs.rdi : state.regs.rbx, "");
    expect_bytes(0x100000, code, sizeof code);
}
END_TEST

START_TEST(loads_real_mode)
{
    static const char *const names[] = {"flat16", "bootsector"};
    static uint8_t sector[2048];
    memset(sector, 0xab, sizeof sector);
    sector[510] = 0x55;
    sector[511] = 0xaa;
    save(image, sector, sizeof sector);
    config.format = _i ? NULL : names[_i];
    boot();
    ck_assert_str_eq(state.format_name, names[_i]);
    struct kvm_sregs sregs = start_state(KVM_BOOT_REAL);
    ck_assert_uint_eq(sregs.cs.selector, 0);
    ck_assert_uint_eq(sregs.cs.base, 0);
    ck_assert_uint_eq(sregs.cr0, 0x60000010);
    ck_assert_uint_eq(state.entry, 0x7c00);
    ck_assert_uint_eq(state.regs.rdx, 0x80);
    expect_bytes(0x7c00, sector, 512);
    expect_filled(0x7c00 + 512, _i ? 0xee : 0xab, sizeof sector - 512);
    ck_assert_uint_eq(word(0x10 * 4), 0xf000ff00);
}
END_TEST

/* ---- Multiboot ---------------------------------------------------------------------------- */

static void expect_multiboot(const char *args)
{
    uint64_t at = state.regs.rbx;
    uint32_t flags = word(at), modules = config.initrd ? 8 : 0;
    ck_assert_uint_eq(state.regs.rax, 0x2badb002);
    ck_assert_uint_eq(flags, 0x245 | modules);
    ck_assert_uint_eq(word(at + 4), 639);
    ck_assert_uint_eq(word(at + 8), (BOOT_MEMORY - MIB) / 1024);
    expect_string(word(at + 16), args);
    expect_string(word(at + 64), "Vitrine");
    ck_assert_uint_eq(word(word(at + 48)), 20); /* an entry's size stands 4 bytes before it */
    expect_map(word(at + 48) + 4, word(at + 44) / 24, 24, 16);
    if (modules) {
        uint32_t module = word(at + 24);
        ck_assert_uint_eq(word(at + 20), 1);
        expect_filled(word(module), 0x5a, word(module + 4) - word(module));
        expect_string(word(module + 8), "initrd.img");
        ck_assert_uint_eq(word(module) % 4096, 0);
        ck_assert_uint_ge(word(module), state.high);
    }
}

START_TEST(loads_multiboot_elf)
{
    struct x86_elf32 file;
    x86_elf32(&file, code, sizeof code, 0);
    x86_multiboot(&file.text, 3, 0);
    save(image, &file, sizeof file);
    add_initrd(70000);
    config.args = "root=/dev/ram";
    boot();
    ck_assert_str_eq(state.format_name, "multiboot");
    ck_assert_uint_eq(state.entry, X86_ENTRY);
    start_state(KVM_BOOT_PROTECTED);
    expect_multiboot("root=/dev/ram");
}
END_TEST

START_TEST(loads_multiboot_addresses)
{
    struct x86_text text = {.code = "code"};
    x86_multiboot(&text, 0, 1);
    save(image, &text, sizeof text);
    boot();
    ck_assert_str_eq(state.format_name, "multiboot");
    ck_assert_uint_eq(state.entry, X86_ENTRY);
    ck_assert_uint_eq(state.high, X86_TEXT + 0x10000);
    start_state(KVM_BOOT_PROTECTED);
    expect_multiboot("");
    expect_bytes(X86_TEXT, &text, sizeof text);
    expect_filled(X86_TEXT + sizeof text, 0, 0x10000 - sizeof text);
}
END_TEST

/* The tag's body, or 0. */
static uint64_t find_tag(uint32_t type)
{
    uint64_t at = state.regs.rbx, end = at + word(at);
    for (at += 8; at < end; at += (word(at + 4) + 7) & ~7u)
        if (word(at) == type)
            return at + 8;
    return 0;
}

static void expect_multiboot2(const char *args)
{
    ck_assert_str_eq(state.format_name, "multiboot2");
    ck_assert_uint_eq(state.regs.rax, 0x36d76289);
    ck_assert_uint_eq(state.regs.rbx % 8, 0);
    expect_string(find_tag(1), args);
    expect_string(find_tag(2), "Vitrine");
    ck_assert_uint_eq(word(find_tag(4)), 639);
    ck_assert_uint_eq(word(find_tag(4) + 4), (BOOT_MEMORY - MIB) / 1024);
    uint64_t map = find_tag(6);
    ck_assert_uint_eq(word(map), 24);
    expect_map(map + 8, (word(map - 4) - 16) / 24, 24, 16);
    ck_assert_uint_eq(find_tag(0), state.regs.rbx + word(state.regs.rbx)); /* the last one */
    uint64_t module = find_tag(3);
    ck_assert_int_eq(module != 0, config.initrd != NULL);
    if (module) {
        expect_filled(word(module), 0x5a, word(module + 4) - word(module));
        expect_string(module + 8, "initrd.img");
    }
}

START_TEST(loads_multiboot2_elf)
{
    static char args[KVM_BOOT_ARGS_MAX + 1];
    struct x86_elf64 file;
    x86_elf64(&file, code, sizeof code, 0);
    x86_multiboot2(&file.text, 0);
    save(image, &file, sizeof file);
    add_initrd(1);
    memset(args, 'a', KVM_BOOT_ARGS_MAX); /* the longest there can be */
    config.args = args;
    boot();
    start_state(KVM_BOOT_PROTECTED);
    ck_assert_uint_eq(state.entry, X86_ENTRY);
    expect_multiboot2(args);
}
END_TEST

START_TEST(loads_multiboot2_addresses)
{
    struct x86_text text = {.code = "code"};
    x86_multiboot2(&text, 1);
    save(image, &text, sizeof text);
    boot();
    start_state(KVM_BOOT_PROTECTED);
    ck_assert_uint_eq(state.entry, X86_ENTRY);
    expect_multiboot2("");
    expect_bytes(X86_TEXT, &text, sizeof text);
}
END_TEST

/* The header is not where the file begins, and the address to load at is -1: the file's beginning
 * goes in front of the header. */
START_TEST(loads_multiboot2_from_the_beginning)
{
    enum { HEADER_ADDRESS = 6, LOAD_ADDRESS = 7, BEFORE = 64 };
    struct {
        uint8_t before[BEFORE];
        struct x86_text text;
    } file = {.before = "first"};
    x86_multiboot2(&file.text, 1);
    file.text.header[HEADER_ADDRESS] = X86_TEXT + BEFORE;
    file.text.header[LOAD_ADDRESS] = UINT32_MAX;
    save(image, &file, sizeof file);
    boot();
    ck_assert_uint_eq(state.entry, X86_ENTRY);
    ck_assert_uint_eq(state.low, X86_TEXT);
    expect_bytes(X86_TEXT, &file, sizeof file);
}
END_TEST

/* ---- Linux -------------------------------------------------------------------------------- */

START_TEST(loads_bzimage)
{
    add_initrd(12345);
    config.args = "console=ttyS0";
    save_linux();
    boot();
    ck_assert_str_eq(state.format_name, "bzimage");
    ck_assert_uint_eq(state.entry, 0x1000200);
    start_state(KVM_BOOT_LONG);
    ck_assert_uint_eq(state.regs.rsi, ZERO_PAGE);
    expect_zero_page(ZERO_PAGE, "console=ttyS0");
    expect_bytes(state.entry, "64", 2);
    struct boot_params page;
    fetch(ZERO_PAGE, &page, sizeof page);
    ck_assert_uint_eq(page.hdr.ramdisk_size, 12345);
    ck_assert_uint_eq(page.hdr.ramdisk_image, (BOOT_MEMORY - 12345) & ~0xfffu);
    ck_assert_uint_eq(page.hdr.version, 0x020f);
    ck_assert_uint_eq(page.hdr.kernel_alignment, 0x200000);
    ck_assert_uint_eq(page.hdr.code32_start, 0x1000000);
}
END_TEST

START_TEST(loads_bzimage_without_64_bits)
{
    linux_image.header.xloadflags = 0;
    save_linux();
    boot();
    ck_assert_uint_eq(state.entry, 0x1000000);
    start_state(KVM_BOOT_PROTECTED);
    ck_assert_uint_eq(state.regs.rsi, ZERO_PAGE);
    linux_image.header.version = 0x0206; /* before 2.10 nothing says where to */
    save_linux();
    boot();
    ck_assert_uint_eq(state.entry, 0x100000);
    linux_image.header.version = 0x0205;
    save_linux();
    expect_refusal("boot protocol 2.05");
}
END_TEST

START_TEST(moves_a_kernel_that_does_not_fit)
{
    linux_image.header.pref_address = 0x80000000u;
    save_linux();
    boot();
    ck_assert_uint_eq(state.entry, 0x200200);
    linux_image.header.relocatable_kernel = 0;
    save_linux();
    expect_refusal("outside the guest's 64 MiB");
}
END_TEST

START_TEST(puts_the_initrd_where_the_kernel_takes_it)
{
    add_initrd(MIB);
    linux_image.header.initrd_addr_max = 0x12fffff; /* 1 MiB above the kernel's 2 MiB */
    save_linux();
    boot();
    ck_assert_uint_eq(word(ZERO_PAGE + 0x218), 0x1200000);
    linux_image.header.initrd_addr_max = 0x12ffffe; /* then it has to go below */
    save_linux();
    boot();
    ck_assert_uint_eq(word(ZERO_PAGE + 0x218), 0xf00000);
    linux_image.header.initrd_addr_max = 0x100000;
    save_linux();
    expect_refusal_of(initrd, "do not fit into memory");
}
END_TEST

START_TEST(limits_the_command_line)
{
    static char args[KVM_BOOT_ARGS_MAX + 2];
    memset(args, 'x', 2047);
    config.args = args;
    save_linux();
    boot();
    args[2047] = 'x';
    expect_refusal("a command line of 2048 characters; the guest takes 2047");
    linux_image.header.cmdline_size = 1 << 30;
    save_linux();
    boot();
    memset(args, 'x', KVM_BOOT_ARGS_MAX + 1);
    expect_refusal("a command line of 4096 characters; the guest takes 4095");
}
END_TEST

START_TEST(announces_devices)
{
    static const struct kvm_boot_device devices[] = {
        {0xd0000000u, 4096, 5},
        {0xd0001000u, 512, 6},
    };
    config.virtio = devices;
    config.virtio_count = 2;
    config.args = "quiet";
    save_linux();
    boot();
    expect_zero_page(ZERO_PAGE, "quiet virtio_mmio.device=4K@0xd0000000:5 "
                                "virtio_mmio.device=512@0xd0001000:6");
    config.args = NULL;
    config.virtio_count = 1;
    boot();
    expect_zero_page(ZERO_PAGE, "virtio_mmio.device=4K@0xd0000000:5");
    config.args = "virtio_mmio.device=4K@0x1000:9";
    boot();
    expect_zero_page(ZERO_PAGE, "virtio_mmio.device=4K@0x1000:9");
    static char args[2048];
    memset(args, 'x', 2047);
    config.args = args;
    expect_refusal("devices do not fit into the command line");
}
END_TEST

/* However large: the disk stays where it is. */
START_TEST(loads_the_boot_sector_of_a_disk)
{
    static uint8_t sector[512] = {[510] = 0x55, [511] = 0xaa};
    save(image, sector, sizeof sector);
    ck_assert_int_eq(truncate(image, 1ll << 40), 0);
    config.image = NULL;
    config.disk = image;
    boot();
    ck_assert_str_eq(state.format_name, "bootsector");
    start_state(KVM_BOOT_REAL);
    expect_bytes(0x7c00, sector, 512);
    expect_filled(0x7e00, 0xee, 512);
    save(image, sector, 511);
    expect_refusal("the file has only 511 bytes");
    sector[511] = 0;
    save(image, sector, 512);
    expect_refusal("not a boot sector");
}
END_TEST

/* ---- firmware ----------------------------------------------------------------------------- */

START_TEST(loads_firmware)
{
    enum { SIZE = 256 << 10 };
    uint8_t *bytes = malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i >> 8);
    save(image, bytes, SIZE);
    config.firmware = image;
    config.image = NULL;
    boot();
    ck_assert_str_eq(state.format_name, "firmware");
    ck_assert_uint_eq(state.rom_size, SIZE);
    ck_assert_uint_eq(state.rom_base, 0xfffc0000u);
    ck_assert_mem_eq(state.rom, bytes, SIZE);
    expect_bytes(0xe0000, bytes + SIZE - 0x20000, 0x20000);
    struct kvm_sregs sregs = start_state(KVM_BOOT_RESET);
    ck_assert_uint_eq(sregs.cs.base + state.regs.rip, 0xfffffff0u);
    kvm_boot_state_free(&state);
    save(image, bytes, SIZE - 1);
    expect_refusal("a multiple of 64 KiB");
    config.firmware = "/nowhere/bios.bin";
    expect_refusal_of("/nowhere/bios.bin", "No such file");
    free(bytes);
}
END_TEST

START_TEST(knows_memory_above_the_hole)
{
    set_memory(5ull << 30);
    add_initrd(1);
    save_linux();
    boot();
    expect_zero_page(ZERO_PAGE, "");
    ck_assert_uint_eq(word(ZERO_PAGE + 0x218), 0x7ffff000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kvm-boot");
    TCase *tests = tcase_create("kvm-boot");
    tcase_add_checked_fixture(tests, boot_setup, boot_teardown);
    tcase_add_test(tests, loads_pvh);
    tcase_add_test(tests, loads_pvh_32);
    tcase_add_test(tests, loads_elf64);
    tcase_add_test(tests, loads_elf32);
    tcase_add_loop_test(tests, loads_flat, 0, 2);
    tcase_add_loop_test(tests, loads_real_mode, 0, 2);
    tcase_add_test(tests, loads_multiboot_elf);
    tcase_add_test(tests, loads_multiboot_addresses);
    tcase_add_test(tests, loads_multiboot2_elf);
    tcase_add_test(tests, loads_multiboot2_addresses);
    tcase_add_test(tests, loads_multiboot2_from_the_beginning);
    tcase_add_test(tests, loads_bzimage);
    tcase_add_test(tests, loads_bzimage_without_64_bits);
    tcase_add_test(tests, moves_a_kernel_that_does_not_fit);
    tcase_add_test(tests, puts_the_initrd_where_the_kernel_takes_it);
    tcase_add_test(tests, limits_the_command_line);
    tcase_add_test(tests, announces_devices);
    tcase_add_test(tests, loads_the_boot_sector_of_a_disk);
    tcase_add_test(tests, loads_firmware);
    tcase_add_test(tests, knows_memory_above_the_hole);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
