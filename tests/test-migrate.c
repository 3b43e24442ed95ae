/*
 * Migration: a guest that moves is the guest that it would have been; whatever breaks, it goes on
 * in one place.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cpu/ram.h"
#include "hv/migrate_priv.h"
#include "hv/postcopy.h"
#include "hv/session_priv.h"
#include "tests/migrate-pair.h"
#include "tests/tap.h"

enum { MORE = 50000 };

static struct pair pair_of(enum session_under from, enum session_under to, const char *engine)
{
    return (struct pair){.source = pair_session(PAIR_STEADY, from, engine),
                         .destination = pair_session(PAIR_STEADY, to, engine)};
}

static void check_pair(struct pair *pair)
{
    const char *wrong = pair_check(pair, MORE);
    ck_assert_msg(!wrong, "%s at call %u of the %s (fault %d, part %u): %s; %s", wrong,
                  pair->plan.call, pair->plan.source ? "source" : "destination", pair->plan.fault,
                  pair->plan.part, pair->source_why, pair->destination_why);
}

/* ---- moving --------------------------------------------------------------------------------- */

static const struct {
    enum session_under from, to;
    const char *engine;
} WAYS[] = {
    {SESSION_HV, SESSION_HV, "interp"},   {SESSION_HV, SESSION_HV, "threaded"},
    {SESSION_HV, SESSION_HV, "auto"},     {SESSION_BARE, SESSION_BARE, "interp"},
    {SESSION_BARE, SESSION_BARE, "auto"}, {SESSION_HV, SESSION_BARE, "auto"},
    {SESSION_BARE, SESSION_HV, "auto"},
};

START_TEST(test_moves)
{
    struct pair pair = pair_of(WAYS[_i].from, WAYS[_i].to, WAYS[_i].engine);
    struct view_migration view;
    ck_assert_int_eq(session_run(pair.source), 0);
    pair_migrate(&pair, &(struct migrate_options){.downtime = 10});
    ck_assert_msg(pair.source_end == MIGRATE_MOVED, "%s", pair.source_why);
    ck_assert_int_eq(pair.destination_end, MIGRATE_MOVED);
    ck_assert(pair.runs);
    session_view_migration(pair.source, &view);
    ck_assert_int_eq(view.phase, MIGRATION_MOVED);
    ck_assert_uint_ge(view.moved_pages, 2);
    ck_assert_uint_ge(view.round, 1);
    check_pair(&pair);
    pair_free(&pair);
}
END_TEST

/* While the guest writes to all of its pages in each round, it takes many rounds. */
START_TEST(test_moves_in_rounds)
{
    struct pair pair = pair_of(WAYS[_i].from, WAYS[_i].to, WAYS[_i].engine);
    struct view_migration view;
    pair.plan = (struct fault_plan){.fault = FAULT_SLOW, .source = true, .call = 40};
    ck_assert_int_eq(session_run(pair.source), 0);
    pair_migrate(&pair, &(struct migrate_options){.downtime = 1e-9, .rounds = 1000});
    ck_assert_msg(pair.source_end == MIGRATE_MOVED, "%s", pair.source_why);
    session_view_migration(pair.source, &view);
    ck_assert_uint_ge(view.round, 3);
    check_pair(&pair);
    pair_free(&pair);
}
END_TEST

START_TEST(test_moves_a_stopped_guest)
{
    struct pair pair = pair_of(SESSION_HV, SESSION_HV, "auto");
    ck_assert_int_eq(session_step(pair.source, 12345), 0);
    ck_assert_int_eq(session_wait(pair.source, -1), 0);
    pair_migrate(&pair, &(struct migrate_options){0});
    ck_assert_int_eq(pair.source_end, MIGRATE_MOVED);
    ck_assert(!pair.runs);
    check_pair(&pair);
    pair_free(&pair);
}
END_TEST

