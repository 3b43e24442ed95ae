/* A session's records: beginning, ending and following one. See hv/record.h for the file. */
#include <errno.h>
#include <stdio.h>

#include "hv/record.h"
#include "hv/session_priv.h"

static int refuse(char *why, int error)
{
    snprintf(why, SESSION_ERROR, "%s",
             error == -EBUSY ? "the guest runs" : "a guest of this kind cannot be recorded");
    return error;
}

int session_record(struct session *s, const char *path, char *why)
{
    session_enter(s);
    int error = !s->ops->record ? -ENOTSUP : s->state == SESSION_RUNNING ? -EBUSY : 0;
    error = error ? refuse(why, error) : s->ops->record(s->backend, path, why);
    session_leave(s);
    return error;
}

int session_record_end(struct session *s, char *why)
{
    session_enter(s);
    int error = !s->ops->record_end ? -ENOTSUP : s->state == SESSION_RUNNING ? -EBUSY : 0;
    error = error ? refuse(why, error) : s->ops->record_end(s->backend, why);
    session_leave(s);
    return error;
}

/* The record's configuration, with the wishes that do not concern it. */
static struct session_config config_of(const struct record *r, const struct session_config *wishes)
{
    struct session_config c = *wishes;
    c.under = (enum session_under)r->under;
    c.misaligned_trap = r->misaligned_trap;
    c.ad_trap = r->ad_trap;
    c.memory = r->memory;
    c.max_instructions = r->max_instructions;
    c.kernel_args = *r->kernel_args ? r->kernel_args : NULL;
    c.image = c.image ? c.image : r->image.path;
    c.disk = c.disk || !*r->disk.path ? c.disk : r->disk.path;
    c.disk_readonly = r->disk_readonly;
    c.disk_discard = true;
    c.host_clock = c.paced = false;
    return c;
}

struct session *session_replay(const char *path, const struct session_config *wishes, char *why)
{
    struct record *r = record_read(path, why);
    if (!r)
        return NULL;
    struct session_config config = config_of(r, wishes);
    struct session *s = session_new(&config, why);
    if (!s) {
        record_free(r);
        return NULL;
    }
    session_enter(s);
    int error = s->ops->follow(s->backend, r, why);
    session_leave(s);
    if (!error)
        return s;
    session_free(s);
    return NULL;
}
