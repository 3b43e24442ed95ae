/*
 * What the tests of the loaders of x86 guests share: memory, a configuration, and an image in a
 * folder of its own, all made anew for each test.
 */
#ifndef VITRINE_TESTS_KVM_BOOT_H
#define VITRINE_TESTS_KVM_BOOT_H

#include "hv/kvm/boot.h"
#include "tests/x86-sample.h"

enum { BOOT_MEMORY = 64 << 20 };

extern struct kvm_memory memory;
extern struct kvm_boot_config config;
extern struct kvm_boot_state state;
extern char why[KVM_BOOT_WHY];
extern char folder[]; /* of the two files */
extern char image[64], initrd[64];
extern struct x86_bzimage linux_image;

/* Fixture of every test: guest memory full of what another guest may have left. */
void boot_setup(void);
void boot_teardown(void);

void save(const char *path, const void *bytes, size_t count);
void save_linux(void);
/* Memory of the guest is of this many bytes from now on. */
void set_memory(uint64_t size);
/* Loads the guest; the test fails if that is refused. */
void boot(void);
/* Loads the guest; the test fails unless that is refused by a line that begins with the file's name
 * and has these words. */
void expect_refusal_of(const char *file, const char *words);
void expect_refusal(const char *words);

#endif
