/*
 * What is typed to a guest, see console.h.
 */
#include "config.h"

#include "hv/cmd/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/cmd/terminal.h"
#include "hv/session.h"

enum { ESCAPE = 'A' & 0x1f };

static const char HELP[] = "\r\nCtrl-A x  leave the guest\r\n"
                           "Ctrl-A a  type Ctrl-A\r\n"
                           "Ctrl-A h  this help\r\n";

static int open_file(struct console *console, const char *path)
{
    struct stat info;
    console->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (console->fd < 0)
        return -errno;
    if (fstat(console->fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        close(console->fd);
        return -EISDIR;
    }
    return 0;
}

int console_open(struct console *console, const char *path)
{
    *console = (struct console){.fd = STDIN_FILENO};
    if (path)
        return open_file(console, path);
    console->escape = isatty(STDIN_FILENO);
    return console->escape ? terminal_raw() : 0;
}

void console_close(struct console *console)
{
    if (console->fd > STDIN_FILENO)
        close(console->fd);
    terminal_restore();
}

bool console_wants_input(const struct console *console)
{
    return !console->ended && console->count == 0;
}

/* Takes the escapes out of what was typed, in place; returns how many bytes are left. */
static size_t take_escapes(struct console *console, uint8_t *bytes, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = bytes[i];
        if (!console->after_escape && byte == ESCAPE) {
            console->after_escape = true;
            continue;
        }
        if (console->after_escape) {
            console->after_escape = false;
            if (byte == 'x' || byte == 'X')
                console->leave = true;
            if (byte == 'h' || byte == '?')
                fputs(HELP, stderr);
            if (byte != 'a' && byte != ESCAPE)
                continue;
            byte = ESCAPE;
        }
        bytes[left++] = byte;
    }
    return left;
}

static void give(struct console *console, struct session *session)
{
    size_t took = session_input(session, console->pending + console->start, console->count);
    console->start += took;
    console->count -= took;
}

void console_read(struct console *console, struct session *session)
{
    if (console->count)
        give(console, session);
    if (!console_wants_input(console))
        return;
    ssize_t got = read(console->fd, console->pending, sizeof console->pending);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0) {
        console->ended = true;
        session_input_end(session);
        return;
    }
    console->start = 0;
    console->count =
        console->escape ? take_escapes(console, console->pending, (size_t)got) : (size_t)got;
    give(console, session);
}

int console_preload(struct console *console, struct session *session)
{
    struct stat info;
    if (fstat(console->fd, &info) || !S_ISREG(info.st_mode))
        return 0;
    console->ended = true;
    return session_input_file(session, console->fd);
}

int console_type_file(struct session *session, const char *path)
{
    struct console console;
    int failed = console_open(&console, path);
    if (failed)
        return failed;
    failed = console_preload(&console, session);
    console_close(&console);
    return failed;
}
