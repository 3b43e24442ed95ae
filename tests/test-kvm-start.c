/* Guests of every format run to their exit on KVM: the state that the loaders promise is one that
 * the processor takes, and the tables in memory are those that it is told of. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kvm-harness.h"
#include "tests/tap.h"
#include "tests/x86-sample.h"

enum { MEMORY = 64 << 20, PATIENCE = 300000 };

static struct harness h;
static struct kvm_boot_config config;
static char image[] = "/tmp/vitrine-test-start.XXXXXX";

static void setup(void)
{
    strcpy(image + sizeof image - 7, "XXXXXX");
    int fd = mkstemp(image);
    ck_assert_int_ge(fd, 0);
    close(fd);
    config = (struct kvm_boot_config){.image = image, .cpus = 1};
    harness_open(&h, MEMORY);
}

static void teardown(void)
{
    harness_close(&h);
    unlink(image);
}

static void save(const void *bytes, size_t count)
{
    int fd = open(image, O_WRONLY | O_TRUNC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, count), (ssize_t)count);
    close(fd);
}

static void expect_exit(int code)
{
    harness_boot(&h, &config);
    enum harness_end end = harness_run(&h, PATIENCE);
    ck_assert_msg(end == HARNESS_EXIT, "ended by %d, exit %u, %u, rip 0x%llx", end, h.reason,
                  h.detail, (unsigned long long)harness_regs(&h).rip);
    ck_assert_int_eq(h.code, code);
}

/* 32 bits: load DS and CS anew, use the stack, look at the information. ECX gets the first word that
 * EBX points to, ESI what was in EAX. */
static const uint8_t code32[] = {
    0x89, 0xc6,                               /* mov esi, eax */
    0x66, 0xb8, 0x18, 0x00,                   /* mov ax, 0x18 */
    0x8e, 0xd8,                               /* mov ds, ax */
    0x6a, 0x10,                               /* push 0x10 */
    0xe8, 0x00, 0x00, 0x00, 0x00,             /* call +0 */
    0x83, 0x04, 0x24, 0x05,                   /* add dword [esp], 5 */
    0xcb,                                     /* retf to the next */
    0x8b, 0x0b,                               /* mov ecx, [ebx] */
    0x66, 0xba, 0x01, 0x05,                   /* mov dx, 0x501 */
    0xb0, 0x20,                               /* mov al, 32 */
    0xee,                                     /* out dx, al */
    0xf4,                                     /* hlt */
};

/* 64 bits: likewise, from RDI. */
static const uint8_t code64[] = {
    0x66, 0xb8, 0x18, 0x00,                   /* mov ax, 0x18 */
    0x8e, 0xd8,                               /* mov ds, ax */
    0x6a, 0x10,                               /* push 0x10 */
    0x48, 0x8d, 0x05, 0x03, 0x00, 0x00, 0x00, /* lea rax, [rip + 3] */
    0x50,                                     /* push rax */
    0x48, 0xcb,                               /* retfq to the next */
    0x48, 0x8b, 0x0f,                         /* mov rcx, [rdi] */
    0x66, 0xba, 0x01, 0x05,                   /* mov dx, 0x501 */
    0xb0, 0x40,                               /* mov al, 64 */
    0xee,                                     /* out dx, al */
    0xf4,                                     /* hlt */
};

static const uint8_t code16[] = {
    0x8c, 0xc8,       /* mov ax, cs */
    0x8e, 0xd8,       /* mov ds, ax */
    0x50, 0x59,       /* push ax, pop cx */
    0xba, 0x01, 0x05, /* mov dx, 0x501 */
    0xb0, 0x10,       /* mov al, 16 */
    0xee,             /* out dx, al */
    0xf4,             /* hlt */
};

static void expect_start_info(void)
{
    ck_assert_uint_eq((uint32_t)harness_regs(&h).rcx, 0x336ec578);
}

START_TEST(runs_pvh)
{
    struct x86_elf64 file;
    x86_elf64(&file, code32, sizeof code32, 1);
    save(&file, sizeof file);
    expect_exit(32);
    expect_start_info();
}
END_TEST