/* There, back, and there again: each time the account of writes begins anew. */
START_TEST(test_moves_often)
{
    struct pair pair = pair_of(SESSION_HV, SESSION_HV, "auto");
    struct session *first = pair.source;
    for (int n = 0; n < 4; n++) {
        ck_assert_int_eq(session_run(pair.source), 0);
        pair_migrate(&pair, &(struct migrate_options){.downtime = 10});
        ck_assert_msg(pair.destination_end == MIGRATE_MOVED, "%s", pair.source_why);
        if (n < 3) {
            char text[4096];
            while (session_output(pair.source, (uint8_t *)text, sizeof text))
                ;
            if (pair.source != first)
                session_free(pair.source);
            pair.source = pair.destination;
            pair.destination = pair_session(PAIR_STEADY, SESSION_HV, "auto");
        }
    }
    struct view_status status;
    session_status(pair.destination, &status);
    struct session *reference = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    ck_assert_int_eq(session_step(reference, status.instructions), 0);
    ck_assert_int_eq(session_wait(reference, -1), 0);
    ck_assert_uint_eq(session_digest(reference), session_digest(pair.destination));
    session_free(reference);
    session_free(first);
    pair_free(&pair);
}
END_TEST

/* What was typed and not delivered moves along; the guest echoes it there. */
START_TEST(test_input_moves)
{
    struct pair pair = pair_of(SESSION_HV, SESSION_HV, "auto");
    char text[4096] = "";
    ck_assert_uint_eq(session_input(pair.source, (const uint8_t *)"xyz", 3), 3);
    session_input_end(pair.source);
    pair_migrate(&pair, &(struct migrate_options){0});
    ck_assert_int_eq(pair.destination_end, MIGRATE_MOVED);
    for (int n = 0; n < 6; n++) { /* without FIFO the UART has room for one byte at a time */
        ck_assert_int_eq(session_step(pair.destination, 40000), 0);
        ck_assert_int_eq(session_wait(pair.destination, -1), 0);
    }
    session_output(pair.destination, (uint8_t *)text, sizeof text - 1);
    const char *x = strchr(text, 'x'), *z = x ? strchr(x, 'z') : NULL;
    ck_assert_msg(x && z && strchr(x, 'y'), "%s", text);
    pair_free(&pair);
}
END_TEST

/* A guest that writes faster than any link is slowed down, and then gives in. */
START_TEST(test_throttle)
{
    struct pair pair = {.source = pair_session(PAIR_BUSY, SESSION_HV, "auto"),
                        .destination = pair_session(PAIR_BUSY, SESSION_HV, "auto")};
    struct view_migration view;
    ck_assert_int_eq(session_run(pair.source), 0);
    /* no downtime at all can be reached, so it goes through all rounds */
    pair_migrate(&pair, &(struct migrate_options){.downtime = 1e-9, .rounds = 6, .throttle = 50});
    session_view_migration(pair.source, &view);
    ck_assert_int_eq(pair.source_end, MIGRATE_STAYED);
    ck_assert_int_eq(pair.destination_end, MIGRATE_STAYED);
    ck_assert_int_eq(view.phase, MIGRATION_STAYED);
    ck_assert_uint_eq(view.round, 6);
    ck_assert_uint_le(view.throttle, 50);
    ck_assert_ptr_nonnull(strstr(pair.source_why, "rounds"));
    ck_assert_ptr_nonnull(strstr(pair.destination_why, "rounds"));
    ck_assert_int_eq(session_run(pair.source), -EBUSY); /* it goes on */
    pair_free(&pair);
}
END_TEST

/* Waits until so many rounds are under way, and changes its mind. */
struct second_thoughts {
    struct session *session;
    unsigned rounds;
    atomic_bool quit;
};

static void *call_off(void *context)
{
    struct second_thoughts *s = context;
    struct view_migration view;
    do
        session_view_migration(s->session, &view);
    while (view.phase != MIGRATION_COPYING || view.round < s->rounds);
    s->quit = true;
    return NULL;
}

