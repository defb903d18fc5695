/* libconfuse reads, value by value: each goes through its option's validate callback into struct config at
 * once, and each section is taken away from libconfuse when it ends. So duplicates are seen, every value has
 * its line, and the cost stays linear: libconfuse compares a new title with all sections that it holds.
 *
 * It hands no context to a callback. All options share one "simple" value, which is the first member of
 * struct loading, and the callbacks find that through the section's first option. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <confuse.h>
#include <openssl/crypto.h>

#include "base/buf.h"
#include "config/loading.h"

#define FETCHRC_MAX (64u << 20) /* octets of one file */
#define INCLUDE_DEPTH_MAX 16

static struct loading *loading_of(const cfg_t *cfg)
{
    return (struct loading *)(void *)cfg->opts[0].simple_value.string;
}

/* libconfuse: a value of an option has been read; at the end of a list once more without one. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    struct loading *loading = loading_of(cfg);
    enum option_section section = option_section_find(cfg->name, strlen(cfg->name));
    bool assigned = (opt->flags & CFGF_RESET) != 0; /* the first behind "=" */
    char *value = loading->value;
    int result = 0;

    loading->value = NULL;
    if (value == NULL)
        return 0;
    opt->flags &= ~CFGF_RESET;
    if (section != SECTION_COUNT)
        result = take_section(loading, section, cfg_title(cfg));
    if (result == 0)
        result = take_value(loading, (size_t)(opt - cfg->opts), value, cfg->line, assigned);
    OPENSSL_cleanse(value, strlen(value));
    free(value);
    return result;
}

/* libconfuse: a section has ended. One without values begins only here. */
static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
    struct loading *loading = loading_of(cfg);
    unsigned last = cfg_opt_size(opt) - 1;
    const char *title = cfg_title(cfg_opt_getnsec(opt, last));

    if (take_section(loading, option_section_find(opt->name, strlen(opt->name)), title) < 0)
        return -1;
    take_section_end(loading);
    return cfg_opt_rmnsec(opt, last) == CFG_SUCCESS ? 0 : -1;
}

/* libconfuse: an error. scan.c words what it knows of; the rest is told without libconfuse's words, which
 * quote values. */
static void on_error(cfg_t *cfg, const char *fmt, va_list args)
{
    struct loading *loading = loading_of(cfg);

    (void)fmt;
    (void)args;
    if (loading->source->broken || loading->out_of_memory)
        return;
    mistake_note(loading, loading->source->file, cfg->line,
                 "this cannot be read; NAME = VALUE, NAME = {\"A\", \"B\"}, or a section, "
                 "NAME \"TITLE\" { ... }, is right");
    loading->source->broken = true;
    loading->broken = true;
}

/* The text of an open file. Returns -1 with errno. */
static int read_all(int fd, struct buf *text)
{
    ssize_t n;

    for (;;) {
        if (buf_reserve(text, 65536) < 0) {
            errno = EFBIG;
            return -1;
        }
        n = read(fd, text->data + text->len, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        text->len += (size_t)n;
    }
    text->data[text->len] = '\0';
    return n < 0 ? -1 : 0;
}

static int parse(struct loading *loading, char *text)
{
    char *name = loading->root->filename;
    int line = loading->root->line;
    FILE *stream;
    int result = -1;

    if (*text == '\0')
        return 0;
    stream = fmemopen(text, strlen(text), "r");
    loading->root->filename = strdup("fetchrc"); /* libconfuse copies it for each section; never shown */
    if (stream == NULL || loading->root->filename == NULL)
        loading->out_of_memory = true;
    else
        result = cfg_parse_fp(loading->root, stream) == CFG_SUCCESS && !loading->broken ? 0 : -1;
    if (stream != NULL)
        (void)fclose(stream);
    free(loading->root->filename);
    loading->root->filename = name;
    loading->root->line = line;
    return result;
}

/* Why the file must not be read; NULL: it may. */
static const char *refusal(const struct source *source)
{
    const struct source *outer;

    for (outer = source->includer; outer != NULL; outer = outer->includer) {
        if (outer->device == source->device && outer->inode == source->inode)
            return "it includes itself";
    }
    return source->depth > INCLUDE_DEPTH_MAX ? "the includes are nested too deeply" : NULL;
}

static int add_file(struct config *config, const char *path)
{
    char *copy = strdup(path);

    bool failed = copy == NULL;

    if (!failed)
        config->files = take_grown(config->files, config->file_count, sizeof(*config->files), &failed);
    if (failed) {
        free(copy);
        return -1;
    }
    config->files[config->file_count++] = copy;
    return 0;
}

/* line: of the includer, where there is one. */
static void note_unreadable(struct loading *loading, const char *path, int line, const char *why)
{
    char quote[QUOTED_MAX];

    if (loading->source == NULL)
        mistake_note(loading, 0, 0, "it cannot be read: %s", why);
    else
        mistake_note(loading, loading->source->file, line, "%s cannot be read: %s",
                     mistake_quote(quote, path, strlen(path)), why);
}

/* Read an open file. */
static int read_source(struct loading *loading, int fd, const char *path, struct source *source, int line)
{
    struct source *includer = loading->source;
    struct buf text;
    const char *no = refusal(source);
    int result = 0;

    buf_init(&text, FETCHRC_MAX);
    if (no == NULL && read_all(fd, &text) < 0)
        no = strerror(errno);
    if (no != NULL) {
        note_unreadable(loading, path, line, no);
    } else {
        loading->source = source;
        scan_text(loading, text.data, text.len);
        result = parse(loading, text.data);
        loading->source = includer;
        free(source->unset_lines);
        free(source->section_lines);
    }
    buf_free(&text);
    return result;
}

/* Only its service sees a directory of credentials. The ACL with which systemd lets it read them shows as a right
 * of the group. */
static bool is_credential(const char *path)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    size_t len = directory != NULL ? strlen(directory) : 0;

    return len > 0 && strncmp(path, directory, len) == 0 && path[len] == '/' &&
           strchr(path + len + 1, '/') == NULL;
}

