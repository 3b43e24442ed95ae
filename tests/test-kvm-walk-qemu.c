/*
 * The page walk of x86 guests against QEMU's, over random tables of every format.
 *
 * KVM is the better judge (tests/test-kvm-walk.c), but not every KVM has all formats. QEMU's
 * `gva2gpa` looks through the guest's tables as a debugger does: it checks neither rights nor
 * reserved bits, so addresses whose walk meets a reserved bit, or a table outside memory, are left
 * out. QEMU stands at its first instruction all the time; tables and control registers are set
 * through its GDB stub.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/kvm/walk.h"
#include "tests/random-tables.h"
#include "tests/tap.h"

enum { MEMORY = 1 << 20, WORLDS = 4, QUERIES = 250, ANSWER = 1 << 16 };

/* Numbers of QEMU's registers in gdb-xml/i386-64bit.xml. */
enum { REG_CR0 = 27, REG_CR3 = 29, REG_CR4 = 30, REG_EFER = 32 };

static pid_t qemu;
static int stub = -1;
static char folder[] = "/tmp/walk-qemu-XXXXXX", path[64];

static void start_qemu(void)
{
    char chardev[128];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/gdb", folder);
    snprintf(chardev, sizeof chardev, "socket,path=%s,server=on,wait=off,id=gdb", path);
    qemu = fork();
    ck_assert_int_ge(qemu, 0);
    if (qemu)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("qemu-system-x86_64", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "16",
           "-nodefaults", "-display", "none", "-S", "-chardev", chardev, "-gdb", "chardev:gdb",
           (char *)NULL);
    _exit(127);
}

static void dial(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    stub = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int i = 0; i < 6000 && connect(stub, (struct sockaddr *)&to, sizeof to); i++)
        usleep(50000);
}

static void teardown(void)
{
    close(stub);
    kill(qemu, SIGKILL);
    waitpid(qemu, NULL, 0);
    unlink(path);
    rmdir(folder);
}

/* ---- packets -------------------------------------------------------------------------------- */

static void send_packet(const char *packet)
{
    char frame[8192];
    unsigned sum = 0;
    for (const char *c = packet; *c; c++)
        sum += (uint8_t)*c;
    int length = snprintf(frame, sizeof frame, "+$%s#%02x", packet, sum & 0xff);
    ck_assert_int_eq(send(stub, frame, (size_t)length, MSG_NOSIGNAL), length);
}

/* Reads until `wanted` has come; that and what came before it is left in `answer`. */
static void await(const char *wanted, char *answer)
{
    size_t count = 0;
    answer[0] = 0;
    while (!strstr(answer, wanted)) {
        struct pollfd ready = {.fd = stub, .events = POLLIN};
        ck_assert_msg(poll(&ready, 1, 300000) == 1, "QEMU does not answer: %s", answer);
        ssize_t got = recv(stub, answer + count, ANSWER - 1 - count, 0);
        ck_assert_int_gt(got, 0);
        count += (size_t)got;
        answer[count] = 0;
    }
}

static void setup(void)
{
    char answer[ANSWER];
    start_qemu();
    dial();
    send_packet("qXfer:features:read:target.xml:0,8"); /* else QEMU takes no registers */
    await("$m", answer);
}

static void set_register(unsigned number, uint64_t value)
{
    char packet[64], answer[ANSWER];
    snprintf(packet, sizeof packet, "P%x=%016llx", number,
             (unsigned long long)__builtin_bswap64(value));
    send_packet(packet);
    await("$OK#9a", answer);
}

static void set_memory(const struct kvm_memory *memory)
{
    char packet[4096], answer[ANSWER];
    enum { PART = 1024 };
    send_packet("Qqemu.PhyMemMode:1");
    await("$OK#9a", answer);
    for (unsigned at = 0; at < TABLES_BYTES; at += PART) {
        int n = snprintf(packet, sizeof packet, "M%x,%x:", at, PART);
        for (unsigned i = 0; i < PART; i++)
            n += snprintf(packet + n, sizeof packet - (size_t)n, "%02x", memory->host[at + i]);
        send_packet(packet);
        await("$OK#9a", answer);
    }
}