/* Rounds that never come to an end, until it is called off; then another attempt. */
START_TEST(test_called_off)
{
    struct pair pair = {.source = pair_session(PAIR_BUSY, SESSION_HV, "auto"),
                        .destination = pair_session(PAIR_BUSY, SESSION_HV, "auto")};
    struct second_thoughts thoughts = {.session = pair.source, .rounds = 2};
    struct migrate_options options = {.downtime = 1e-9, .rounds = UINT_MAX, .quit = &thoughts.quit};
    pthread_t thread;
    pair.plan = (struct fault_plan){.fault = FAULT_SLOW, .source = true, .call = UINT_MAX};
    ck_assert_int_eq(session_run(pair.source), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, call_off, &thoughts), 0);
    pair_migrate(&pair, &options);
    pthread_join(thread, NULL);
    ck_assert_int_eq(pair.source_end, MIGRATE_STAYED);
    ck_assert_int_eq(pair.destination_end, MIGRATE_STAYED);
    ck_assert_str_eq(pair.source_why, "it was called off");
    ck_assert_ptr_nonnull(strstr(pair.destination_why, "it was called off"));
    ck_assert_int_eq(session_run(pair.source), -EBUSY); /* it goes on */

    session_free(pair.destination);
    pair.destination = pair_session(PAIR_BUSY, SESSION_HV, "auto");
    options = (struct migrate_options){.downtime = 10};
    pair.plan = (struct fault_plan){.fault = FAULT_NONE};
    pair_migrate(&pair, &options);
    ck_assert_msg(pair.source_end == MIGRATE_MOVED, "%s", pair.source_why);
    pair_free(&pair);
}
END_TEST

/* Whoever wants that from the start gets no further than the greeting. */
START_TEST(test_called_off_at_once)
{
    struct pair pair = pair_of(SESSION_HV, SESSION_HV, "auto");
    atomic_bool quit = true;
    pair_migrate(&pair, &(struct migrate_options){.quit = &quit});
    ck_assert_int_eq(pair.source_end, MIGRATE_STAYED);
    ck_assert_int_eq(pair.destination_end, MIGRATE_STAYED);
    ck_assert_str_eq(pair.source_why, "it was called off");
    pair_free(&pair);
}
END_TEST

/* The other side says nothing, and would be given a minute. */
START_TEST(test_called_off_in_silence)
{
    int ends[2];
    char why[SESSION_ERROR];
    struct session *session = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    struct second_thoughts thoughts = {.session = session};
    struct migrate_options options = {.quit = &thoughts.quit};
    pthread_t thread;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct link link = link_of_socket(ends[0], 60000);
    ck_assert_int_eq(pthread_create(&thread, NULL, call_off, &thoughts), 0);
    ck_assert_int_eq(migrate_send(session, &link, &options, why), MIGRATE_STAYED);
    pthread_join(thread, NULL);
    ck_assert_str_eq(why, "it was called off");
    link_close(&link);
    close(ends[1]);
    session_free(session);
}
END_TEST

START_TEST(test_ended_guests_stay)
{
    struct pair pair = pair_of(SESSION_HV, SESSION_HV, "auto");
    ck_assert_int_eq(session_run(pair.source), 0);
    pair_migrate(&pair, &(struct migrate_options){.downtime = 10});
    ck_assert_int_eq(pair.source_end, MIGRATE_MOVED);
    /* once more, from where it is no longer */
    struct pair again = {.source = pair.source,
                         .destination = pair_session(PAIR_STEADY, SESSION_HV, "auto")};
    pair_migrate(&again, &(struct migrate_options){0});
    ck_assert_int_eq(again.source_end, MIGRATE_STAYED);
    ck_assert_int_eq(again.destination_end, MIGRATE_STAYED);
    session_free(again.destination);
    pair_free(&pair);
}
END_TEST

/* Guests that are not the same. */
START_TEST(test_other_guest)
{
    struct pair pair = {.source = pair_session(PAIR_STEADY, SESSION_HV, "auto"),
                        .destination = pair_session(PAIR_BUSY, SESSION_HV, "auto")};
    pair_migrate(&pair, &(struct migrate_options){0});
    ck_assert_int_eq(pair.source_end, MIGRATE_STAYED);
    ck_assert_int_eq(pair.destination_end, MIGRATE_STAYED);
    ck_assert_ptr_nonnull(strstr(pair.source_why, "image="));
    ck_assert_ptr_nonnull(strstr(pair.destination_why, "image="));
    pair_free(&pair);
}
END_TEST

/* Snapshots and moves each keep their own account of the same writes, and one may end before the
 * other. */
