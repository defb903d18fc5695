/* What the tests of the history's files share: a directory for them, and a history to put there. */
#ifndef POPFERRY_TESTS_UNIT_HISTORY_FILES_H
#define POPFERRY_TESTS_UNIT_HISTORY_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/history.h"

static struct fault fault;

static inline int setup(void **state)
{
    *state = strdup("/tmp/popferry-history-XXXXXX");
    assert_non_null(mkdtemp(*state));
    return 0;
}

static inline int teardown(void **state)
{
    char command[128];

    (void)umount2(*state, MNT_DETACH); /* where a test ended before it did */
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    assert_int_equal(system(command), 0);
    free(*state);
    return 0;
}

static inline const char *file(const char *dir, const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static inline bool is_there(const char *dir, const char *name)
{
    return access(file(dir, name), F_OK) == 0;
}

static inline struct history *open_or_fail(const char *dir, enum history_mode mode)
{
    struct history *history;

    if (history_open(&history, dir, mode, &fault) < 0)
        fail_msg("%s", fault.text);
    return history;
}

/* A history with `count` planned messages; told is the first one's id, the others follow. */
static inline int64_t fill(struct history *history, size_t count)
{
    struct history_new *fresh = calloc(count, sizeof(*fresh));
    struct history_plan plan = {.fresh = fresh, .fresh_count = count};
    struct history_mailbox mailbox;
    int64_t first;
    size_t i;

    assert_non_null(fresh);
    for (i = 0; i < count; i++)
        fresh[i] = (struct history_new){.uid = "a-uid-of-some-length", .octets = 1, .owed = "thomas"};
    assert_int_equal(history_mailbox(history, "thomas@pop.example", &mailbox, &fault), 0);
    if (history_plan(history, mailbox.id, &plan, &fault) < 0)
        fail_msg("%s", fault.text);
    first = fresh[0].id;
    free(fresh);
    return first;
}

static inline void make(const char *dir, size_t count)
{
    struct history *history = open_or_fail(dir, HISTORY_WRITE);

    (void)fill(history, count);
    history_close(history);
}

#endif
