/* See snapshot-guest.h. */
#include "tests/snapshot-guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/random-elf.h"
#include "tests/snapshot-plan.h"
#include "tests/tap.h"

char folder[64], image[64], dir_path[80], disk[80];

void snapshot_set_up(void)
{
    const char *made = plan_folder();
    ck_assert_ptr_nonnull(made);
    strcpy(folder, made);
    snprintf(dir_path, sizeof dir_path, "%s/dir", folder);
    *image = *disk = 0;
}

void snapshot_tear_down(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    if (*image)
        unlink(image);
}

void random_guest(uint64_t seed)
{
    strcpy(image, "/tmp/test-snapshot-XXXXXX");
    ck_assert(random_elf_write(image, seed, 0));
}

struct session_config config_for(const char *engine, enum session_under under)
{
    struct session_config config;
    session_config_init(&config);
    config.image = image;
    config.engine = engine;
    config.under = under;
    config.memory = 16u << 20;
    config.disk = *disk ? disk : NULL;
    return config;
}

struct session *start(const char *engine, enum session_under under)
{
    char why[SESSION_ERROR] = "";
    struct session_config config = config_for(engine, under);
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    ck_assert_msg(!session_keep(s, dir_path, why), "%s", why);
    return s;
}

struct session *open_at(int id, const char *engine)
{
    char why[SESSION_ERROR] = "";
    struct session_config config = config_for(engine, SESSION_HV);
    struct session *s = session_open(dir_path, id, &config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

void run_on(struct session *s, uint64_t count)
{
    int error = session_step(s, count);
    ck_assert(!error || error == -ESHUTDOWN);
    session_wait(s, -1);
}

int keep(struct session *s, const char *name)
{
    char why[SESSION_ERROR] = "";
    int id = session_snapshot(s, name, why);
    ck_assert_msg(id > 0, "%s", why);
    return id;
}

struct seen see(struct session *s)
{
    struct view_status status;
    session_status(s, &status);
    return (struct seen){session_digest_all(s), status.exits};
}

void same(struct seen a, struct seen b)
{
    ck_assert_uint_eq(a.digest, b.digest);
    ck_assert_uint_eq(a.exits, b.exits);
}

void file_of(int id, char path[120])
{
    snprintf(path, 120, "%s/snapshot-%d", dir_path, id);
}