START_TEST(test_two_accounts)
{
    struct ram ram;
    ck_assert_int_eq(ram_init(&ram, 0x80000000u, 16 * RAM_PAGE), 0);
    struct ram_track *t = &ram.code->track;
    ck_assert(ram_write(&ram, 0x80000000u + 3 * RAM_PAGE, "a", 1));
    ck_assert_int_eq(ram_track_on(&ram), 0);
    ck_assert_uint_eq(t->count, 1);
    ck_assert_int_eq(ram_track_moves(&ram), 0);
    ram_track_clean(t, 3, RAM_CLEAN); /* a snapshot was made */
    t->count = 0;
    ck_assert(ram_write(&ram, 0x80000000u + 3 * RAM_PAGE, "b", 1));
    ck_assert(ram_write(&ram, 0x80000000u + 5 * RAM_PAGE, "c", 1));
    ck_assert_uint_eq(t->count, 2);
    ck_assert_uint_eq(t->moved_count, 2);
    t->clean[5] |= RAM_UNMOVED; /* page 5 was sent */
    t->moved_count = 0;
    ck_assert(ram_write(&ram, 0x80000000u + 5 * RAM_PAGE, "d", 1));
    ck_assert_uint_eq(t->count, 2);
    ck_assert_uint_eq(t->moved_count, 1);
    ram_track_clean(t, 3, RAM_CLEAN);
    ram_track_clean(t, 5, RAM_CLEAN);
    t->count = 0;
    ram_track_off(&ram); /* no more snapshots; the next one will need all pages */
    ck_assert_uint_eq(t->count, 2);
    ck_assert(ram_write(&ram, 0x80000000u + 3 * RAM_PAGE, "e", 1));
    ck_assert_uint_eq(t->count, 2);
    ram_track_moves_end(&ram);
    ck_assert_ptr_null(t->moved);
    ram_track_off(&ram);
    ck_assert_ptr_null(t->clean);
    ram_free(&ram);
}
END_TEST

/* ---- post-copy ------------------------------------------------------------------------------ */

static const struct migrate_options POSTCOPY = {.downtime = 1e-9, .postcopy = true};

/* Each page that the guest writes is missing when it is handed over. */
START_TEST(test_postcopy)
{
    struct pair pair = pair_of(WAYS[_i].from, WAYS[_i].to, WAYS[_i].engine);
    struct view_migration there, here;
    pair.plan = (struct fault_plan){.fault = FAULT_SLOW, .source = true, .call = 40};
    ck_assert_int_eq(session_run(pair.source), 0);
    pair_migrate(&pair, &POSTCOPY);
    ck_assert_msg(pair.source_end == MIGRATE_MOVED, "%s", pair.source_why);
    ck_assert_msg(pair.destination_end == MIGRATE_MOVED, "%s", pair.destination_why);
    session_view_migration(pair.source, &here);
    session_view_migration(pair.destination, &there);
    ck_assert_int_eq(here.phase, MIGRATION_MOVED);
    ck_assert_int_eq(there.phase, MIGRATION_MOVED);
    ck_assert_uint_eq(here.round, 1);
    ck_assert_uint_eq(here.missing, 0);
    ck_assert_uint_ge(there.demands, 1);
    ck_assert_uint_le(there.demands, 33);
    ck_assert(there.waited > 0 && there.waited_max <= there.waited);
    check_pair(&pair);
    pair_free(&pair);
}
END_TEST

/* A guest that writes faster than pre-copy can follow: every migration of it ends. */
START_TEST(test_postcopy_busy)
{
    struct pair pair = {.source = pair_session(PAIR_BUSY, SESSION_HV, "auto"),
                        .destination = pair_session(PAIR_BUSY, SESSION_HV, "auto")};
    struct view_status status;
    ck_assert_int_eq(session_run(pair.source), 0);
    pair_migrate(&pair, &POSTCOPY);
    ck_assert_msg(pair.source_end == MIGRATE_MOVED, "%s", pair.source_why);
    session_pause(pair.destination);
    ck_assert_int_eq(session_wait(pair.destination, -1), 0);
    session_status(pair.destination, &status);
    struct session *reference = pair_session(PAIR_BUSY, SESSION_HV, "auto");
    ck_assert_int_eq(session_step(reference, status.instructions), 0);
    ck_assert_int_eq(session_wait(reference, -1), 0);
    ck_assert_uint_eq(session_digest(reference), session_digest(pair.destination));
    session_free(reference);
    pair_free(&pair);
}
END_TEST

