/*
 * Fuzzes the image loader: ELF headers, segments, symbols and lines, and flat images.
 *
 * What it accepts must be sound: inside memory, the entry inside the image, symbols that answer.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/image.h"
#include "cpu/symbols.h"
#include "tests/elf-sample.h"

enum { MEMORY = 8 << 20 };
#define RAM 0x80000000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

static void require(bool sound)
{
    if (!sound)
        abort();
}

static void ask(const struct symbols *symbols)
{
    uint64_t address, size, offset;
    const char *name, *file;
    int line;
    for (unsigned n = 0; symbols && (name = symbols_nth(symbols, n, &address, &size)); n++) {
        require(symbols_at(symbols, address, &offset) && offset == 0);
        if (symbols_line(symbols, address, &file, &line)) {
            require(line > 0 && strlen(file) < IMAGE_ERROR * 4);
            symbols_line_address(symbols, file, line, &address);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct ram ram;
    struct image image;
    char why[IMAGE_ERROR];
    require(ram_init(&ram, RAM, MEMORY) == 0);
    int error = image_load_bytes(&image, "fuzz", bytes, count, &ram, why);
    if (!error) {
        require(ram_has(&ram, image.low) && image.high > image.low && image.high - RAM <= MEMORY);
        require(image.entry >= image.low && image.entry < image.high);
        ask(image.symbols);
    } else {
        require(!image.symbols && !strchr(why, '\n') && strlen(why) < IMAGE_ERROR);
    }
    symbols_free(image.symbols);
    ram_free(&ram);

    elf_version(EV_CURRENT);
    Elf *elf = elf_memory((char *)bytes, count);
    struct symbols *symbols = elf ? symbols_read(elf, true) : NULL;
    ask(symbols);
    symbols_free(symbols);
    elf_end(elf);
    return 0;
}

/* Begins with a good file: random bytes would hardly ever become one. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
{
    struct elf_sample sample;
    if (count < SELFMAG && max >= sizeof sample) {
        elf_sample(&sample);
        memcpy(bytes, &sample, sizeof sample);
        count = sizeof sample;
    }
    return LLVMFuzzerMutate(bytes, count, max);
}
