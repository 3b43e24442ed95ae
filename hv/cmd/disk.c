/*
 * `vitrine disk`: qcow2 images. Make one, look into it, check it, copy it.
 *
 * One function an action; what a program reads (--json) and what a person reads are printed from
 * the same structs.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/json.h"
#include "hv/qcow2.h"

typedef unsigned long long ull;

/* Prints a line of a library's; it begins with the file's name already. */
static int fail(const char *why)
{
    return cmd_fail("%s", why);
}

static struct qcow2 *open_image(const char *path, unsigned flags)
{
    char why[QCOW2_ERROR];
    struct qcow2 *image = qcow2_open(path, flags, why);
    if (!image)
        fail(why);
    return image;
}

static int fail_image(struct qcow2 *image, const char *path, int error)
{
    if (*qcow2_trouble(image))
        return fail(qcow2_trouble(image));
    return cmd_fail("%s: %s", path, strerror(-error));
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void set_text(struct json_builder *json, const char *name, const char *value)
{
    json_builder_set_member_name(json, name);
    if (value)
        json_builder_add_string_value(json, value);
    else
        json_builder_add_null_value(json);
}

static void set_number(struct json_builder *json, const char *name, uint64_t value)
{
    json_builder_set_member_name(json, name);
    json_builder_add_int_value(json, value);
}

/* Where --json goes; NULL after the error was printed. To be given to finish_json(). */
static FILE *begin_json(const struct options *options)
{
    const char *path = options->json_file;
    FILE *out = path ? fopen(path, "we") : stdout;
    if (!out)
        cmd_fail("%s: cannot write: %s", path, strerror(errno));
    return out;
}

static int finish_json(const struct options *options, FILE *out)
{
    bool failed = ferror(out);
    if (!options->json_file)
        return 0; /* main() looks at stdout */
    failed |= fclose(out) != 0;
    return failed ? cmd_fail("%s: cannot write: %s", options->json_file, strerror(errno)) : 0;
}

/* ---- create ------------------------------------------------------------------------------- */

static int disk_create(const struct options *options, char **argv)
{
    char why[QCOW2_ERROR];
    struct qcow2_creation creation = {
        .size = options->disk_size,
        .backing = options->backing,
        .backing_format = options->backing_format,
    };
    if (!options->backing && !options->disk_size)
        return cmd_fail("disk create: needs --size, or --backing (see vitrine disk --help)");
    if (!options->backing && options->backing_format)
        return cmd_fail("disk create: --backing-format is of no use without --backing");
    return qcow2_create(argv[0], &creation, why) ? fail(why) : 0;
}

/* ---- info --------------------------------------------------------------------------------- */

static void print_layer(unsigned depth, const struct qcow2_info *i)
{
    printf("%s%s\n", depth ? "\nbacking file  " : "image         ", i->path);
    printf("  format      qcow2, version %u, clusters of %llu KiB, counts of %u bits\n", i->version,
           (ull)i->cluster >> 10, i->refcount_bits);
    printf("  disk        %llu bytes\n", (ull)i->size);
    printf("  file        %llu bytes\n", (ull)i->file);
    if (i->snapshots)
        printf("  snapshots   %u internal ones\n", i->snapshots);
    if (i->backing)
        printf("  stands on   %s, %s\n", i->backing,
               i->backing_format ? i->backing_format : "format not told");
}

static void write_layer(struct json_builder *json, const struct qcow2_info *i)
{
    json_builder_begin_object(json);
    set_text(json, "file", i->path);
    set_number(json, "version", i->version);
    set_number(json, "size", i->size);
    set_number(json, "cluster", i->cluster);
    set_number(json, "refcount_bits", i->refcount_bits);
    set_number(json, "file_size", i->file);
    set_number(json, "snapshots", i->snapshots);
    set_text(json, "backing", i->backing);
    set_text(json, "backing_file", i->backing_path);
    set_text(json, "backing_format", i->backing_format);
    json_builder_end_object(json);
}

static int write_layers(const struct options *options, struct qcow2 *image)
{
    struct json_builder json = {.out = begin_json(options)};
    struct qcow2_info info;
    if (!json.out)
        return EXIT_USAGE;
    json_builder_begin_array(&json);
    for (unsigned depth = 0; qcow2_info(image, depth, &info) == 0; depth++)
        write_layer(&json, &info);
    json_builder_end_array(&json);
    return finish_json(options, json.out);
}

static int disk_info(const struct options *options, char **argv)
{
    struct qcow2 *image = open_image(argv[0], QCOW2_READONLY);
    struct qcow2_info info;
    int status = 0;
    if (!image)
        return EXIT_USAGE;
    if (options->json)
        status = write_layers(options, image);
    for (unsigned depth = 0; !options->json && qcow2_info(image, depth, &info) == 0; depth++)
        print_layer(depth, &info);
    qcow2_close(image);
    return status;
}

/* ---- check -------------------------------------------------------------------------------- */

enum { FINDINGS_MAX = 100 }; /* lines that a person wants to read */

/* What a check has found, in the order in which it did. */
struct findings {
    char *line[FINDINGS_MAX];
    unsigned count;
};

static void on_finding(void *context, const char *line)
{
    struct findings *f = context;
    if (f->count < FINDINGS_MAX)
        f->line[f->count] = strdup(line);
    f->count++;
}

static unsigned kept(const struct findings *f)
{
    return f->count < FINDINGS_MAX ? f->count : FINDINGS_MAX;
}

static void print_verdict(const struct qcow2_verdict *v, const struct findings *f)
{
    for (unsigned i = 0; i < kept(f); i++)
        printf("%s\n", f->line[i] ? f->line[i] : "(no memory for this line)");
    if (f->count > FINDINGS_MAX)
        printf("... and %u more\n", f->count - FINDINGS_MAX);
    printf("%llu of %llu clusters are here: %llu of data, %llu compressed, %llu of zeros\n",
           (ull)(v->data + v->zero + v->compressed), (ull)v->clusters, (ull)v->data,
           (ull)v->compressed, (ull)v->zero);
    if (v->repaired)
        printf("%llu leaked clusters were given back\n", (ull)v->repaired);
    if (v->corruptions)
        printf("corrupt: %llu errors, and %llu leaked clusters\n", (ull)v->corruptions,
               (ull)v->leaks);
    else if (v->leaks)
        printf("%llu leaked clusters: they take room, and harm nothing (--repair)\n",
               (ull)v->leaks);
    else
        printf("no errors\n");
}

static int write_verdict(const struct options *options, const struct qcow2_verdict *v,
                         const struct findings *f)
{
    struct json_builder json = {.out = begin_json(options)};
    if (!json.out)
        return EXIT_USAGE;
    json_builder_begin_object(&json);
    set_number(&json, "corruptions", v->corruptions);
    set_number(&json, "leaks", v->leaks);
    set_number(&json, "repaired", v->repaired);
    set_number(&json, "clusters", v->clusters);
    set_number(&json, "data", v->data);
    set_number(&json, "compressed", v->compressed);
    set_number(&json, "zero", v->zero);
    json_builder_set_member_name(&json, "findings");
    json_builder_begin_array(&json);
    for (unsigned i = 0; i < kept(f); i++)
        json_builder_add_string_value(&json, f->line[i] ? f->line[i] : "");
    json_builder_end_array(&json);
    json_builder_end_object(&json);
    return finish_json(options, json.out);
}

/* As qemu-img's, but that 2 stays what it is everywhere: could not be done. */
static int verdict_status(const struct qcow2_verdict *v)
{
    return v->corruptions ? EXIT_CORRUPT : v->leaks ? EXIT_LEAKS : 0;
}

static int tell_verdict(const struct options *options, const struct qcow2_verdict *v,
                        const struct findings *f)
{
    int failed = options->json ? write_verdict(options, v, f) : 0;
    if (!options->json)
        print_verdict(v, f);
    return failed ? failed : verdict_status(v);
}

static int disk_check(const struct options *options, char **argv)
{
    struct qcow2 *image = open_image(argv[0], QCOW2_ALONE | (options->repair ? 0 : QCOW2_READONLY));
    if (!image)
        return EXIT_USAGE;
    struct findings findings = {.count = 0};
    struct qcow2_verdict verdict;
    int error = qcow2_check(image, options->repair, on_finding, &findings, &verdict);
    int status =
        error ? fail_image(image, argv[0], error) : tell_verdict(options, &verdict, &findings);
    for (unsigned i = 0; i < kept(&findings); i++)
        free(findings.line[i]);
    error = qcow2_close(image);
    return error && !status ? cmd_fail("%s: %s", argv[0], strerror(-error)) : status;
}

/* ---- map ---------------------------------------------------------------------------------- */

static const char *const KINDS[] = {"nowhere", "zero", "data", "compressed"};

static void print_extent(uint64_t at, const struct qcow2_place *p)
{
    printf("%#14llx %#14llx %5u  %-10s", (ull)at, (ull)p->length, p->depth, KINDS[p->kind]);
    if (p->kind == QCOW2_DATA)
        printf(" %#14llx", (ull)p->offset);
    else
        printf(" %14s", "-");
    printf("  %s\n", p->kind == QCOW2_NOWHERE ? "-" : p->path);
}

static void write_extent(struct json_builder *json, uint64_t at, const struct qcow2_place *p)
{
    json_builder_begin_object(json);
    set_number(json, "start", at);
    set_number(json, "length", p->length);
    set_number(json, "depth", p->depth);
    set_text(json, "kind", KINDS[p->kind]);
    if (p->kind == QCOW2_DATA)
        set_number(json, "offset", p->offset);
    set_text(json, "file", p->kind == QCOW2_NOWHERE ? NULL : p->path);
    json_builder_end_object(json);
}

/* Every extent, to `json` or, if that is NULL, in columns. 0 or -errno. */
static int write_map(struct json_builder *json, struct qcow2 *image)
{
    struct qcow2_place place = {0};
    int error = 0;
    for (uint64_t at = 0; at < qcow2_size(image) && !error; at += place.length) {
        error = qcow2_extent(image, at, &place);
        if (!error && json)
            write_extent(json, at, &place);
        else if (!error)
            print_extent(at, &place);
    }
    return error;
}

static int disk_map(const struct options *options, char **argv)
{
    struct qcow2 *image = open_image(argv[0], QCOW2_READONLY);
    struct json_builder json = {.out = image && options->json ? begin_json(options) : NULL};
    int status = EXIT_USAGE;
    if (json.out) {
        json_builder_begin_array(&json);
        int error = write_map(&json, image);
        json_builder_end_array(&json);
        status = finish_json(options, json.out);
        status = error ? fail_image(image, argv[0], error) : status;
    } else if (image && !options->json) {
        printf("%14s %14s %5s  %-10s %14s  %s\n", "disk offset", "length", "depth", "kind",
               "in the file", "file");
        int error = write_map(NULL, image);
        status = error ? fail_image(image, argv[0], error) : 0;
    }
    if (image)
        qcow2_close(image); /* read-only: nothing can fail */
    return status;
}

/* ---- commit, rebase, resize, convert
 * ---------------------------------------------------------------------- */

static int disk_commit(const struct options *options, char **argv)
{
    char why[QCOW2_ERROR];
    return qcow2_commit(argv[0], why) ? fail(why) : 0;
}

static int disk_rebase(const struct options *options, char **argv)
{
    char why[QCOW2_ERROR];
    struct qcow2_rebasing how = {
        .backing = options->backing,
        .format = options->backing_format,
        .unsafe = options->unsafe,
    };
    if (!options->backing && (options->unsafe || options->backing_format))
        return cmd_fail(
            "disk rebase: --unsafe and --backing-format are of use with --backing only");
    return qcow2_rebase(argv[0], &how, why) ? fail(why) : 0;
}

static int disk_resize(const struct options *options, char **argv)
{
    char why[QCOW2_ERROR];
    uint64_t size;
    if (parse_size(argv[1], &size) || size == 0 || size % 512)
        return cmd_fail("disk resize: '%s' is not a multiple of 512 above 0, such as 64M", argv[1]);
    return qcow2_resize(argv[0], size, options->shrink, why) ? fail(why) : 0;
}

static int disk_convert(const struct options *options, char **argv)
{
    char why[QCOW2_ERROR];
    const char *format = options->disk_format ? options->disk_format : "qcow2";
    return qcow2_convert(argv[0], argv[1], format, why) ? fail(why) : 0;
}

/* ---- actions ------------------------------------------------------------------------------ */

static const struct {
    const char *name, *arguments;
    int files;
    const char *about;
    int (*run)(const struct options *options, char **argv);
} ACTIONS[] = {
    {"create", "FILE", 1, "a new image: of --size bytes, or an overlay of --backing", disk_create},
    {"info", "FILE", 1, "what it is, and the images that it stands on", disk_info},
    {"check", "FILE", 1, "compare its references with its counts; exit status 1 corrupt, 3 leaks",
     disk_check},
    {"map", "FILE", 1, "which layer answers for which part of the disk", disk_map},
    {"commit", "FILE", 1, "write what an overlay holds into its backing file", disk_commit},
    {"rebase", "FILE", 1, "put it on another --backing, or on none, with the same disk",
     disk_rebase},
    {"resize", "FILE SIZE", 2, "make its disk larger, or with --shrink smaller", disk_resize},
    {"convert", "FILE TO", 2, "copy a disk, raw or as seen through all layers, to a new file",
     disk_convert},
};

enum { COUNT = sizeof ACTIONS / sizeof *ACTIONS };

void cmd_disk_help(FILE *out)
{
    fprintf(out, "\nActions:\n");
    for (int i = 0; i < COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", ACTIONS[i].name, ACTIONS[i].arguments);
        fprintf(out, "  %-16s %s\n", left, ACTIONS[i].about);
    }
}

/* An option of another action would be without effect, and who gave it would not know. */
static int check_options(const struct options *o, const char *action)
{
    const struct {
        const char *name;
        bool given;
        const char *actions;
    } own[] = {
        {"backing", o->backing, "create, rebase"},
        {"backing-format", o->backing_format, "create, rebase"},
        {"size", o->disk_size, "create"},
        {"repair", o->repair, "check"},
        {"unsafe", o->unsafe, "rebase"},
        {"shrink", o->shrink, "resize"},
        {"format", o->disk_format, "convert"},
        {"json", o->json, "info, check, map"},
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i].given && !strstr(own[i].actions, action))
            return cmd_fail("disk %s: --%s is for %s", action, own[i].name, own[i].actions);
    return 0;
}

int cmd_disk(const struct options *options, int argc, char **argv)
{
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(argv[0], ACTIONS[i].name))
            continue;
        if (check_options(options, ACTIONS[i].name))
            return EXIT_USAGE;
        if (argc != 1 + ACTIONS[i].files)
            return cmd_fail("disk %s: needs %s (see vitrine disk --help)", ACTIONS[i].name,
                            ACTIONS[i].arguments);
        return ACTIONS[i].run(options, argv + 1);
    }
    return cmd_fail("disk: '%s' is not create, info, check, map, commit, rebase, resize or convert",
                    argv[0]);
}