/* What was typed and not delivered comes with it, and a stopped guest arrives stopped. */
START_TEST(test_postcopy_of_a_stopped_guest)
{
    struct pair pair = pair_of(SESSION_HV, SESSION_HV, "auto");
    ck_assert_int_eq(session_step(pair.source, 12345), 0);
    ck_assert_int_eq(session_wait(pair.source, -1), 0);
    pair_migrate(&pair, &POSTCOPY);
    ck_assert_int_eq(pair.source_end, MIGRATE_MOVED);
    ck_assert(!pair.runs);
    check_pair(&pair);
    pair_free(&pair);
}
END_TEST

/* While pages are missing no moment can be kept; afterwards they can, and the history begins then. */
START_TEST(test_nothing_is_kept_meanwhile)
{
    struct session_config config;
    char why[SESSION_ERROR];
    struct view_history history;
    session_config_init(&config);
    config.image = pair_image(PAIR_STEADY);
    config.memory = 12 << 20;
    config.history = 64 << 20;
    struct pair pair = {.source = pair_session(PAIR_STEADY, SESSION_HV, "auto"),
                        .destination = session_new(&config, why)};
    ck_assert_ptr_nonnull(pair.destination);
    ck_assert_int_eq(session_run(pair.source), 0);
    /* The second message of pages behind the guest does not arrive. */
    pair.plan = (struct fault_plan){FAULT_CUT, true, 20, 0, true};
    pair_migrate(&pair, &POSTCOPY);
    ck_assert_int_eq(pair.destination_end, MIGRATE_TORN);
    session_pause(pair.destination);
    ck_assert_int_eq(session_wait(pair.destination, -1), 0);
    session_view_history(pair.destination, &history);
    ck_assert(!history.present);
    ck_assert_int_eq(session_snapshot(pair.destination, "a", why), -EBUSY);
    ck_assert_int_eq(session_reset(pair.destination), -EBUSY);
    ck_assert_int_eq(session_step_back(pair.destination, 1), -ENOTSUP);
    pair_recover(&pair);
    ck_assert_int_eq(pair.destination_end, MIGRATE_MOVED);
    session_view_history(pair.destination, &history);
    ck_assert(history.present);
    ck_assert_int_ge(session_snapshot(pair.destination, "a", why), 0);
    ck_assert_int_eq(session_step(pair.destination, 5000), 0);
    ck_assert_int_eq(session_wait(pair.destination, -1), 0);
    ck_assert_int_eq(session_step_back(pair.destination, 1000), 0);
    ck_assert_int_eq(session_wait(pair.destination, -1), 0);
    ck_assert(pair_same(pair.destination));
    pair_free(&pair);
}
END_TEST

/* ---- into a session directory ----------------------------------------------------------------- */

