/*
 * One snapshot as the bytes of a file, and back. See snapshot.h for the format.
 *
 * Sections come in one order, so that what is missing or damaged has a name even when the damage is
 * in the name itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/snapshot_priv.h"

static const char MAGIC[8] = "VITRSNP";

enum {
    HEAD = sizeof MAGIC + 4,
    NAME = 16,
    SECTION_HEAD = NAME + 16,
    PART_HEAD = 8 + 4 + 1 + 4,
    PAGE_HEAD = 4 + 1,
};

static const uint8_t ZERO[SNAPSHOT_PAGE];

uint64_t snapshot_checksum(const char *name, const uint8_t *bytes, size_t count)
{
    char padded[NAME] = {0};
    struct digest digest;
    memcpy(padded, name, strlen(name));
    digest_init(&digest);
    digest_bytes(&digest, padded, NAME);
    digest_u64(&digest, count);
    digest_bytes(&digest, bytes, count);
    return digest.value;
}

/* ---- a snapshot in memory ------------------------------------------------------------------- */

struct snapshot_file *snapshot_new(void)
{
    return calloc(1, sizeof(struct snapshot_file));
}

void snapshot_free(struct snapshot_file *s)
{
    while (s) {
        struct snapshot_file *below = s->below;
        for (unsigned i = 0; i < s->parts; i++)
            free(s->part[i].page);
        state_buffer_free(&s->tables);
        state_buffer_free(&s->monitor);
        state_buffer_free(&s->kvm);
        free(s->config);
        free(s->bytes);
        free(s->overlay);
        free(s);
        s = below;
    }
}

struct snapshot_part *snapshot_add_part(struct snapshot_file *s, const char *name, uint64_t size,
                                        uint32_t unit, bool backed)
{
    if (s->parts == SNAPSHOT_PARTS)
        return NULL;
    struct snapshot_part *part = &s->part[s->parts++];
    *part = (struct snapshot_part){.size = size, .unit = unit, .backed = backed};
    snprintf(part->name, sizeof part->name, "%s", name);
    return part;
}

struct snapshot_part *snapshot_find_part(const struct snapshot_file *s, const char *name)
{
    for (unsigned i = 0; i < s->parts; i++)
        if (!strcmp(s->part[i].name, name))
            return (struct snapshot_part *)&s->part[i];
    return NULL;
}

void snapshot_add_page(struct snapshot_file *s, struct snapshot_part *part, uint32_t index,
                       const uint8_t *bytes)
{
    if (part->count == part->room) {
        uint32_t room = part->room * 2 + 64;
        struct snapshot_page *grown = realloc(part->page, room * sizeof *grown);
        if (!grown) {
            s->failed = true;
            return;
        }
        part->page = grown;
        part->room = room;
    }
    part->page[part->count++] = (struct snapshot_page){index, bytes};
}

/* Bytes of a page that belong to its part. */
static size_t page_size(const struct snapshot_part *part, uint32_t index)
{
    uint64_t left = part->size - (uint64_t)index * SNAPSHOT_PAGE;
    return left < SNAPSHOT_PAGE ? (size_t)left : SNAPSHOT_PAGE;
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = ((const struct snapshot_page *)a)->index;
    uint32_t y = ((const struct snapshot_page *)b)->index;
    return x < y ? -1 : x > y;
}

void snapshot_sort(struct snapshot_file *s)
{
    for (unsigned i = 0; i < s->parts; i++) {
        struct snapshot_part *part = &s->part[i];
        if (part->count)
            qsort(part->page, part->count, sizeof *part->page, by_index);
        for (uint32_t k = 0; k < part->count; k++) {
            struct snapshot_page *page = &part->page[k];
            if (page->bytes && !memcmp(page->bytes, ZERO, page_size(part, page->index)))
                page->bytes = NULL;
        }
    }
}

