/*
 * The GDB stub on an x86 guest: packets by hand, and the real gdb.
 *
 * The stub is linked with a session of our own, which has two vCPUs that know one instruction, nop.
 * So this needs no /dev/kvm, and every answer is known beforehand.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/gdb.h"
#include "hv/kvm/memory.h"
#include "hv/kvm/registers.h"
#include "hv/session.h"
#include "tests/tap.h"

enum { MEMORY = 1 << 20, CODE = 0x10000, VCPUS = 2 };

/* ---- a session with nothing but nops -------------------------------------------------------- */

struct session {
    struct kvm_cpu_state cpu[VCPUS];
    struct kvm_memory memory;
    struct view_status status;
    struct session_break point[SESSION_BREAKS];
    struct gdb *gdb;
};

static struct session guest;

void session_status(struct session *s, struct view_status *out)
{
    *out = s->status;
}

static void stop(struct session *s, enum session_stop reason)
{
    s->status.state = SESSION_STOPPED;
    s->status.stop = reason;
    s->status.stops++;
    if (s->gdb)
        gdb_stopped(s->gdb);
}

static struct kvm_cpu_state *current(struct session *s)
{
    return &s->cpu[s->status.vcpu];
}

int session_set_vcpu(struct session *s, unsigned index)
{
    if (index >= VCPUS)
        return -EINVAL;
    s->status.vcpu = index;
    return 0;
}

int session_step(struct session *s, uint64_t count)
{
    current(s)->regs.rip += count;
    stop(s, STOPPED_STEP);
    return 0;
}

/* Both run; the second meets a breakpoint first. */
int session_run(struct session *s)
{
    s->status.state = SESSION_RUNNING;
    for (int n = 0; n < 1000; n++)
        for (unsigned i = VCPUS; i-- > 0;) {
            s->cpu[i].regs.rip++;
            for (int b = 0; b < SESSION_BREAKS; b++)
                if (s->point[b].id && s->point[b].kind == BREAK_EXECUTE &&
                    s->point[b].address == s->cpu[i].regs.rip) {
                    s->status.vcpu = i;
                    stop(s, STOPPED_BREAKPOINT);
                    return 0;
                }
        }
    stop(s, STOPPED_SHUTDOWN);
    return 0;
}

/* There is no way back for such a guest, and gdb is not told of one. */
void session_view_history(struct session *s, struct view_history *out)
{
    (void)s;
    *out = (struct view_history){0};
}

int session_step_back(struct session *s, uint64_t count)
{
    (void)s;
    (void)count;
    return -ENOTSUP;
}

int session_run_back(struct session *s, enum session_back kind, bool physical, uint64_t address,
                     uint32_t length)
{
    (void)s;
    (void)kind;
    (void)physical;
    (void)address;
    (void)length;
    return -ENOTSUP;
}

int session_pause(struct session *s)
{
    (void)s;
    return 0;
}

int session_wait(struct session *s, int timeout_ms)
{
    (void)s;
    (void)timeout_ms;
    return 0;
}

int session_reset(struct session *s)
{
    (void)s;
    return -ENOTSUP;
}

void session_view_registers(struct session *s, struct view_registers *out)
{
    struct kvm_register list[KVM_REGISTERS_MAX];
    memset(out, 0, sizeof *out);
    out->count = (unsigned)kvm_registers_list(current(s), list, KVM_REGISTERS_MAX);
    for (unsigned i = 0; i < out->count; i++) {
        struct view_register *r = &out->reg[i];
        snprintf(r->name, sizeof r->name, "%s", list[i].name);
        r->bits = (uint16_t)list[i].bits;
        r->value = list[i].value;
        r->high = list[i].high;
    }
}

int session_write_register64(struct session *s, const char *name, uint64_t value)
{
    return kvm_register_write(current(s), name, value, 0);
}

void session_view_memory(struct session *s, bool physical, uint64_t address, uint32_t length,
                         struct view_memory *out)
{
    (void)physical;
    *out = (struct view_memory){.address = address, .length = length};
    for (uint32_t i = 0; i < length; i++)
        if (kvm_memory_read(&s->memory, address + i, &out->data[i], 1))
            out->valid[i / 8] |= (uint8_t)(1 << i % 8);
}

int session_write_memory(struct session *s, bool physical, uint64_t address, const uint8_t *bytes,
                         uint32_t length)
{
    (void)physical;
    return kvm_memory_write(&s->memory, address, bytes, length) ? 0 : -EFAULT;
}