static bool is_exposed(const char *path, const struct stat *st)
{
    mode_t others = is_credential(path) ? S_IROTH : S_IRGRP | S_IROTH;

    return S_ISREG(st->st_mode) && (st->st_mode & others) != 0;
}

static int read_file(struct loading *loading, const char *path, int line)
{
    struct source *includer = loading->source;
    struct source source = {.includer = includer,
                            .file = includer == NULL ? 0 : (unsigned)loading->config->file_count};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result;

    if (fd < 0 || fstat(fd, &st) < 0) {
        note_unreadable(loading, path, line, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    source.depth = includer == NULL ? 0 : includer->depth + 1;
    source.device = st.st_dev;
    source.inode = st.st_ino;
    source.exposed = is_exposed(path, &st);
    if (includer != NULL && add_file(loading->config, path) < 0) {
        loading->out_of_memory = true;
        result = -1;
    } else {
        result = read_source(loading, fd, path, &source, line);
    }
    (void)close(fd);
    return result;
}

/* libconfuse: include("FILE"). */
static int on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
    struct loading *loading = loading_of(cfg);
    char *path;
    int result;

    (void)opt;
    if (argc != 1 || take_is_unset(loading, argv[0], cfg->line))
        return 0; /* told by scan.c */
    path = take_path(loading, argv[0]);
    if (path == NULL) {
        loading->out_of_memory = true;
        return -1;
    }
    result = read_file(loading, path, cfg->line);
    free(path);
    return result;
}

/* A table of libconfuse's; `extra` rows are left free behind it. */
static cfg_opt_t *build_table(struct loading *loading, enum option_section section, size_t extra)
{
    const struct option_table *table = &option_tables[section];
    cfg_opt_t *opts = calloc(table->count + extra + 1, sizeof(*opts));
    size_t i;

    for (i = 0; opts != NULL && i < table->count; i++) {
        bool list = table->rows[i].type == OPTION_LIST || table->rows[i].type == OPTION_MAP;
        opts[i].name = table->rows[i].name;
        opts[i].type = CFGT_STR;
        opts[i].flags = list ? CFGF_LIST : CFGF_NONE;
        opts[i].simple_value.string = &loading->value;
        opts[i].validcb = on_value;
    }
    return opts;
}

/* cfg_init() copies the tables. */
static cfg_t *build_root(struct loading *loading)
{
    cfg_opt_t *tables[SECTION_COUNT];
    cfg_opt_t *free_row;
    cfg_t *root = NULL;
    enum option_section s;
    bool built = true;

    for (s = SECTION_TOP; s < SECTION_COUNT; s++) {
        tables[s] = build_table(loading, s, s == SECTION_TOP ? SECTION_COUNT : 0);
        built = built && tables[s] != NULL;
    }
    if (built) {
        free_row = tables[SECTION_TOP] + option_tables[SECTION_TOP].count;
        for (s = SECTION_DESTINATION; s < SECTION_COUNT; s++, free_row++) {
            *free_row = (cfg_opt_t)CFG_SEC(option_tables[s].name, tables[s], CFGF_MULTI | CFGF_TITLE);
            free_row->validcb = on_section;
        }
        *free_row = (cfg_opt_t)CFG_FUNC("include", on_include);
        root = cfg_init(tables[SECTION_TOP], CFGF_NONE);
    }
    for (s = SECTION_TOP; s < SECTION_COUNT; s++)
        free(tables[s]);
    return root;
}

void read_fetchrc(struct loading *loading, const char *path)
{
    loading->root = build_root(loading);
    if (loading->root == NULL || add_file(loading->config, path) < 0 || take_defaults(loading) < 0) {
        loading->out_of_memory = true;
    } else {
        (void)cfg_set_error_function(loading->root, on_error);
        (void)read_file(loading, path, 0);
    }
    if (loading->root != NULL)
        (void)cfg_free(loading->root);
    free(loading->value);
    loading->value = NULL;
}
