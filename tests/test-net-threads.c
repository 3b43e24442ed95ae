/*
 * Networks under load: two of them, each with threads that send, wake and ask, and one that
 * restarts it meanwhile. Worth the thread sanitizer's while (-fsanitize=thread).
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "hv/kvm/net.h"
#include "tests/frames.h"
#include "tests/tap.h"

enum { NETS = 2, SENDERS = 3, RESTARTS = 20 };

struct stress {
    struct net *net;
    pthread_mutex_t io;
    unsigned received; /* under io */
    atomic_bool over;
};

static bool stress_receive(void *context, const uint8_t *frame, size_t size)
{
    struct stress *s = context;
    pthread_mutex_lock(&s->io);
    bool taken = ++s->received % 7;
    pthread_mutex_unlock(&s->io);
    return taken;
}

static unsigned stress_received(struct stress *s)
{
    pthread_mutex_lock(&s->io);
    unsigned received = s->received;
    pthread_mutex_unlock(&s->io);
    return received;
}

static void *stress_send(void *argument)
{
    struct stress *s = argument;
    struct frame_bytes arp = frame_arp_request(NET_GUEST, NET_GATEWAY);
    struct frame_bytes syn = frame_tcp(NET_GUEST, 1, NET_GATEWAY, 9, 1, 0, TCP_SYN, NULL, 0);
    struct frame_bytes ping = frame_echo(NET_GUEST, NET_GATEWAY, 1, 1, "x", 1);
    const struct frame_bytes *all[] = {&arp, &ping, &syn, &ping};
    struct net_stats stats;
    for (int i = 0; !atomic_load(&s->over); i++) {
        const struct frame_bytes *f = all[i % ROWS(all)];
        pthread_mutex_lock(&s->io);
        net_send(s->net, f->bytes, f->size);
        pthread_mutex_unlock(&s->io);
        if (i % 16 == 0) {
            net_wake(s->net);
            net_stats(s->net, &stats);
        }
    }
    return NULL;
}

static void *stress_restart(void *argument)
{
    struct stress *s = argument;
    char text[NET_WHY];
    for (int i = 0; i < RESTARTS; i++)
        ck_assert_int_eq(net_restart(s->net, text), 0);
    atomic_store(&s->over, true);
    return NULL;
}

START_TEST(many_threads)
{
    struct net_config config = {.receive = stress_receive, .confine = true};
    char why[NET_WHY];
    struct stress s[NETS];
    pthread_t thread[NETS][SENDERS + 1];
    for (int n = 0; n < NETS; n++) {
        s[n] = (struct stress){0};
        pthread_mutex_init(&s[n].io, NULL);
        config.context = &s[n];
        s[n].net = net_new(&config, why);
        ck_assert_msg(s[n].net != NULL, "%s", why);
        for (int t = 0; t < SENDERS; t++)
            pthread_create(&thread[n][t], NULL, stress_send, &s[n]);
        pthread_create(&thread[n][SENDERS], NULL, stress_restart, &s[n]);
    }
    for (int n = 0; n < NETS; n++) {
        for (int t = 0; t <= SENDERS; t++)
            pthread_join(thread[n][t], NULL);
        struct frame_bytes last = frame_arp_request(NET_GUEST, NET_GATEWAY);
        unsigned before = stress_received(&s[n]);
        net_send(s[n].net, last.bytes, last.size);
        while (stress_received(&s[n]) == before)
            sched_yield();
        net_free(s[n].net);
        pthread_mutex_destroy(&s[n].io);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net");
    TCase *tests = tcase_create("threads");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, many_threads);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
