/* Values into struct config, each as it is read: its section is begun with the first of them, with the
 * defaults filled in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "config/loading.h"
#include "config/values.h"

/* The struct that the section's values go into, and where they are noted. */
static void *section_target(struct loading *loading, struct written **written)
{
    struct config *config = loading->config;

    switch (loading->section) {
    case SECTION_DESTINATION:
        *written = &loading->destinations[config->destination_count - 1];
        return &config->destinations[config->destination_count - 1];
    case SECTION_ACCOUNT:
        *written = &loading->accounts[config->account_count - 1];
        return &config->accounts[config->account_count - 1];
    case SECTION_OAUTH:
        *written = &loading->oauths[config->oauth_count - 1];
        return &config->oauths[config->oauth_count - 1];
    default:
        *written = &loading->top;
        return config;
    }
}

void *take_grown(void *items, size_t count, size_t size, bool *failed)
{
    void *larger = items;

    if ((count & (count - 1)) == 0) {
        larger = reallocarray(items, count == 0 ? 1 : count * 2, size);
        if (larger == NULL) {
            *failed = true;
            return items;
        }
    }
    memset((char *)larger + count * size, 0, size);
    return larger;
}

#define GROW(array, count, failed) ((array) = take_grown(array, count, sizeof(*(array)), failed))

static int add_section(struct loading *loading, enum option_section section)
{
    struct config *config = loading->config;
    size_t *count = &config->account_count;
    bool failed = false;

    if (section == SECTION_DESTINATION) {
        count = &config->destination_count;
        GROW(config->destinations, *count, &failed);
        GROW(loading->destinations, *count, &failed);
    } else if (section == SECTION_ACCOUNT) {
        GROW(config->accounts, *count, &failed);
        GROW(loading->accounts, *count, &failed);
    } else {
        count = &config->oauth_count;
        GROW(config->oauths, *count, &failed);
        GROW(loading->oauths, *count, &failed);
    }
    if (failed)
        return -1;
    (*count)++;
    return 0;
}

int take_defaults(struct loading *loading)
{
    const struct option_table *table = &option_tables[loading->section];
    struct written *written;
    void *target = section_target(loading, &written);
    char must[128];
    size_t i;

    for (i = 0; i < table->count; i++) {
        if (table->rows[i].fallback != NULL &&
            value_store(&table->rows[i], target, table->rows[i].fallback, must, sizeof(must)) < 0) {
            loading->out_of_memory = true;
            return -1;
        }
    }
    return 0;
}

static int set_title(struct loading *loading, void *target, const struct written *written, const char *title)
{
    struct config_oauth *oauth = target;
    struct config_peer *peer = target; /* the first member of a destination and an account */
    const char *file = loading->config->files[written->file];
    char *copy = strdup(title);
    char quote[QUOTED_MAX];

    if (copy == NULL)
        return -1;
    if (loading->section == SECTION_OAUTH) {
        oauth->title = copy;
        oauth->file = file;
        oauth->line = written->line;
    } else {
        peer->title = copy;
        peer->file = file;
        peer->line = written->line;
    }
    if (value_text(title) != NULL)
        mistake_note(loading, written->file, written->line, "the title %s of a section must be %s",
                     mistake_quote(quote, title, strlen(title)), value_text(title));
    return 0;
}

static int begin_section(struct loading *loading, enum option_section section, const char *title)
{
    struct source *source = loading->source;
    struct written *written;
    void *target;

    if (add_section(loading, section) < 0)
        return -1;
    loading->section = section;
    target = section_target(loading, &written);
    if (source != NULL) { /* else it is the default destination */
        written->file = source->file;
        if (source->sections_begun < source->section_count)
            written->line = source->section_lines[source->sections_begun++];
    }
    if (set_title(loading, target, written, title) < 0)
        return -1;
    return take_defaults(loading);
}

int take_section(struct loading *loading, enum option_section section, const char *title)
{
    if (loading->section == section || begin_section(loading, section, title) == 0)
        return 0;
    loading->out_of_memory = true;
    return -1;
}