static struct session *new_destination(struct session_config *config, enum session_under under)
{
    char why[SESSION_ERROR];
    session_config_init(config);
    config->image = pair_image(PAIR_STEADY);
    config->memory = 12 << 20;
    config->under = under;
    config->disk_away = true;
    struct session *s = session_new(config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

/* A guest comes, by pre-copy or by post-copy, and its first snapshot is a file with all of it. */
START_TEST(test_arrives_in_a_directory)
{
    static const enum session_under UNDER[] = {SESSION_BARE, SESSION_HV};
    struct session_config config;
    char folder[] = "/tmp/vitrine-test-migrate.XXXXXX", path[64], command[96], why[SESSION_ERROR];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/kept", folder);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    struct pair pair = {.source = pair_session(PAIR_STEADY, SESSION_HV, "auto"),
                        .destination = new_destination(&config, UNDER[_i / 2])};
    ck_assert_msg(session_keep(pair.destination, path, why) == 0, "%s", why);
    ck_assert_int_eq(session_step(pair.source, 54321), 0);
    ck_assert_int_eq(session_wait(pair.source, -1), 0);
    pair_migrate(&pair, _i % 2 ? &POSTCOPY : &(struct migrate_options){0});
    ck_assert_msg(pair.destination_end == MIGRATE_MOVED, "%s", pair.destination_why);
    ck_assert_int_eq(session_snapshot(pair.destination, "here", why), 1);
    uint64_t digest = session_digest(pair.destination);
    pair_free(&pair);
    config.disk_away = false;
    struct session *s = session_open(path, 1, &config, why);
    ck_assert_msg(s != NULL, "%s", why);
    ck_assert_uint_eq(session_digest(s), digest);
    ck_assert(pair_same(s));
    session_free(s);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* Its disk is another host's until it comes: what would be kept of that? */
START_TEST(test_no_directory_for_a_disk_that_comes)
{
    struct session_config config;
    char disk[] = "/tmp/vitrine-test-migrate.XXXXXX", why[SESSION_ERROR], path[64];
    int fd = mkstemp(disk);
    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    close(fd);
    snprintf(path, sizeof path, "%s.kept", disk);
    session_config_init(&config);
    config.image = pair_image(PAIR_STEADY);
    config.memory = 12 << 20;
    config.disk = disk;
    config.disk_away = true;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    ck_assert_int_eq(session_keep(s, path, why), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(why, disk));
    ck_assert_int_ne(access(path, F_OK), 0);
    session_free(s);
    unlink(disk);
}
END_TEST

/* ---- recovering ------------------------------------------------------------------------------- */

struct recovery {
    struct session *source;
    int fd;
    enum migrate_end end;
    char why[SESSION_ERROR];
};

static void *recover(void *context)
{
    struct recovery *r = context;
    struct link link = link_of_socket(r->fd, 60000);
    r->end = migrate_recover(r->source, &link, r->why);
    link_close(&link);
    return NULL;
}

/* While the other side is asked whether the guest runs there nobody may decide that it does not. */
START_TEST(test_nobody_takes_back_meanwhile)
{
    struct session *s = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    struct recovery recovery = {.source = s};
    uint8_t hello[1];
    pthread_t thread;
    int fd[2];
    session_enter(s); /* as after a hand-over by post-copy that nobody has confirmed */
    s->migration = (struct view_migration){.phase = MIGRATION_DOUBT, .pages = 64};
    s->moved_token = 1;
    session_moved(s, "the guest may have moved");
    session_leave(s);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    recovery.fd = fd[1];
    ck_assert_int_eq(pthread_create(&thread, NULL, recover, &recovery), 0);
    ck_assert_int_eq(read(fd[0], hello, 1), 1); /* it has begun */
    ck_assert_int_eq(session_take_back(s), -EALREADY);
    close(fd[0]);
    pthread_join(thread, NULL);
    ck_assert_int_eq(recovery.end, MIGRATE_DOUBT);
    ck_assert_int_eq(session_take_back(s), 0);
    ck_assert_int_eq(session_step(s, 100), 0);
    ck_assert_int_eq(session_wait(s, -1), 0);
    session_free(s);
}
END_TEST

/* A page that comes behind a guest which has a history is part of what is kept from then on, though
 * nobody has written to it here: who goes back finds it as it came. */
START_TEST(test_what_came_is_kept)
{
    enum { PAGES = (12 << 20) / RAM_PAGE, PAGE = PAGES - 1 };
    static const uint8_t came[RAM_PAGE] = {0xab, 0xcd}, written = 0x11;
    struct session_config config;
    char why[SESSION_ERROR];
    struct page_set set;
    struct view_memory memory;
    session_config_init(&config);
    config.image = pair_image(PAIR_STEADY);
    config.memory = (uint64_t)PAGES * RAM_PAGE;
    config.under = _i ? SESSION_HV : SESSION_BARE;
    config.history = 64 << 20;
    struct session *s = session_new(&config, why);
    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(page_set_init(&set, PAGES), 0);
    set.bits[PAGE / 64] |= 1ull << PAGE % 64;
    struct postcopy *pages = postcopy_new(PAGES, set.bits, 1);
    session_enter(s);
    ck_assert_int_eq(s->ops->move->absent(s->backend, pages), 0);
    ck_assert_int_eq(postcopy_put(pages, PAGE, came), 0);
    ck_assert_uint_eq(postcopy_missing(pages), 0);
    s->ops->move->arrived(s->backend);
    session_leave(s);
    int id = session_snapshot(s, "here", why);
    ck_assert_int_gt(id, 0);
    uint64_t at = 0x80000000u + (uint64_t)PAGE * RAM_PAGE;
    ck_assert_int_eq(session_write_memory(s, true, at, &written, 1), 0);
    ck_assert_int_eq(session_restore(s, id, why), 0);
    session_view_memory(s, true, at, 64, &memory);
    ck_assert_mem_eq(memory.data, came, 64);
    session_free(s);
    postcopy_free(pages);
    page_set_free(&set);
}
END_TEST

/* ---- faults --------------------------------------------------------------------------------- */

/* All ways to break at one call of one side. Returns whether there was such a call. */
static bool break_at(bool source, unsigned call, enum fault fault, unsigned part,
                     const struct migrate_options *options, bool *torn)
{
    struct pair pair = pair_of(SESSION_HV, SESSION_HV, "auto");
    pair.plan = (struct fault_plan){fault, source, call, part, options->postcopy};
    ck_assert_int_eq(session_run(pair.source), 0);
    pair_migrate(&pair, options);
    bool was = pair.calls[source] > call;
    check_pair(&pair);
    *torn |= pair.torn;
    pair_free(&pair);
    return was;
}

static const struct {
    enum fault fault;
    unsigned part;
} FAULTS[] = {{FAULT_CUT, 0}, {FAULT_CUT, 4}, {FAULT_CUT, 7}, {FAULT_LOSE, 0}};

/* Returns whether some points have torn the guest and its memory apart. */
static bool break_everywhere(int row, const struct migrate_options *options, unsigned least)
{
    unsigned points = 0;
    bool torn = false;
    while (break_at(row % 2, points, FAULTS[row / 2].fault, FAULTS[row / 2].part, options, &torn))
        points++;
    ck_assert_uint_gt(points, least);
    return torn;
}

/* Check's loop index: which fault, at which side. */
START_TEST(test_faults)
{
    ck_assert(!break_everywhere(_i, &(struct migrate_options){.downtime = 10}, 12));
}
END_TEST

START_TEST(test_postcopy_faults)
{
    ck_assert(break_everywhere(_i, &POSTCOPY, 14));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("migrate");
    TCase *moving = tcase_create("moving"), *faults = tcase_create("faults");
    tcase_set_timeout(moving, 600);
    tcase_add_loop_test(moving, test_moves, 0, ROWS(WAYS));
    tcase_add_loop_test(moving, test_moves_in_rounds, 0, ROWS(WAYS));
    tcase_add_test(moving, test_moves_a_stopped_guest);
    tcase_add_test(moving, test_moves_often);
    tcase_add_test(moving, test_input_moves);
    tcase_add_test(moving, test_throttle);
    tcase_add_test(moving, test_called_off);
    tcase_add_test(moving, test_called_off_at_once);
    tcase_add_test(moving, test_called_off_in_silence);
    tcase_add_test(moving, test_ended_guests_stay);
    tcase_add_test(moving, test_other_guest);
    tcase_add_test(moving, test_two_accounts);
    tcase_add_loop_test(moving, test_postcopy, 0, ROWS(WAYS));
    tcase_add_test(moving, test_postcopy_busy);
    tcase_add_test(moving, test_postcopy_of_a_stopped_guest);
    tcase_add_test(moving, test_nothing_is_kept_meanwhile);
    tcase_add_loop_test(moving, test_what_came_is_kept, 0, 2);
    tcase_add_test(moving, test_nobody_takes_back_meanwhile);
    tcase_add_loop_test(moving, test_arrives_in_a_directory, 0, 4);
    tcase_add_test(moving, test_no_directory_for_a_disk_that_comes);
    suite_add_tcase(suite, moving);
    tcase_set_timeout(faults, 600);
    tcase_add_loop_test(faults, test_faults, 0, 2 * ROWS(FAULTS));
    tcase_add_loop_test(faults, test_postcopy_faults, 0, 2 * ROWS(FAULTS));
    suite_add_tcase(suite, faults);
    return tap_run(suite);
}
