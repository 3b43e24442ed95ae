/*
 * `vitrine compare`: the same programs natively, in each engine, with and without paging and under
 * the monitor.
 *
 * This file finds the programs and has them run in turns: every program once in every way, then all
 * again, so that what disturbs the host disturbs all alike. How one run is done is in
 * compare-run.c, what the figures say in compare-evaluate.c.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "hv/cmd/compare.h"

static const struct kernel {
    const char *name;
    enum compare_kind kind;
    const char *meaning;
} KERNELS[] = {
#define KERNEL(name, kind, meaning) {#name, KIND_##kind, meaning},
#include "samples/bench/kernels.def"
#undef KERNEL
};

enum { KERNEL_COUNT = sizeof KERNELS / sizeof *KERNELS };

static const uint64_t MAX_INSTRUCTIONS = 20000000000;

const char *compare_kind_name(enum compare_kind kind)
{
    static const char *const NAMES[KINDS] = {"compute", "memory", "call", "trap", "other"};
    return NAMES[kind];
}

const char *compare_mode_name(enum compare_mode mode)
{
    static const char *const NAMES[MODES] = {"native", "m", "s", "hv", "kvm", "bare"};
    return NAMES[mode];
}

const char *compare_mode_text(enum compare_mode mode)
{
    static const char *const TEXTS[MODES] = {"",        "bare, no paging", "bare, Sv32",
                                             "monitor", "x86-64, CPL 3",   "bare"};
    return TEXTS[mode];
}

/* ---- which engines ------------------------------------------------------------------------ */

static void list_engines(char *out, size_t size)
{
    *out = '\0';
    for (unsigned i = 0; engine_at(i); i++) {
        size_t length = strlen(out);
        snprintf(out + length, size - length, "%s%s", i ? ", " : "", engine_at(i)->name);
    }
}

const char compare_kvm[] = "kvm";

/* Why there can be no x86 guests here; NULL: there can. */
static const char *why_no_kvm(void)
{
#ifdef HAVE_KVM
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    const char *why = fd < 0 ? strerror(errno) : NULL;
    if (fd >= 0)
        close(fd);
    return why;
#else
    return "this build has no part for it";
#endif
}

static int add_kvm(struct comparison *c)
{
    const char *why = why_no_kvm();
    c->kvm = true;
    return why ? cmd_fail("--engines: /dev/kvm: %s (vitrine kvm-info tells more)", why) : 0;
}

static int add_engine(struct comparison *c, const char *name)
{
    if (!strcmp(name, compare_kvm))
        return add_kvm(c);
    const struct engine *engine = engine_find(name);
    char known[200];
    if (!engine) {
        list_engines(known, sizeof known);
        return cmd_fail("--engines: there is no engine '%s', but: %s, kvm", name, known);
    }
    for (unsigned i = 0; i < c->engine_count; i++)
        if (!strcmp(c->engines[i], engine->name))
            return 0;
    if (c->engine_count < COMPARE_ENGINES)
        c->engines[c->engine_count++] = engine->name;
    return 0;
}

/* `list` has names with commas; NULL: all engines, KVM among them where it can be used. */
static int choose_engines(struct comparison *c, const char *list)
{
    int failed = 0;
    if (!list) {
        c->no_kvm = why_no_kvm();
        c->kvm = !c->no_kvm;
        for (unsigned i = 0; !failed && engine_at(i); i++)
            failed = add_engine(c, engine_at(i)->name);
        return failed;
    }
    char *copy = strdup(list), *rest = copy;
    for (char *name; copy && !failed && (name = strsep(&rest, ","));)
        failed = add_engine(c, name);
    free(copy);
    return failed;
}

/* ---- where the programs are --------------------------------------------------------------- */

/* The folders of the guests, of the native programs and of the x86 guests. */
struct places {
    char guests[4096], natives[4096], x86[4096];
};

static bool is_folder(const char *path)
{
    char inside[4200];
    snprintf(inside, sizeof inside, "%s/.", path);
    return access(inside, R_OK) == 0;
}

/* DIR; else beside the program, which then runs from its build tree; else where it is installed. */
static void find_places(struct places *places, const char *dir)
{
    char program[4000] = "";
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash = length > 0 ? strrchr(program, '/') : NULL;
    if (slash)
        *slash = '\0';
    snprintf(places->guests, sizeof places->guests, "%s%s", dir ? dir : program,
             dir ? "" : "/samples/bench");
    memcpy(places->natives, places->guests, sizeof places->natives);
    snprintf(places->x86, sizeof places->x86, "%s%s", dir ? dir : program,
             dir ? "" : "/samples/x86/bench");
    if (!dir && !is_folder(places->guests)) {
        snprintf(places->x86, sizeof places->x86, "%s", VITRINE_DATADIR "/samples/x86/bench");
        snprintf(places->guests, sizeof places->guests, "%s", VITRINE_DATADIR "/samples/bench");
        snprintf(places->natives, sizeof places->natives, "%s", VITRINE_LIBEXECDIR "/bench");
    }
}

