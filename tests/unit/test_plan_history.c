/* Plan and history together, against a server that takes UIDs up again: run after run, in all modes, with
 * listings that are empty, deletions that were not confirmed, and runs that end after the plan. */
#include <time.h>

#include "history_place.h"
#include "poll/plan.h"

#define RUNS 800
#define UIDS 5
#define SIZES 2
#define DAY 86400

struct server {
    unsigned content[UIDS]; /* what is listed under each UID, 0: nothing */
    uint64_t octets[UIDS];
    bool missed[UIDS]; /* a run has seen that the UID was free: only then can it know that it was taken up again */
    unsigned contents; /* so far */
    bool *delivered;   /* by content */
    bool *removed;     /* by somebody else */
};

struct way {
    struct plan_limits limits;
    bool hidden; /* the listing is empty, whatever the mailbox holds */
    bool killed; /* once the plan was committed */
    bool lost;   /* QUIT's reply */
    bool undone; /* QUIT never came: no deletion stands */
};

static const char *const names[UIDS] = {"1", "2", "3", "4", "5"};

static unsigned roll(unsigned below)
{
    return (unsigned)random() % below;
}

static size_t list(const struct server *server, struct pop3_entry *entries)
{
    size_t count = 0;
    unsigned i;

    for (i = 0; i < UIDS; i++) {
        if (server->content[i] != 0) {
            entries[count] = (struct pop3_entry){.number = (unsigned)count + 1, .uid = names[i],
                                                 .octets = server->octets[i], .has_octets = true};
            count++;
        }
    }
    return count;
}

static unsigned uid_of(const struct pop3_entry *entry)
{
    return (unsigned)(entry->uid[0] - '1');
}

/* Deliver what stands there, and note it in this row. */
static void deliver(struct place *place, struct server *server, const struct pop3_entry *entry, int64_t id)
{
    unsigned content = server->content[uid_of(entry)];
    unsigned char digest[32] = {0};
    struct history_receipt receipt = {
        .id = id, .state = HISTORY_RECORDED, .digest = digest, .octets = entry->octets, .delivered = true};

    memcpy(digest, &content, sizeof(content));
    server->delivered[content] = true;
    assert_int_equal(history_receipt(place->history, &receipt, &fault), 0);
}

static bool same(const struct server *server, const struct plan_item *item)
{
    return item->row->has_digest &&
           memcmp(item->row->digest, &server->content[uid_of(item->entry)], sizeof(unsigned)) == 0;
}

/* What a run does with one item. True: it is deleted on the server. */
static bool work(struct place *place, struct server *server, const struct plan_item *item, int64_t id,
                 const struct plan_limits *limits)
{
    switch (item->action) {
    case PLAN_DELETE:
        return true;
    case PLAN_COMPARE:
        if (same(server, item)) {
            if (item->row->absent || item->row->returned || item->row->octets != item->entry->octets)
                assert_int_equal(history_compared(place->history, id, item->entry->octets, &fault), 0);
            return plan_may_delete(item->row, limits);
        }
        assert_int_equal(history_reused(place->history, id, item->entry->octets, "thomas", &fault), 0);
        break;
    case PLAN_RETRIEVE:
        break;
    default:
        return false;
    }
    deliver(place, server, item->entry, id);
    return !limits->keep && limits->keep_days == 0;
}

static void commit(struct place *place, const struct plan *plan, int64_t *ids)
{
    struct history_new fresh[UIDS];
    struct history_plan changes = {.fresh = fresh,
                                   .present = plan->present,
                                   .present_count = plan->present_count,
                                   .another = plan->another,
                                   .another_count = plan->another_count,
                                   .absent = plan->absent,
                                   .absent_count = plan->absent_count};
    size_t i, n = 0;

    for (i = 0; i < plan->count; i++) {
        if (plan->items[i].row == NULL && plan->items[i].action == PLAN_RETRIEVE)
            fresh[changes.fresh_count++] = (struct history_new){
                .uid = plan->items[i].entry->uid, .octets = plan->items[i].entry->octets, .owed = "thomas"};
    }
    assert_int_equal(history_plan(place->history, place->mailbox.id, &changes, &fault), 0);
    for (i = 0; i < plan->count; i++) {
        if (plan->items[i].row != NULL)
            ids[i] = plan->items[i].row->id;
        else if (plan->items[i].action == PLAN_RETRIEVE)
            ids[i] = fresh[n++].id;
    }
}