START_TEST(runs_elf64)
{
    struct x86_elf64 file;
    x86_elf64(&file, code64, sizeof code64, 0);
    save(&file, sizeof file);
    expect_exit(64);
    expect_start_info();
}
END_TEST

START_TEST(runs_elf32)
{
    struct x86_elf32 file;
    x86_elf32(&file, code32, sizeof code32, 0);
    save(&file, sizeof file);
    expect_exit(32);
    expect_start_info();
}
END_TEST

START_TEST(runs_multiboot)
{
    struct x86_elf32 file;
    x86_elf32(&file, code32, sizeof code32, 0);
    x86_multiboot(&file.text, 3, 0);
    save(&file, sizeof file);
    expect_exit(32);
    ck_assert_uint_eq(harness_regs(&h).rsi, 0x2badb002);
    ck_assert_uint_eq(harness_regs(&h).rcx, 0x245);
}
END_TEST

START_TEST(runs_multiboot2)
{
    struct x86_text text = {0};
    memcpy(text.code, code32, sizeof code32);
    x86_multiboot2(&text, 1);
    save(&text, sizeof text);
    expect_exit(32);
    ck_assert_uint_eq(harness_regs(&h).rsi, 0x36d76289);
}
END_TEST

START_TEST(runs_bzimage)
{
    static struct x86_bzimage file;
    x86_bzimage(&file, code32, sizeof code32, code64, sizeof code64);
    save(&file, sizeof file);
    expect_exit(64);
    harness_close(&h);
    harness_open(&h, MEMORY);
    file.header.xloadflags = 0;
    save(&file, sizeof file);
    expect_exit(32);
}
END_TEST

START_TEST(runs_flat)
{
    static const struct {
        const char *format;
        const uint8_t *code;
        size_t count;
        int exit;
    } cases[] = {
        {"flat16", code16, sizeof code16, 16},
        {"flat32", code32, sizeof code32, 32},
        {"flat64", code64, sizeof code64, 64},
    };
    config.format = cases[_i].format;
    save(cases[_i].code, cases[_i].count);
    expect_exit(cases[_i].exit);
}
END_TEST

START_TEST(runs_a_boot_sector)
{
    uint8_t sector[512] = {0};
    memcpy(sector, code16, sizeof code16);
    sector[510] = 0x55;
    sector[511] = 0xaa;
    save(sector, sizeof sector);
    expect_exit(16);
}
END_TEST

/* A BIOS call without a BIOS ends the run, and says why. */
START_TEST(tells_of_a_missing_bios)
{
    static const uint8_t call[] = {0xb4, 0x0e, 0xb0, 'x', 0xcd, 0x10, 0xf4};
    config.format = "flat16";
    save(call, sizeof call);
    expect_exit(0xff);
    ck_assert_str_eq(h.output, "interrupt without a BIOS to serve it\n");
}
END_TEST

/* The same memory again: nothing of the run before is left where it matters. */
START_TEST(starts_again)
{
    struct x86_elf32 file;
    x86_elf32(&file, code32, sizeof code32, 1);
    save(&file, sizeof file);
    for (int round = 0; round < 3; round++) {
        memset(kvm_memory_at(&h.memory, 0, 0x9f000), 0xff, 0x9f000);
        expect_exit(32);
        expect_start_info();
    }
}
END_TEST

int main(void)
{
    if (!harness_available()) {
        printf("1..0 # SKIP /dev/kvm: %s\n", strerror(errno));
        return 0;
    }
    Suite *suite = suite_create("kvm-start");
    TCase *tests = tcase_create("kvm-start");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, runs_pvh);
    tcase_add_test(tests, runs_elf64);
    tcase_add_test(tests, runs_elf32);
    tcase_add_test(tests, runs_multiboot);
    tcase_add_test(tests, runs_multiboot2);
    tcase_add_test(tests, runs_bzimage);
    tcase_add_loop_test(tests, runs_flat, 0, 3);
    tcase_add_test(tests, runs_a_boot_sector);
    tcase_add_test(tests, tells_of_a_missing_bios);
    tcase_add_test(tests, starts_again);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