/* ---- subjects ----------------------------------------------------------------------------- */

static void add_row(struct comparison *c, struct subject *s, enum compare_mode mode,
                    const char *engine, const char *path)
{
    struct row *row = &s->rows[s->count++];
    *row = (struct row){.mode = mode,
                        .engine = engine,
                        .path = strdup(path),
                        .outcomes = calloc(c->runs, sizeof *row->outcomes)};
    if (!row->path || !row->outcomes)
        abort(); /* a few kilobytes */
}

static struct subject *add_subject(struct comparison *c, const char *name, enum compare_kind kind,
                                   const char *meaning)
{
    struct subject *s = &c->subjects[c->count++];
    s->name = strdup(name);
    s->kind = kind;
    s->meaning = meaning;
    return s;
}

/* The same C file compiled for x86-64: NAME-x86.elf. */
static void add_x86(struct comparison *c, struct subject *subject, const struct kernel *kernel,
                    const struct places *places, const char *end)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s-x86%s", places->x86, kernel->name, end);
    if (access(path, R_OK) == 0)
        add_row(c, subject, MODE_KVM, compare_kvm, path);
    else
        subject->no_kvm = strdup(path);
}

/* A kernel of the list: NAME, NAME-m.elf and NAME-s.elf. */
static int add_kernel(struct comparison *c, const struct kernel *kernel,
                      const struct places *places, bool brief)
{
    const char *end = brief ? "-short.elf" : ".elf";
    bool traps = kernel->kind == KIND_TRAP;
    char native[4200], m[4200], s[4200];
    snprintf(native, sizeof native, "%s/%s", places->natives, kernel->name);
    snprintf(m, sizeof m, "%s/%s-m%s", places->guests, kernel->name, end);
    snprintf(s, sizeof s, "%s/%s-s%s", places->guests, kernel->name, end);
    const char *missing = !traps && access(m, R_OK) ? m : access(s, R_OK) ? s : NULL;
    if (missing)
        return cmd_fail("%s: %s (the kernels are built in samples/bench, see also --dir)", missing,
                        strerror(errno));
    struct subject *subject = add_subject(c, kernel->name, kernel->kind, kernel->meaning);
    if (!traps && access(native, X_OK) == 0)
        add_row(c, subject, MODE_NATIVE, NULL, native);
    else if (!traps)
        subject->no_native = strdup(native);
    for (unsigned i = 0; i < c->engine_count; i++) {
        if (!traps)
            add_row(c, subject, MODE_M, c->engines[i], m);
        add_row(c, subject, MODE_S, c->engines[i], s);
        add_row(c, subject, MODE_HV, c->engines[i], s);
    }
    if (c->kvm && !traps)
        add_x86(c, subject, kernel, places, end);
    return 0;
}

/* Is it a guest at all? Opened once and closed again, before anything is measured. */
static int check_image(const struct comparison *c, const char *path)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = path;
    config.memory = c->memory;
    struct session *session = session_new(&config, why);
    session_free(session);
    return session ? 0 : cmd_fail("%s", why);
}

static int add_file(struct comparison *c, const char *path)
{
    if (check_image(c, path))
        return EXIT_USAGE;
    const char *slash = strrchr(path, '/');
    struct subject *subject = add_subject(c, slash ? slash + 1 : path, KIND_OTHER, path);
    for (unsigned i = 0; i < c->engine_count; i++) {
        add_row(c, subject, MODE_BARE, c->engines[i], path);
        add_row(c, subject, MODE_HV, c->engines[i], path);
    }
    return 0;
}

void cmd_compare_help(FILE *out)
{
    fprintf(out, "\nKernels:\n");
    for (int i = 0; i < KERNEL_COUNT; i++)
        fprintf(out, "  %-12s %-8s %s\n", KERNELS[i].name, compare_kind_name(KERNELS[i].kind),
                KERNELS[i].meaning);
    fprintf(out, "  %-12s %-8s %s\n", "all", "", "of these");
}

static int fail_unknown(const char *name)
{
    char known[800] = "";
    for (int i = 0; i < KERNEL_COUNT; i++) {
        size_t length = strlen(known);
        snprintf(known + length, sizeof known - length, " %s", KERNELS[i].name);
    }
    return cmd_fail("there is no kernel '%s'; there are:%s, all, and the path of any ELF", name,
                    known);
}