void take_section_end(struct loading *loading)
{
    const struct source *source = loading->source;
    struct written *written;
    void *target = section_target(loading, &written);
    /* libconfuse takes the end of a file for the end of a section. */
    bool whole = source == NULL || !source->unclosed || source->sections_begun < source->section_count;

    if (whole && loading->section == SECTION_DESTINATION)
        check_destination(loading, target, written);
    else if (whole && loading->section == SECTION_ACCOUNT)
        check_account(loading, target, written);
    else if (whole)
        check_oauth(loading, target, written);
    loading->section = SECTION_TOP;
}

char *take_path(const struct loading *loading, const char *path)
{
    const char *file = loading->config->files[loading->source->file];
    const char *slash = strrchr(file, '/');
    const char *home = getenv("HOME");
    char *resolved = NULL;
    int len;

    if (strncmp(path, "~/", 2) == 0 && home != NULL)
        len = asprintf(&resolved, "%s%s", home, path + 1);
    else if (*path == '/' || *path == '\0' || slash == NULL)
        return strdup(path);
    else
        len = asprintf(&resolved, "%.*s/%s", (int)(slash - file), file, path);
    return len < 0 ? NULL : resolved;
}

static void note_value(struct loading *loading, const struct option_row *row, int line, const char *value,
                       const char *must)
{
    char quote[QUOTED_MAX];

    if (row->secret)
        mistake_note(loading, loading->source->file, line, "%s must be %s", row->name, must);
    else
        mistake_note(loading, loading->source->file, line, "%s = %s: it must be %s", row->name,
                     mistake_quote(quote, value, strlen(value)), must);
}

/* Whether the file can be read now, since no run could begin without it. */
static void check_file(struct loading *loading, const struct option_row *row, int line, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char quote[QUOTED_MAX];

    if (fd < 0)
        mistake_note(loading, loading->source->file, line, "%s = %s: it cannot be read: %s", row->name,
                     mistake_quote(quote, path, strlen(path)), strerror(errno));
    else
        (void)close(fd);
}

static int store_link(const struct option_row *row, struct written *written, const char *value, char *must,
                      size_t size)
{
    char **link = strcmp(row->name, "oauth") == 0 ? &written->oauth : &written->destination;
    const char *wrong = row->check(value);

    (void)snprintf(must, size, "%s", wrong == NULL ? "" : wrong);
    if (wrong != NULL)
        return -1;
    free(*link);
    *link = strdup(value);
    return *link == NULL ? -1 : 0;
}

static int store(struct loading *loading, const struct option_row *row, int line, const char *value)
{
    struct written *written;
    void *target = section_target(loading, &written);
    char must[512];
    char *path = NULL;
    int result;

    if (row->type == OPTION_PATH || row->type == OPTION_FILE) {
        path = take_path(loading, value);
        result = path == NULL ? -1 : value_store(row, target, path, must, sizeof(must));
        if (path == NULL)
            must[0] = '\0';
        else if (result == 0 && row->type == OPTION_FILE)
            check_file(loading, row, line, path);
    } else if (row->type == OPTION_LINK) {
        result = store_link(row, written, value, must, sizeof(must));
    } else {
        result = value_store(row, target, value, must, sizeof(must));
    }
    free(path);
    if (result < 0 && must[0] == '\0') {
        loading->out_of_memory = true;
        return -1;
    }
    if (result < 0)
        note_value(loading, row, line, value, must);
    return 0;
}

bool take_is_unset(const struct loading *loading, const char *value, int line)
{
    size_t i;

    for (i = 0; *value == '\0' && i < loading->source->unset_count; i++) {
        if (loading->source->unset_lines[i] == line)
            return true;
    }
    return false;
}

int take_value(struct loading *loading, size_t row_index, const char *value, int line, bool assigned)
{
    const struct option_row *row = &option_tables[loading->section].rows[row_index];
    struct written *written;

    (void)section_target(loading, &written);
    if (assigned && written->at[row_index] != 0) {
        mistake_note(loading, loading->source->file, line, "%s is written twice; %s", row->name,
                     row->type == OPTION_LIST || row->type == OPTION_MAP ? "write += for more"
                                                                         : "once is enough");
        return 0;
    }
    written->at[row_index] = line;
    return take_is_unset(loading, value, line) ? 0 : store(loading, row, line, value);
}