static void quit(struct place *place, struct server *server, const struct plan_item *const *deleted,
                 const int64_t *gone, size_t count, const struct way *way)
{
    size_t i;

    for (i = 0; i < count && !way->undone; i++) {
        unsigned uid = uid_of(deleted[i]->entry);
        if (!server->delivered[server->content[uid]])
            fail_msg("message %u under UID %s was deleted and never delivered", server->content[uid], names[uid]);
        server->content[uid] = 0;
        server->missed[uid] = false;
    }
    if (!way->undone && !way->lost)
        assert_int_equal(history_gone(place->history, gone, count, &fault), 0);
}

static void run(struct place *place, struct server *server, const struct way *way)
{
    struct pop3_entry entries[UIDS];
    struct pop3_listing listing = {.entries = entries,
                                   .count = way->hidden ? 0 : list(server, entries)};
    const struct plan_item *deleted[UIDS];
    int64_t ids[UIDS] = {0}, gone[UIDS];
    struct history_rows rows;
    struct plan plan;
    const char **uids;
    size_t i, count;

    assert_int_equal(plan_uids(&listing, &uids, &count), 0);
    load(place, uids, count, &rows);
    assert_int_equal(plan_make(&plan, &listing, &rows, &way->limits), 0);
    commit(place, &plan, ids);
    for (i = 0; i < UIDS; i++)
        server->missed[i] = server->missed[i] || server->content[i] == 0;
    for (i = 0, count = 0; i < plan.count && !way->killed; i++) {
        if (work(place, server, &plan.items[i], ids[i], &way->limits)) {
            deleted[count] = &plan.items[i];
            gone[count++] = ids[i];
        }
    }
    for (i = 0; i < UIDS && !way->killed && !way->hidden && way->limits.max_messages == 0; i++) {
        if (server->content[i] != 0 && !server->delivered[server->content[i]])
            fail_msg("message %u under UID %s was passed over", server->content[i], names[i]);
    }
    quit(place, server, deleted, gone, count, way);
    plan_free(&plan);
    history_rows_free(&rows);
    free(uids);
}

/* Mail comes, and somebody else takes some away. */
static void meanwhile(struct server *server)
{
    unsigned i;

    for (i = 0; i < UIDS; i++) {
        if (server->content[i] == 0 && server->missed[i] && roll(3) == 0) {
            server->content[i] = ++server->contents;
            server->octets[i] = 100 + roll(SIZES);
        } else if (server->content[i] != 0 && roll(8) == 0) {
            server->removed[server->content[i]] = true;
            server->content[i] = 0;
            server->missed[i] = false;
        }
    }
}

static void no_message_is_deleted_before_it_was_delivered_whatever_the_server_does_with_uids(void **state)
{
    struct place *place = *state;
    struct server server = {.delivered = calloc(RUNS * UIDS + 1, sizeof(bool)),
                            .removed = calloc(RUNS * UIDS + 1, sizeof(bool))};
    struct way way = {0};
    unsigned n;

    srandom(20260301);
    memset(server.missed, true, sizeof(server.missed));
    assert_true(server.delivered != NULL && server.removed != NULL);
    for (n = 0; n < RUNS; n++) {
        unsigned mode = roll(4);
        meanwhile(&server);
        /* Receipts have the clock's time: the limits' is what advances. */
        way = (struct way){.limits = {.now = time(NULL) + (int64_t)roll(4) * DAY / 2,
                                      .keep = mode == 1,
                                      .keep_days = mode == 2,
                                      .max_messages = roll(4) == 0},
                           .hidden = roll(5) == 0,
                           .killed = roll(6) == 0,
                           .lost = roll(4) == 0,
                           .undone = roll(6) == 0};
        run(place, &server, &way);
    }
    /* And in the end all that nobody took away has been delivered. */
    way = (struct way){.limits = {.now = time(NULL)}};
    for (n = 0; n < 3; n++)
        run(place, &server, &way);
    for (n = 1; n <= server.contents; n++) {
        if (!server.delivered[n] && !server.removed[n])
            fail_msg("message %u was never delivered", n);
    }
    assert_true(server.contents > RUNS / 4);
    free(server.delivered);
    free(server.removed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            no_message_is_deleted_before_it_was_delivered_whatever_the_server_does_with_uids, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
