/*
 * HTIF: how conformance programs end a run and print, by storing to the symbol `tohost`.
 *
 * An odd value n ends the run with code n >> 1 (so 1 is success). With 0x01010000 in the upper word
 * the low byte is a character. An even value is the physical address of a request of four 64-bit
 * words (call, arguments); write (64) to the console and exit (93) are served, everything else is
 * answered with -ENOSYS. The answer is a 1 in `fromhost`.
 */
#include <errno.h>
#include <string.h>

#include "cpu/machine.h"

enum { CALL_WRITE = 64, CALL_EXIT = 93, PUTCHAR = 0x01010000 };

static void console_out(struct machine *m, const uint8_t *bytes, size_t count)
{
    if (m->config.console)
        m->config.console(m->config.console_context, bytes, count);
}

/* Writes what fits in whole pieces; a buffer that leaves RAM ends the writing there. */
static int64_t call_write(struct machine *m, uint32_t pa, uint32_t count)
{
    uint8_t piece[256];
    uint32_t done = 0;
    while (done < count && done < 1u << 20) {
        uint32_t part = count - done < sizeof piece ? count - done : sizeof piece;
        if (!ram_read(&m->ram, pa + done, piece, part))
            return done ? (int64_t)done : -EFAULT;
        console_out(m, piece, part);
        done += part;
    }
    return done;
}

static void power_off(struct machine *m, uint32_t code)
{
    m->exit_code = code > 255 ? 255 : (int)code;
    machine_stop(m, STOP_POWEROFF);
}

static void serve(struct machine *m, uint32_t request)
{
    uint64_t word[4];
    if (!ram_read(&m->ram, request, word, sizeof word))
        return;
    int64_t answer = -ENOSYS;
    if (word[0] == CALL_WRITE)
        answer = call_write(m, (uint32_t)word[2], (uint32_t)word[3]);
    else if (word[0] == CALL_EXIT)
        power_off(m, (uint32_t)word[1]);
    ram_write(&m->ram, request, &answer, sizeof answer);
}

void machine_htif(struct machine *m)
{
    uint32_t word[2] = {0};
    static const uint32_t taken[2] = {0}, answered[2] = {1};
    if (!ram_read(&m->ram, m->tohost, word, sizeof word) || (word[0] | word[1]) == 0)
        return;
    if (word[1] == PUTCHAR)
        console_out(m, (const uint8_t *)&word[0], 1);
    else if (word[1])
        return;
    else if (word[0] & 1)
        power_off(m, word[0] >> 1);
    else
        serve(m, word[0]);
    ram_write(&m->ram, m->tohost, taken, sizeof taken);
    if (m->fromhost)
        ram_write(&m->ram, m->fromhost, answered, sizeof answered);
}
