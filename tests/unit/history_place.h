/* What the tests of the history share: one in a directory of its own, with a mailbox in it. */
#ifndef POPFERRY_TESTS_UNIT_HISTORY_PLACE_H
#define POPFERRY_TESTS_UNIT_HISTORY_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/history.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct place {
    char dir[64];
    struct history *history;
    struct history_mailbox mailbox;
};

static struct fault fault;

static inline void begin(struct place *place)
{
    if (history_open(&place->history, place->dir, HISTORY_WRITE, &fault) < 0)
        fail_msg("%s", fault.text);
    assert_int_equal(history_mailbox(place->history, "thomas@pop.example", &place->mailbox, &fault), 0);
}

static inline void again(struct place *place)
{
    history_close(place->history);
    begin(place);
}

static inline int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    (void)strcpy(place->dir, "/tmp/popferry-history-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    begin(place);
    *state = place;
    return 0;
}

static inline void remove_tree(const char *dir)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static inline int teardown(void **state)
{
    struct place *place = *state;

    history_close(place->history);
    remove_tree(place->dir);
    free(place);
    return 0;
}

/* Plan one new message for each uid; ids are told. */
static inline void plan(struct place *place, const char *const *uids, size_t count, int64_t *ids)
{
    struct history_new fresh[16];
    struct history_plan the_plan = {.fresh = fresh, .fresh_count = count};
    size_t i;

    for (i = 0; i < count; i++)
        fresh[i] = (struct history_new){.uid = uids[i], .octets = 100 + i, .owed = "thomas\nanna"};
    if (history_plan(place->history, place->mailbox.id, &the_plan, &fault) < 0)
        fail_msg("%s", fault.text);
    for (i = 0; i < count; i++)
        ids[i] = fresh[i].id;
}

static inline void load(struct place *place, const char *const *uids, size_t count, struct history_rows *rows)
{
    if (history_load(place->history, place->mailbox.id, uids, count, rows, &fault) < 0)
        fail_msg("%s", fault.text);
}

/* The row of one uid; its strings are good until the next call. */
static inline struct history_row row_of(struct place *place, const char *uid)
{
    static struct history_rows rows;
    size_t i;

    history_rows_free(&rows);
    load(place, &uid, 1, &rows);
    for (i = 0; i < rows.count; i++)
        if (strcmp(rows.rows[i].uid, uid) == 0)
            return rows.rows[i];
    return (struct history_row){0};
}

static inline void record(struct place *place, int64_t id)
{
    unsigned char digest[32] = {7};
    struct history_receipt receipt = {.id = id,
                                      .state = HISTORY_RECORDED,
                                      .digest = digest,
                                      .octets = 100,
                                      .delivered = true,
                                      .reply = "250 2.0.0 Ok: queued as 4F2"};

    assert_int_equal(history_receipt(place->history, &receipt, &fault), 0);
}

#endif