static int add_named(struct comparison *c, const char *name, const struct options *options)
{
    struct places places;
    bool all = !strcmp(name, "all"), found = false;
    const char *dot = strrchr(name, '.');
    if (strchr(name, '/') || (dot && !strcmp(dot, ".elf")))
        return add_file(c, name);
    find_places(&places, options->dir);
    for (int i = 0; i < KERNEL_COUNT; i++) {
        if (!all && strcmp(name, KERNELS[i].name))
            continue;
        found = true;
        if (add_kernel(c, &KERNELS[i], &places, options->brief))
            return EXIT_USAGE;
    }
    return found ? 0 : fail_unknown(name);
}

/* ---- running ------------------------------------------------------------------------------ */

/* How many rounds the native program shall do: those of the guest. */
static uint64_t rounds_of(const struct subject *s)
{
    const struct outcome *result = compare_result(s);
    return result ? result->rounds : 0;
}

static void show_progress(const struct comparison *c, const struct subject *s,
                          const struct row *row, unsigned run)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[Krun %u of %u: %s, %s %s", run + 1, c->runs, s->name,
                row->engine ? row->engine : "native", compare_mode_text(row->mode));
}

/* Guests first: they say how many rounds a native program has to do. */
static void run_subject(struct comparison *c, struct subject *s, unsigned run)
{
    for (int native = 0; native < 2; native++)
        for (unsigned i = 0; i < s->count; i++) {
            struct row *row = &s->rows[i];
            if ((row->mode == MODE_NATIVE) != native || *row->why)
                continue;
            show_progress(c, s, row, run);
            struct outcome *out = &row->outcomes[row->count];
            compare_run(c, row, rounds_of(s), out);
            memcpy(row->why, out->why, sizeof row->why);
            row->count++;
        }
}

static void run_all(struct comparison *c)
{
    for (unsigned run = 0; run < c->runs; run++)
        for (unsigned i = 0; i < c->count; i++)
            run_subject(c, &c->subjects[i], run);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

/* ---- the subcommand ----------------------------------------------------------------------- */

static int check_outputs(const struct options *options)
{
    const char *svg = options->svg, *dot = svg ? strrchr(svg, '.') : NULL;
    if (svg &&
        (!dot || (strcasecmp(dot, ".svg") && strcasecmp(dot, ".pdf") && strcasecmp(dot, ".png"))))
        return cmd_fail("%s: the name of a drawing ends in .svg, .pdf or .png", svg);
    if (svg && cmd_check_output(svg))
        return EXIT_USAGE;
    return options->json_file ? cmd_check_output(options->json_file) : 0;
}

static int write_json_file(const char *path, const struct comparison *c)
{
    FILE *out = fopen(path, "we");
    if (!out)
        return cmd_fail("%s: cannot write: %s", path, strerror(errno));
    compare_write_json(out, c);
    bool failed = ferror(out);
    failed |= fclose(out) != 0;
    return failed ? cmd_fail("%s: cannot write: %s", path, strerror(errno)) : 0;
}

static int write_results(const struct comparison *c, const struct options *options)
{
    int status = 0;
    if (!options->json || options->json_file)
        compare_write_table(stdout, c);
    else
        compare_write_json(stdout, c);
    if (options->json_file)
        status = write_json_file(options->json_file, c);
    int failed = options->svg ? compare_draw(c, options) : 0;
    return failed ? cmd_fail("%s: cannot write: %s", options->svg, strerror(-failed)) : status;
}

static void release(struct comparison *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        struct subject *s = &c->subjects[i];
        for (unsigned k = 0; k < s->count; k++) {
            free(s->rows[k].path);
            free(s->rows[k].outcomes);
        }
        free(s->name);
        free(s->no_native);
        free(s->no_kvm);
    }
    free(c->subjects);
}

int cmd_compare(const struct options *options, int argc, char **argv)
{
    struct comparison c = {
        .runs = options->runs,
        .memory = options->config.memory,
        .max_instructions =
            options->config.max_instructions ? options->config.max_instructions : MAX_INSTRUCTIONS,
        .subjects = calloc((size_t)argc * KERNEL_COUNT + 1, sizeof *c.subjects),
    };
    if (!c.subjects)
        return cmd_fail("%s", strerror(ENOMEM));
    int status = choose_engines(&c, options->engines);
    for (int i = 0; i < argc && !status; i++)
        status = add_named(&c, argv[i], options);
    if (!status)
        status = check_outputs(options);
    if (!status) {
        run_all(&c);
        bool fine = compare_evaluate(&c);
        status = write_results(&c, options);
        if (!status && !fine)
            status = EXIT_DIFFERS;
    }
    release(&c);
    return status;
}
