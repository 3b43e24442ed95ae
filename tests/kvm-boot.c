/* See kvm-boot.h. */
#include "config.h"

#include "tests/kvm-boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"

struct kvm_memory memory;
struct kvm_boot_config config;
struct kvm_boot_state state;
char why[KVM_BOOT_WHY];
char folder[] = "/tmp/vitrine-test-boot.XXXXXX";
char image[64], initrd[64];
struct x86_bzimage linux_image;

void boot_setup(void)
{
    ck_assert_int_eq(kvm_memory_init(&memory, BOOT_MEMORY), 0);
    memset(memory.host, 0xee, 0x200000); /* as a guest before may have left it */
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(image, sizeof image, "%s/kernel", folder);
    snprintf(initrd, sizeof initrd, "%s/initrd.img", folder);
    config = (struct kvm_boot_config){.image = image, .cpus = 1};
    why[0] = 0;
    x86_bzimage(&linux_image, "32", 2, "64", 2);
}

void boot_teardown(void)
{
    kvm_boot_state_free(&state);
    kvm_memory_free(&memory);
    unlink(image);
    unlink(initrd);
    rmdir(image);
    rmdir(folder);
}

void save(const char *path, const void *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, count), (ssize_t)count);
    close(fd);
}

void boot(void)
{
    int error = kvm_boot(&config, &memory, &state, why);
    ck_assert_msg(error == 0, "refused: %s", why);
}

void expect_refusal_of(const char *file, const char *words)
{
    int error = kvm_boot(&config, &memory, &state, why);
    ck_assert_msg(error == -EINVAL, "not refused (%d), expected \"%s\"", error, words);
    ck_assert_msg(strstr(why, words), "\"%s\" does not say \"%s\"", why, words);
    ck_assert_msg(strstr(why, file) == why, "\"%s\" does not name the file", why);
    ck_assert_ptr_null(strchr(why, '\n'));
    ck_assert_ptr_null(state.rom);
}

void expect_refusal(const char *words)
{
    expect_refusal_of(image, words);
}

void save_linux(void)
{
    save(image, &linux_image, sizeof linux_image);
}

void set_memory(uint64_t size)
{
    kvm_memory_free(&memory);
    ck_assert_int_eq(kvm_memory_init(&memory, size), 0);
}