int session_break_add(struct session *s, const struct session_break *wanted)
{
    for (int i = 0; i < SESSION_BREAKS; i++)
        if (!s->point[i].id) {
            s->point[i] = *wanted;
            return s->point[i].id = i + 1;
        }
    return -ENOSPC;
}

int session_break_remove(struct session *s, int id)
{
    s->point[id - 1].id = 0;
    return 0;
}

int session_lookup(struct session *s, const char *name, uint64_t *address)
{
    (void)s;
    *address = strtoull(name, NULL, 0);
    return 0;
}

void session_translate(struct session *s, uint64_t va, char access, struct view_translation *out)
{
    (void)s;
    memset(out, 0, sizeof *out);
    out->guest = (struct view_walk){.present = true, .bare = true, .ok = true, .va = va, .pa = va};
    out->access = access;
}

/* What only an RV32 guest has, and what nobody asks here. */
void session_view_hart(struct session *s, enum view_hart_kind kind, struct view_hart *out)
{
    (void)s;
    (void)kind;
    memset(out, 0, sizeof *out);
}
int session_write_register(struct session *s, int number, uint32_t value)
{
    (void)s;
    (void)number;
    (void)value;
    return -ENOTSUP;
}
int session_write_csr(struct session *s, uint16_t number, uint32_t value)
{
    return session_write_register(s, number, value);
}
void session_exit_stats(struct session *s, struct view_exit_stats *out)
{
    (void)s;
    memset(out, 0, sizeof *out);
}
int session_exits(struct session *s, uint64_t after, struct view_exit *out, int max)
{
    (void)s;
    (void)after;
    (void)out;
    (void)max;
    return 0;
}
uint64_t session_digest(struct session *s)
{
    (void)s;
    return 0;
}

/* ---- the stub ------------------------------------------------------------------------------- */

static pthread_t server;
static int client;

static void *serve(void *unused)
{
    (void)unused;
    gdb_serve(guest.gdb);
    return NULL;
}

static void setup(void)
{
    char why[GDB_ERROR];
    memset(&guest, 0, sizeof guest);
    ck_assert_int_eq(kvm_memory_init(&guest.memory, MEMORY), 0);
    memset(guest.memory.host, 0x90, MEMORY);
    guest.status.isa = ISA_X86;
    guest.status.vcpus = VCPUS;
    for (unsigned i = 0; i < VCPUS; i++) {
        guest.cpu[i].regs.rip = CODE + 0x100 * i;
        guest.cpu[i].regs.rax = 0x1122334455667788;
        guest.cpu[i].regs.rflags = 0x246;
        guest.cpu[i].sregs.cs.selector = 8;
        guest.cpu[i].sregs.cr3 = 0x5000 + i;
        guest.cpu[i].sregs.fs.base = 0x7fff12345678;
        guest.cpu[i].sregs.efer = 0xd01;
        guest.cpu[i].fpu.mxcsr = 0x1f80;
        guest.cpu[i].msr_there = 0xffff;
        guest.cpu[i].fpu.ftwx = 0xff;
        float four[4] = {1.5F, 2.5F, 3.5F, -1};
        long double x87 = 2.25L;
        memcpy(guest.cpu[i].fpu.xmm[3], four, 16);
        memcpy(guest.cpu[i].fpu.fpr[0], &x87, 10);
    }
    guest.gdb = gdb_new(&guest, "0", why);
    ck_assert_msg(guest.gdb != NULL, "%s", why);
    ck_assert_int_eq(pthread_create(&server, NULL, serve, NULL), 0);
    client = -1;
}

static void teardown(void)
{
    if (client >= 0)
        close(client);
    gdb_quit(guest.gdb);
    pthread_join(server, NULL);
    gdb_free(guest.gdb);
    kvm_memory_free(&guest.memory);
}

static void dial(void)
{
    const char *colon = strrchr(gdb_address(guest.gdb), ':');
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&to, sizeof to), 0);
}