const struct snapshot_page *snapshot_look(const struct snapshot_part *part, uint32_t index)
{
    struct snapshot_page key = {index, NULL};
    return part->count ? bsearch(&key, part->page, part->count, sizeof key, by_index) : NULL;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Room for so much more at once, so that a large buffer is not copied over and over. */
static void make_room(struct state_buffer *b, size_t more)
{
    if (b->failed || more <= b->size - b->count)
        return;
    uint8_t *grown = realloc(b->bytes, b->count + more);
    if (!grown) {
        b->failed = true;
        return;
    }
    b->bytes = grown;
    b->size = b->count + more;
}

/* A section's head; the bytes follow. Where the section begins. */
static size_t begin_section(struct state_buffer *b, const char *name)
{
    uint8_t head[SECTION_HEAD] = {0};
    size_t at = b->count;
    memcpy(head, name, strlen(name));
    state_buffer_add(b, head, sizeof head);
    return at;
}

static void end_section(struct state_buffer *b, size_t at, const char *name)
{
    if (b->failed)
        return;
    size_t length = b->count - at - SECTION_HEAD;
    uint64_t sum = snapshot_checksum(name, b->bytes + at + SECTION_HEAD, length);
    for (unsigned i = 0; i < 8; i++) {
        b->bytes[at + NAME + i] = (uint8_t)((uint64_t)length >> (8 * i));
        b->bytes[at + NAME + 8 + i] = (uint8_t)(sum >> (8 * i));
    }
}

static void put_section(struct state_buffer *b, const char *name, const uint8_t *bytes,
                        size_t count)
{
    size_t at = begin_section(b, name);
    if (count)
        state_buffer_add(b, bytes, count);
    end_section(b, at, name);
}

static void put_about(struct state_buffer *b, const struct snapshot_about *about)
{
    size_t at = begin_section(b, "about");
    bytes_put(b, (uint32_t)about->id, 4);
    bytes_put(b, (uint32_t)about->parent, 4);
    bytes_put(b, about->file_bytes, 8);
    bytes_put(b, about->time, 8);
    bytes_put(b, about->instructions, 8);
    bytes_put(b, about->exits, 8);
    bytes_put(b, about->config, 8);
    bytes_put(b, about->pages, 8);
    bytes_put(b, about->blocks, 8);
    bytes_put_text(b, about->name);
    bytes_put(b, (uint32_t)about->overlay, 4);
    end_section(b, at, "about");
}

static void put_config(struct state_buffer *b, const struct snapshot_config *config)
{
    size_t at = begin_section(b, "config");
    snapshot_config_put(config, b);
    end_section(b, at, "config");
}

static void section_name(const struct snapshot_part *part, char name[NAME])
{
    snprintf(name, NAME, "p.%s", part->name);
}

static bool is_disk(const struct snapshot_part *part)
{
    return !strcmp(part->name, "disk");
}

/* How many of its pages the file has itself. */
static uint32_t count_here(const struct snapshot_file *s, const struct snapshot_part *part)
{
    return s->about.overlay && is_disk(part) ? 0 : part->count;
}

static void put_part(struct state_buffer *b, const struct snapshot_part *part, uint32_t count)
{
    char name[NAME];
    section_name(part, name);
    size_t at = begin_section(b, name);
    bytes_put(b, part->size, 8);
    bytes_put(b, part->unit, 4);
    bytes_put(b, part->backed, 1);
    bytes_put(b, count, 4);
    for (uint32_t i = 0; i < count; i++) {
        const struct snapshot_page *page = &part->page[i];
        size_t size = page_size(part, page->index);
        bytes_put(b, page->index, 4);
        bytes_put(b, page->bytes != NULL, 1);
        if (!page->bytes)
            continue;
        state_buffer_add(b, page->bytes, size);
        state_buffer_add(b, ZERO, SNAPSHOT_PAGE - size);
    }
    end_section(b, at, name);
}

static uint64_t part_bytes(const struct snapshot_part *part, uint32_t count)
{
    uint64_t bytes = SECTION_HEAD + PART_HEAD;
    for (uint32_t i = 0; i < count; i++)
        bytes += PAGE_HEAD + (part->page[i].bytes ? SNAPSHOT_PAGE : 0);
    return bytes;
}

static uint64_t optional_bytes(const struct state_buffer *b)
{
    return b->count ? SECTION_HEAD + b->count : 0;
}

/* Fills in what "about" says of the rest. */
static void count_all(struct snapshot_file *s, size_t config_bytes)
{
    struct snapshot_about *a = &s->about;
    a->pages = a->blocks = 0;
    a->file_bytes = HEAD + SECTION_HEAD + 8 + 7 * 8 + 2 + strlen(a->name) + 4 + config_bytes +
                    SECTION_HEAD + s->tables.count + optional_bytes(&s->monitor) +
                    optional_bytes(&s->kvm) + SECTION_HEAD;
    for (unsigned i = 0; i < s->parts; i++) {
        a->file_bytes += part_bytes(&s->part[i], count_here(s, &s->part[i]));
        *(is_disk(&s->part[i]) ? &a->blocks : &a->pages) += s->part[i].count;
    }
}

static size_t config_bytes(const struct snapshot_config *config)
{
    struct state_buffer b = {0};
    if (config)
        put_config(&b, config);
    size_t count = b.count;
    state_buffer_free(&b);
    return count;
}

int snapshot_serialise(struct snapshot_file *s, struct state_buffer *b)
{
    if (s->failed)
        return -ENOMEM;
    count_all(s, config_bytes(s->config));
    make_room(b, (size_t)s->about.file_bytes);
    state_buffer_add(b, MAGIC, sizeof MAGIC);
    bytes_put(b, SNAPSHOT_VERSION, 4);
    put_about(b, &s->about);
    if (s->config)
        put_config(b, s->config);
    put_section(b, "tables", s->tables.bytes, s->tables.count);
    if (s->monitor.count)
        put_section(b, "monitor", s->monitor.bytes, s->monitor.count);
    if (s->kvm.count)
        put_section(b, "kvm", s->kvm.bytes, s->kvm.count);
    for (unsigned i = 0; i < s->parts; i++)
        put_part(b, &s->part[i], count_here(s, &s->part[i]));
    put_section(b, "end", NULL, 0);
    return b->failed ? -ENOMEM : 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

struct section {
    char name[NAME + 1];
    const uint8_t *bytes;
    size_t count;
};

/* The line that names what is wrong; -EINVAL. */
static int refuse(char *why, const char *what, const char *section)
{
    snprintf(why, SNAPSHOT_ERROR, "%s%s%s", what, *section ? ": section " : "", section);
    return -EINVAL;
}

static int take_head(struct bytes_reader *r, unsigned *is, char *why)
{
    if (r->count < sizeof MAGIC || memcmp(r->bytes, MAGIC, sizeof MAGIC))
        return refuse(why, "this is no snapshot", "");
    r->at = sizeof MAGIC;
    uint64_t version = bytes_take(r, 4);
    *is = (unsigned)version;
    if (!r->torn && version > SNAPSHOT_VERSION)
        return refuse(why, "written by a newer version of this program", "");
    return r->torn || version < 1 ? refuse(why, "torn: it ends in its first bytes", "") : 0;
}

/* Letters, and behind them zeros only. */
static bool is_name(const char name[NAME])
{
    size_t length = strnlen(name, NAME);
    for (size_t i = 0; i < NAME; i++)
        if (i < length ? name[i] < ' ' || name[i] > '~' : name[i] != 0)
            return false;
    return length > 0;
}

/* The next section, whole and with the right checksum. `expected`: to name it when its name itself
 * is damaged. */
static int take_section(struct bytes_reader *r, const char *expected, struct section *out,
                        char *why)
{
    if (r->count - r->at < SECTION_HEAD)
        return refuse(why, "torn: it ends too early", expected);
    memcpy(out->name, r->bytes + r->at, NAME);
    out->name[NAME] = 0;
    r->at += NAME;
    uint64_t length = bytes_take(r, 8), sum = bytes_take(r, 8);
    bool known = !strncmp(out->name, expected, strlen(expected));
    if (length > r->count - r->at)
        return refuse(why, "torn or damaged: it ends too early", known ? out->name : expected);
    out->bytes = r->bytes + r->at;
    out->count = (size_t)length;
    r->at += out->count;
    if (!is_name(out->name))
        return refuse(why, "damaged: the name is wrong", known ? out->name : expected);
    if (snapshot_checksum(out->name, out->bytes, out->count) != sum)
        return refuse(why, "damaged: the checksum is wrong", out->name);
    return 0;
}

static int take_about(struct bytes_reader *r, unsigned version, struct snapshot_about *a, char *why)
{
    struct section s;
    int error = take_section(r, "about", &s, why);
    if (error)
        return error;
    struct bytes_reader in = {s.bytes, s.count, 0, false};
    *a = (struct snapshot_about){0};
    uint64_t id = bytes_take(&in, 4), parent = bytes_take(&in, 4);
    a->file_bytes = bytes_take(&in, 8);
    a->time = bytes_take(&in, 8);
    a->instructions = bytes_take(&in, 8);
    a->exits = bytes_take(&in, 8);
    a->config = bytes_take(&in, 8);
    a->pages = bytes_take(&in, 8);
    a->blocks = bytes_take(&in, 8);
    bytes_take_text(&in, a->name, sizeof a->name);
    uint64_t overlay = version >= 2 ? bytes_take(&in, 4) : 0;
    if (strcmp(s.name, "about") || in.torn || in.at != in.count || id > INT32_MAX || parent > id ||
        (id && parent == id) || overlay > INT32_MAX)
        return refuse(why, "damaged: what it says makes no sense", "about");
    a->id = (int)id;
    a->parent = (int)parent;
    a->overlay = (int)overlay;
    return 0;
}

static int take_config(const struct section *s, struct snapshot_config *config, char *why)
{
    return snapshot_config_take(config, s->bytes, s->count)
               ? refuse(why, "damaged: what it says makes no sense", "config")
               : 0;
}

int snapshot_parse_about(const uint8_t *bytes, size_t count, struct snapshot_about *about,
                         struct snapshot_config *config, char *why)
{
    struct bytes_reader r = {bytes, count, 0, false};
    struct section s;
    unsigned version;
    int error = take_head(&r, &version, why);
    error = error ? error : take_about(&r, version, about, why);
    if (error || !config)
        return error;
    error = take_section(&r, "config", &s, why);
    if (!error && strcmp(s.name, "config"))
        error = refuse(why, "it has no configuration", "");
    return error ? error : take_config(&s, config, why);
}

/* One page of a part; false: it makes no sense. */
static bool take_page(struct snapshot_file *s, struct snapshot_part *part, struct bytes_reader *r)
{
    uint64_t index = bytes_take(r, 4), kind = bytes_take(r, 1);
    uint64_t pages = (part->size + SNAPSHOT_PAGE - 1) / SNAPSHOT_PAGE;
    bool after = !part->count || index > part->page[part->count - 1].index;
    if (r->torn || !after || index >= pages || kind > 1 ||
        (kind && r->count - r->at < SNAPSHOT_PAGE))
        return false;
    snapshot_add_page(s, part, (uint32_t)index, kind ? r->bytes + r->at : NULL);
    r->at += kind ? SNAPSHOT_PAGE : 0;
    return !s->failed;
}

static bool take_part(struct snapshot_file *s, const struct section *section)
{
    struct bytes_reader r = {section->bytes, section->count, 0, false};
    const char *name = section->name + 2;
    uint64_t size = bytes_take(&r, 8), unit = bytes_take(&r, 4);
    uint64_t backed = bytes_take(&r, 1), count = bytes_take(&r, 4);
    if (r.torn || !*name || strlen(name) >= sizeof s->part->name || snapshot_find_part(s, name) ||
        !size || size > UINT64_MAX - SNAPSHOT_PAGE || backed > 1 ||
        count > (r.count - r.at) / PAGE_HEAD)
        return false;
    struct snapshot_part *part = snapshot_add_part(s, name, size, (uint32_t)unit, backed);
    for (uint64_t i = 0; part && i < count; i++)
        if (!take_page(s, part, &r))
            return false;
    return part && r.at == r.count;
}

static int take_bytes(struct state_buffer *to, const struct section *s, char *why)
{
    if (to->count || !s->count)
        return refuse(why, "damaged: it comes twice, or is empty", s->name);
    state_buffer_add(to, s->bytes, s->count);
    return to->failed ? refuse(why, "the host has no memory left", "") : 0;
}

/* What a section is for, by its name. */
static int take_one(struct snapshot_file *s, const struct section *section, char *why)
{
    const char *name = section->name;
    if (!strcmp(name, "tables"))
        return take_bytes(&s->tables, section, why);
    if (!strcmp(name, "monitor"))
        return take_bytes(&s->monitor, section, why);
    if (!strcmp(name, "kvm"))
        return take_bytes(&s->kvm, section, why);
    if (!strncmp(name, "p.", 2) && take_part(s, section))
        return 0;
    if (strcmp(name, "config") || s->config)
        return refuse(why, "damaged: what it says makes no sense", name);
    s->config = malloc(sizeof *s->config);
    return s->config ? take_config(section, s->config, why)
                     : refuse(why, "the host has no memory left", "");
}

/* Which section should come now, to name one whose own name is damaged. */
static const char *expected_section(const struct snapshot_file *s)
{
    return !s->tables.count ? "tables" : !s->parts ? "p.memory" : "end";
}

static int parse(struct snapshot_file *s, struct bytes_reader *r, char *why)
{
    struct section section;
    unsigned version;
    int error = take_head(r, &version, why);
    error = error ? error : take_about(r, version, &s->about, why);
    if (!error && s->about.file_bytes != r->count)
        return refuse(why, "torn: the file has not the size that it should have", "");
    for (;;) {
        error = error ? error : take_section(r, expected_section(s), &section, why);
        if (error)
            return error;
        if (!strcmp(section.name, "end"))
            break;
        error = take_one(s, &section, why);
    }
    if (section.count || r->at != r->count || !s->tables.count)
        return refuse(why, "damaged: sections are missing, or too many", "end");
    return 0;
}

struct snapshot_file *snapshot_parse(uint8_t *bytes, size_t count, char *why)
{
    struct bytes_reader r = {bytes, count, 0, false};
    struct snapshot_file *s = snapshot_new();
    if (!s) {
        free(bytes);
        snprintf(why, SNAPSHOT_ERROR, "the host has no memory left");
        return NULL;
    }
    s->bytes = bytes;
    if (!parse(s, &r, why))
        return s;
    snapshot_free(s);
    return NULL;
}
