/* Random programs as files, for tests of sessions. */
#ifndef VITRINE_TESTS_RANDOM_ELF_H
#define VITRINE_TESTS_RANDOM_ELF_H

#include <stdbool.h>
#include <stdint.h>

/* A random program (tests/random-program.h) as an ELF file with a segment for each of its pieces.
 * `path` is a template of mkstemp(). false: it could not be written. */
bool random_elf_write(char *path, uint64_t seed, unsigned options);

#endif