/* Sends a packet and returns the payload of the answer. */
static const char *ask(const char *packet)
{
    static char answer[40000];
    static char frame[8192];
    unsigned sum = 0;
    size_t count = 0;
    for (const char *c = packet; *c; c++)
        sum += (uint8_t)*c;
    int length = snprintf(frame, sizeof frame, "$%s#%02x", packet, sum & 0xff);
    ck_assert_int_eq(send(client, frame, (size_t)length, 0), length);
    for (;;) {
        struct pollfd ready = {.fd = client, .events = POLLIN};
        ck_assert_msg(poll(&ready, 1, 300000) == 1, "no answer to %s", packet);
        ssize_t got = recv(client, answer + count, sizeof answer - 1 - count, 0);
        ck_assert_int_gt(got, 0);
        count += (size_t)got;
        answer[count] = '\0';
        char *begin = strrchr(answer, '$'), *end = begin ? strchr(begin, '#') : NULL;
        if (end && strlen(end) >= 3) {
            *end = '\0';
            return begin + 1;
        }
    }
}

static const struct {
    const char *packet, *answer;
} TALK[] = {
    {"?", "T05thread:1;"},
    {"qC", "QC1"},
    {"qfThreadInfo", "m1,2"},
    {"qsThreadInfo", "l"},
    {"qThreadExtraInfo,2", "764350552031"}, /* "vCPU 1" */
    {"T2", "OK"},
    {"T3", "E16"},
    {"p0", "8877665544332211"},
    {"p10", "0000010000000000"},
    {"p11", "46020000"},
    {"p12", "08000000"},
    {"p18", "00000000000000900040"},             /* st0 is 2.25 */
    {"p22", "xxxxxxxx"},                         /* ftag */
    {"p2b", "0000c03f0000204000006040000080bf"}, /* xmm3 */
    {"p39", "78563412ff7f0000"},                 /* fs_base */
    {"p1000", "E16"},
    {"pg", "E16"},
    {"P0=0100000000000000", "OK"},
    {"p0", "0100000000000000"},
    {"P0=01000000", "E16"},
    {"P12=00000100", "E22"},                         /* a selector of 17 bits: ERANGE */
    {"P2b=00000000000000000000000000000000", "E5f"}, /* ENOTSUP */
    {"Hg2", "OK"},
    {"p10", "0001010000000000"},
    {"Hc-1", "OK"},
    {"Hg0", "OK"},
    {"p10", "0001010000000000"},
    {"Hg3", "E16"},
    {"Hx1", "E16"},
    {"m10000,4", "90909090"},
    {"mffffffffffffffff,4", "E0e"},
    {"m10000000000000000,4", "E16"},
    {"Mffffffff81000000,1:00", "E0e"},
    {"M10004,1:91", "OK"},
    {"m10003,2", "9091"},
    {"vCont?", "vCont;c;C;s;S"},
    {"vCont;s:1;c", "T05thread:1;"},
    {"p10", "0100010000000000"},
    {"vCont;s:2", "T05thread:2;"},
    {"p10", "0101010000000000"},
    {"vCont;S05:2;c", "T05thread:2;"},
    {"vCont;s:3", "E16"},
    {"vCont;q", "E16"},
    {"vCont;s:1x", "E16"},
    {"vCont;", "E16"},
    {"s20000", "T05thread:2;"},
    {"p10", "0100020000000000"},
    {"Z0,10010,1", "OK"},
    {"vCont;c", "T05thread:1;"},
    {"p10", "1000010000000000"},
    {"z0,10010,1", "OK"},
    {"qXfer:features:read:target.xml:0,40",
     "m<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">"},
};

START_TEST(packets)
{
    dial();
    for (int i = 0; i < ROWS(TALK); i++) {
        const char *answer = ask(TALK[i].packet);
        size_t length = strlen(TALK[i].answer);
        bool is_part = strchr(TALK[i].answer, '<');
        ck_assert_msg(is_part ? !strncmp(answer, TALK[i].answer, length)
                              : !strcmp(answer, TALK[i].answer),
                      "%s: %s, not %s", TALK[i].packet, answer, TALK[i].answer);
    }
}
END_TEST

/* Packets with some characters changed: each is answered, and nothing breaks. */
START_TEST(changed_packets)
{
    char packet[512];
    srandom(3);
    dial();
    for (int round = 0; round < 3000; round++) {
        snprintf(packet, sizeof packet, "%s", TALK[random() % ROWS(TALK)].packet);
        size_t length = strlen(packet);
        for (long changes = random() % 3 + 1; changes; changes--)
            packet[(size_t)random() % length] = "0123456789abcdef:;,=sxPZ-"[random() % 25];
        if (!strchr("kDvR", packet[0])) /* those may end it, or let it run and never answer */
            ask(packet);
    }
    ck_assert_str_eq(ask("qfThreadInfo"), "m1,2");
}
END_TEST

/* All registers at once, and back with one of them changed. */
START_TEST(all_registers)
{
    static char packet[4000];
    dial();
    snprintf(packet, sizeof packet, "G%s", ask("g"));
    ck_assert_int_eq(strncmp(packet, "G8877665544332211", 17), 0);
    ck_assert_ptr_nonnull(strstr(packet, "xxxxxxxx"));
    memcpy(packet + 1, "9977", 4);
    guest.cpu[0].regs.rcx = 5; /* the packet says 0 */
    ck_assert_str_eq(ask(packet), "OK");
    ck_assert_uint_eq(guest.cpu[0].regs.rax, 0x1122334455667799);
    ck_assert_uint_eq(guest.cpu[0].regs.rcx, 0);
    ck_assert_uint_eq(guest.cpu[0].regs.rip, CODE);
    packet[strlen(packet) - 4] = 0;
    ck_assert_str_eq(ask(packet), "E16");
}
END_TEST

/* ---- the real gdb --------------------------------------------------------------------------- */

static const char COMMANDS[] = "set pagination off\n"
                               "set confirm off\n"
                               "target remote %s\n"
                               "printf \"rax %%lx\\n\", $rax\n"
                               "printf \"rip %%lx\\n\", $rip\n"
                               "p $eflags\n"
                               "p $xmm3.v4_float\n"
                               "p $st0\n"
                               "printf \"cr3 %%lx\\n\", $cr3\n"
                               "printf \"fs_base %%lx\\n\", $fs_base\n"
                               "info registers efer mxcsr\n"
                               "info threads\n"
                               "thread 2\n"
                               "printf \"rip of 2 %%lx\\n\", $rip\n"
                               "stepi\n"
                               "printf \"stepped to %%lx\\n\", $rip\n"
                               "set $rax = 0x123456789abcdef0\n"
                               "set $lstar = 0xffffffff81000000\n"
                               "printf \"now %%lx %%lx\\n\", $rax, $lstar\n"
                               "set *(int *)0x20000 = 0x55667788\n"
                               "x/2xw 0x20000\n"
                               "x/2i $rip\n"
                               "break *0x10020\n"
                               "continue\n"
                               "printf \"hit at %%lx\\n\", $rip\n"
                               "delete\n"
                               "monitor walk 0x1000\n"
                               "continue\n"
                               "kill\n";

static const char *const WANTED[] = {
    "rax 1122334455667788",
    "rip 10000",
    "$1 = [ PF ZF IF ]",
    "$2 = {1.5, 2.5, 3.5, -1}",
    "$3 = 2.25",
    "cr3 5000",
    "fs_base 7fff12345678",
    "efer           0xd01",
    "[ IM DM ZM OM UM PM ]",
    "vCPU 0",
    "vCPU 1",
    "rip of 2 10100",
    "stepped to 10101",
    "now 123456789abcdef0 ffffffff81000000",
    "0x55667788\t0x90909090",
    "nop",
    "hit at 10020",
    "0x00001000 -> 0x00001000 (translation is off)",
    "SIGSEGV",
};

START_TEST(real_gdb)
{
    static char output[65536];
    char path[] = "/tmp/gdb-x86-XXXXXX", command[256];
    if (system("gdb -nx -batch -ex 'set architecture i386:x86-64' >/dev/null 2>&1")) {
        printf("# left out: the real gdb, which is not installed\n");
        return;
    }
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    dprintf(fd, COMMANDS, gdb_address(guest.gdb));
    close(fd);
    snprintf(command, sizeof command, "timeout 300 gdb -nx -batch -x %s 2>&1", path);
    FILE *gdb = popen(command, "r");
    ck_assert_ptr_nonnull(gdb);
    size_t count = fread(output, 1, sizeof output - 1, gdb);
    output[count] = '\0';
    pclose(gdb);
    unlink(path);
    for (int i = 0; i < ROWS(WANTED); i++)
        ck_assert_msg(strstr(output, WANTED[i]) != NULL, "no \"%s\" in:\n%s", WANTED[i], output);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("the GDB stub on x86");
    TCase *tc = tcase_create("stub");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, packets);
    tcase_add_test(tc, all_registers);
    tcase_add_test(tc, changed_packets);
    tcase_add_test(tc, real_gdb);
    suite_add_tcase(suite, tc);
    return tap_run(suite);
}