/* `gva2gpa`: false if nothing is there. The words come in packets of the console, in hex. */
static bool translate(uint64_t va, uint64_t *pa)
{
    char command[64], packet[256] = "qRcmd,", answer[ANSWER], text[256] = "";
    snprintf(command, sizeof command, "gva2gpa 0x%llx", (unsigned long long)va);
    for (const char *c = command; *c; c++)
        snprintf(packet + strlen(packet), sizeof packet - strlen(packet), "%02x", (uint8_t)*c);
    send_packet(packet);
    await("$OK#9a", answer);
    size_t n = 0;
    for (const char *at = answer; (at = strstr(at, "$O")) && at[2] != 'K'; at += 2)
        for (const char *c = at + 2; *c && *c != '#' && n + 1 < sizeof text; c += 2) {
            char digits[3] = {c[0], c[1], 0};
            text[n++] = (char)strtoul(digits, NULL, 16);
        }
    text[n] = 0;
    const char *found = strstr(text, "gpa: ");
    ck_assert_msg(found || strstr(text, "Unmapped"), "%s: %s", command, text);
    *pa = found ? strtoull(found + 5, NULL, 0) : 0;
    return found;
}

/* ---- comparing ------------------------------------------------------------------------------ */

static const struct {
    enum kvm_paging_mode mode;
    uint64_t cr4, efer;
} WORLD[] = {
    {KVM_PAGING_32, 0x00, 0},
    {KVM_PAGING_32, 0x10, 0},
    {KVM_PAGING_PAE, 0x20, 0x800},
    {KVM_PAGING_4_LEVEL, 0x20, 0x900},
    {KVM_PAGING_5_LEVEL, 0x1020, 0x900},
};

static bool has_no_rule(const struct kvm_walk *w)
{
    return !w->ok && (w->vector != X86_PF || w->error_code & X86_PF_RSVD);
}

START_TEST(agrees_with_qemu)
{
    struct kvm_memory memory;
    struct kvm_paging p = {.mode = WORLD[_i].mode, .cr3 = TABLES_ROOT, .huge = true};
    unsigned compared = 0, valid = 0;
    p.pse = WORLD[_i].cr4 & 0x10;
    p.nxe = WORLD[_i].efer & 0x800;
    p.width = p.mode == KVM_PAGING_32 ? 40 : 52;
    tables_seed(100 + (unsigned)_i);
    ck_assert_int_eq(kvm_memory_init(&memory, MEMORY), 0);
    for (int world = 0; world < WORLDS; world++) {
        tables_fill(&p, &memory);
        set_register(REG_CR0, 0x11);
        set_memory(&memory);
        set_register(REG_CR4, WORLD[_i].cr4);
        set_register(REG_EFER, WORLD[_i].efer);
        set_register(REG_CR3, p.cr3);
        set_register(REG_CR0, 0x80000011);
        for (int q = 0; q < QUERIES; q++) {
            struct kvm_walk w = {.access = 0};
            uint64_t va = tables_address(&p), pa;
            bool ok = kvm_walk(&p, &memory, va, &w);
            if (has_no_rule(&w))
                continue;
            bool same = translate(va, &pa) == ok && (!ok || w.pa == pa);
            ck_assert_msg(same, "%s: 0x%llx: we say %d 0x%llx (%s), QEMU 0x%llx",
                          kvm_paging_name(p.mode), (unsigned long long)va, ok,
                          (unsigned long long)w.pa, w.why, (unsigned long long)pa);
            compared++;
            valid += ok;
        }
    }
    kvm_memory_free(&memory);
    ck_assert_uint_gt(compared, WORLDS * QUERIES / 8);
    ck_assert_uint_gt(valid, compared / 10);
    ck_assert_uint_lt(valid, compared);
}
END_TEST

int main(void)
{
    if (system("qemu-system-x86_64 --version >/dev/null 2>&1")) {
        puts("1..0 # SKIP no qemu-system-x86_64");
        return 0;
    }
    Suite *suite = suite_create("the page walk of x86 guests, and QEMU's");
    TCase *tc = tcase_create("random tables");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, agrees_with_qemu, 0, ROWS(WORLD));
    suite_add_tcase(suite, tc);
    return tap_run(suite);
}
