/* The history: what it keeps, and for how long. Broken files and full disks: test_history_file.c. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/history.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct place {
    char dir[64];
    struct history *history;
    struct history_mailbox mailbox;
};

static struct fault fault;

static void begin(struct place *place)
{
    if (history_open(&place->history, place->dir, HISTORY_WRITE, &fault) < 0)
        fail_msg("%s", fault.text);
    assert_int_equal(history_mailbox(place->history, "thomas@pop.example", &place->mailbox, &fault), 0);
}

static void again(struct place *place)
{
    history_close(place->history);
    begin(place);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    (void)strcpy(place->dir, "/tmp/popferry-history-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    begin(place);
    *state = place;
    return 0;
}

static void remove_tree(const char *dir)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static int teardown(void **state)
{
    struct place *place = *state;

    history_close(place->history);
    remove_tree(place->dir);
    free(place);
    return 0;
}

/* Plan one new message for each uid; ids are told. */
static void plan(struct place *place, const char *const *uids, size_t count, int64_t *ids)
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

static void load(struct place *place, const char *const *uids, size_t count, struct history_rows *rows)
{
    if (history_load(place->history, place->mailbox.id, uids, count, rows, &fault) < 0)
        fail_msg("%s", fault.text);
}

/* The row of one uid; its strings are good until the next call. */
static struct history_row row_of(struct place *place, const char *uid)
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

static void record(struct place *place, int64_t id)
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

static void a_plan_and_a_receipt_outlive_the_connection(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"a1", "a2"};
    struct history_rows rows;
    int64_t ids[2];

    plan(place, uids, 2, ids);
    record(place, ids[1]);
    again(place);
    load(place, uids, 2, &rows);
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.rows[0].id, ids[0]);
    assert_int_equal(rows.rows[0].state, HISTORY_LISTED);
    assert_string_equal(rows.rows[0].owed, "thomas\nanna");
    assert_false(rows.rows[0].has_digest);
    assert_int_equal(rows.rows[0].octets, 100);
    assert_int_equal(rows.rows[1].state, HISTORY_RECORDED);
    assert_null(rows.rows[1].owed);
    assert_true(rows.rows[1].has_digest);
    assert_int_equal(rows.rows[1].digest[0], 7);
    assert_string_equal(rows.rows[1].reply, "250 2.0.0 Ok: queued as 4F2");
    assert_in_range(rows.rows[1].delivered, time(NULL) - 2, time(NULL));
    history_rows_free(&rows);
}

static void rows_come_sorted_with_those_no_longer_listed(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"m", "z", "b", "\x80\xff odd"};
    const char *asked[] = {"b", "n"};
    struct history_rows rows;
    int64_t ids[4];

    plan(place, uids, 4, ids);
    load(place, asked, 2, &rows);
    assert_int_equal(rows.count, 4);
    assert_string_equal(rows.rows[0].uid, "b");
    assert_string_equal(rows.rows[1].uid, "m");
    assert_string_equal(rows.rows[2].uid, "z");
    assert_string_equal(rows.rows[3].uid, "\x80\xff odd");
    history_rows_free(&rows);
}

static void absent_rows_come_only_when_they_are_listed_again(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"u1", "u2", "u3"};
    const char *asked[] = {"u2"};
    struct history_plan absent = {0};
    struct history_rows rows;
    int64_t ids[3];

    plan(place, uids, 3, ids);
    absent.absent = ids;
    absent.absent_count = 3;
    assert_int_equal(history_plan(place->history, place->mailbox.id, &absent, &fault), 0);
    load(place, NULL, 0, &rows);
    assert_int_equal(rows.count, 0);
    history_rows_free(&rows);
    load(place, asked, 1, &rows);
    assert_int_equal(rows.count, 1);
    assert_int_equal(rows.rows[0].id, ids[1]);
    assert_true(rows.rows[0].absent);
    history_rows_free(&rows);
    absent = (struct history_plan){.present = &ids[1], .present_count = 1};
    assert_int_equal(history_plan(place->history, place->mailbox.id, &absent, &fault), 0);
    load(place, NULL, 0, &rows);
    assert_int_equal(rows.count, 1);
    assert_false(rows.rows[0].absent);
    history_rows_free(&rows);
}

static void a_gone_row_goes_once_it_is_not_listed_any_more(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"u1", "u2"};
    struct history_plan absent = {0};
    int64_t ids[2];

    plan(place, uids, 2, ids);
    record(place, ids[0]);
    record(place, ids[1]);
    assert_int_equal(history_gone(place->history, ids, 1, &fault), 0);
    assert_int_equal(row_of(place, "u1").state, HISTORY_GONE);
    absent.absent = ids;
    absent.absent_count = 2;
    assert_int_equal(history_plan(place->history, place->mailbox.id, &absent, &fault), 0);
    assert_int_equal(row_of(place, "u1").id, 0);
    assert_int_equal(row_of(place, "u2").id, ids[1]);
}

static void absent_rows_are_forgotten_by_age_and_listed_ones_never(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"u1", "u2"};
    struct history_plan the_plan = {0};
    int64_t ids[2];

    plan(place, uids, 2, ids);
    the_plan.absent = ids;
    the_plan.absent_count = 1;
    the_plan.forget_before = time(NULL) - 10;
    assert_int_equal(history_plan(place->history, place->mailbox.id, &the_plan, &fault), 0);
    assert_int_equal(row_of(place, "u1").id, ids[0]);
    the_plan = (struct history_plan){.forget_before = time(NULL) + 10};
    assert_int_equal(history_plan(place->history, place->mailbox.id, &the_plan, &fault), 0);
    assert_int_equal(row_of(place, "u1").id, 0);
    assert_int_equal(row_of(place, "u2").id, ids[1]);
}

static void a_partial_receipt_keeps_who_is_still_owed(void **state)
{
    struct place *place = *state;
    const char *uid = "u1";
    int64_t id;

    plan(place, &uid, 1, &id);
    assert_int_equal(history_receipt(place->history,
                                     &(struct history_receipt){.id = id,
                                                               .state = HISTORY_LISTED,
                                                               .owed = "anna",
                                                               .octets = 100,
                                                               .delivered = true,
                                                               .stumbled = true,
                                                               .reply = "451 later"},
                                     &fault),
                     0);
    assert_string_equal(row_of(place, uid).owed, "anna");
    assert_int_equal(row_of(place, uid).state, HISTORY_LISTED);
    assert_int_equal(row_of(place, uid).stumbles, 1);
    assert_int_equal(row_of(place, uid).refusals, 0);
    assert_int_equal(history_stumble(place->history, id, NULL, &fault), 0);
    assert_int_equal(row_of(place, uid).stumbles, 2);
    assert_string_equal(row_of(place, uid).reply, "451 later");
}

static void refusals_wait_for_the_next_run_then_an_hour_doubling_to_a_day(void **state)
{
    static const int64_t hours[] = {0, 1, 2, 4, 8, 16, 24, 24};
    struct place *place = *state;
    const char *uid = "u1";
    struct history_receipt refusal = {
        .state = HISTORY_LISTED, .owed = "thomas", .refused = true, .reply = "552 no"};
    int64_t id;
    unsigned i;

    plan(place, &uid, 1, &id);
    refusal.id = id;
    for (i = 0; i < COUNT(hours); i++) {
        int64_t before = time(NULL);
        struct history_row row;
        assert_int_equal(history_receipt(place->history, &refusal, &fault), 0);
        row = row_of(place, uid);
        assert_int_equal(row.refusals, i + 1);
        if (hours[i] == 0)
            assert_int_equal(row.retry_at, 0);
        else
            assert_in_range(row.retry_at, before + hours[i] * 3600, time(NULL) + hours[i] * 3600);
    }
}

static void a_reused_uid_forgets_the_old_message(void **state)
{
    struct place *place = *state;
    const char *uid = "u1";
    struct history_row row;
    int64_t id;

    plan(place, &uid, 1, &id);
    record(place, id);
    assert_int_equal(history_resized(place->history, id, 4711, &fault), 0);
    assert_int_equal(row_of(place, uid).octets, 4711);
    assert_int_equal(history_reused(place->history, id, 5, "otto", &fault), 0);
    row = row_of(place, uid);
    assert_int_equal(row.id, id);
    assert_int_equal(row.state, HISTORY_LISTED);
    assert_string_equal(row.owed, "otto");
    assert_false(row.has_digest);
    assert_int_equal(row.delivered, 0);
    assert_null(row.reply);
}

static void absent_rows_are_found_by_their_digest(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"u1", "u2", "u3"};
    unsigned char digest[32] = {7}, other[32] = {8};
    struct history_plan gone = {0};
    struct history_rows rows;
    int64_t ids[3];

    plan(place, uids, 3, ids);
    record(place, ids[0]);
    record(place, ids[2]);
    gone.absent = ids;
    gone.absent_count = 3;
    assert_int_equal(history_plan(place->history, place->mailbox.id, &gone, &fault), 0);
    assert_int_equal(history_find_digest(place->history, place->mailbox.id, digest, &rows, &fault), 0);
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.rows[1].id, ids[2]);
    history_rows_free(&rows);
    assert_int_equal(history_find_digest(place->history, place->mailbox.id, other, &rows, &fault), 0);
    assert_int_equal(rows.count, 0);
    history_rows_free(&rows);
}

struct crew {
    struct place *place;
    const int64_t *ids;
    size_t count;
    int failed;
};

static void *deliver_all(void *context)
{
    struct crew *crew = context;
    size_t i;

    for (i = 0; i < crew->count; i++) {
        struct fault own = {0};
        struct history_receipt receipt = {.id = crew->ids[i], .state = HISTORY_RECORDED, .delivered = true};
        if (history_receipt(crew->place->history, &receipt, &own) < 0)
            crew->failed += own.scope == FAULT_OF_MESSAGE && own.class == FAULT_STATE ? 1 : 1000;
    }
    return NULL;
}

/* The second of the four has messages that are not there: its receipts fail, in commits shared with
 * the others'. */
static void receipts_of_many_sessions_share_commits_but_not_failures(void **state)
{
    enum { THREADS = 4, EACH = 200 };
    struct place *place = *state;
    struct history_new fresh[THREADS * EACH];
    struct history_plan the_plan = {.fresh = fresh, .fresh_count = COUNT(fresh)};
    int64_t ids[COUNT(fresh)];
    char uids[COUNT(fresh)][16];
    struct crew crews[THREADS];
    pthread_t threads[THREADS];
    struct history_rows rows;
    size_t i;

    for (i = 0; i < COUNT(fresh); i++) {
        (void)snprintf(uids[i], sizeof(uids[i]), "%05zu", i);
        fresh[i] = (struct history_new){.uid = uids[i], .octets = 1, .owed = "thomas"};
    }
    assert_int_equal(history_plan(place->history, place->mailbox.id, &the_plan, &fault), 0);
    for (i = 0; i < COUNT(fresh); i++)
        ids[i] = i / EACH == 1 ? 1000000 + (int64_t)i : fresh[i].id;
    for (i = 0; i < THREADS; i++) {
        crews[i] = (struct crew){place, ids + i * EACH, EACH, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, deliver_all, &crews[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(crews[i].failed, i == 1 ? EACH : 0);
    }
    again(place);
    load(place, NULL, 0, &rows);
    assert_int_equal(rows.count, COUNT(fresh));
    for (i = 0; i < rows.count; i++)
        assert_int_equal(rows.rows[i].state, i / EACH == 1 ? HISTORY_LISTED : HISTORY_RECORDED);
    history_rows_free(&rows);
}

static struct history_mailbox finish(struct place *place, const struct history_result *result)
{
    struct history_mailbox after;

    assert_int_equal(history_finish(place->history, place->mailbox.id, result, &after, &fault), 0);
    return after;
}

static void failed_runs_are_counted_until_a_success(void **state)
{
    struct place *place = *state;
    struct history_result failed = {
        .class = FAULT_RETRY, .fault = "timed out", .login_delay = 600, .settings = {9}};
    struct history_mailbox after;

    assert_int_equal(finish(place, &failed).failed_runs, 1);
    after = finish(place, &failed);
    assert_int_equal(after.failed_runs, 2);
    assert_string_equal(after.last_fault, "timed out");
    assert_string_equal(after.last_fault_class, "retry");
    assert_in_range(after.poll_not_before, time(NULL) + 598, time(NULL) + 600);
    again(place);
    assert_int_equal(place->mailbox.failed_runs, 2);
    assert_int_equal(place->mailbox.settings[0], 9);
    after = finish(place, &(struct history_result){.success = true});
    assert_int_equal(after.failed_runs, 0);
    assert_string_equal(after.last_fault, "");
    assert_int_equal(after.poll_not_before, 0);
    assert_in_range(after.last_success, time(NULL) - 2, time(NULL));
}

static void a_plain_login_refusal_makes_the_account_wait_from_the_second(void **state)
{
    static const int64_t minutes[] = {0, 15, 30, 60, 120, 240, 480, 960, 1440, 1440};
    struct place *place = *state;
    struct history_result refused = {.class = FAULT_LOGIN, .fault = "-ERR no", .login_refused = true};
    size_t i;

    for (i = 0; i < COUNT(minutes); i++) {
        int64_t before = time(NULL), retry_at = finish(place, &refused).login_retry_at;
        if (minutes[i] == 0)
            assert_int_equal(retry_at, 0);
        else
            assert_in_range(retry_at, before + minutes[i] * 60, time(NULL) + minutes[i] * 60);
    }
}

static void a_sure_login_refusal_makes_the_account_wait_at_once(void **state)
{
    struct place *place = *state;
    struct history_result refused = {.class = FAULT_LOGIN, .login_refused = true, .login_surely = true};
    struct history_mailbox after = finish(place, &refused);

    assert_in_range(after.login_retry_at, time(NULL) + 898, time(NULL) + 900);
    after = finish(place, &(struct history_result){.success = true});
    assert_int_equal(after.login_retry_at, 0);
    assert_int_equal(after.login_refusals, 0);
}

static void the_newest_receipt_is_known_after_a_run_that_was_killed(void **state)
{
    struct place *place = *state;
    const char *uid = "u1";
    int64_t id;

    plan(place, &uid, 1, &id);
    record(place, id);
    again(place); /* no history_finish() */
    assert_in_range(place->mailbox.newest_receipt, time(NULL) - 2, time(NULL));
    (void)finish(place, &(struct history_result){.success = true});
    again(place);
    assert_in_range(place->mailbox.newest_receipt, time(NULL) - 2, time(NULL));
}

static int keep_summary(void *context, const struct history_summary *summary)
{
    *(struct history_summary *)context = *summary;
    return 0;
}

static void a_summary_counts_the_run_the_day_and_the_week(void **state)
{
    struct place *place = *state;
    struct history_summary summary = {0};
    const char *uid = "u1";
    int64_t id, now;

    plan(place, &uid, 1, &id);
    assert_int_equal(history_receipt(place->history,
                                     &(struct history_receipt){.id = id, .state = HISTORY_QUARANTINED},
                                     &fault),
                     0);
    (void)finish(place,
                 &(struct history_result){.success = true, .messages = 3, .octets = 300, .waiting = 7});
    (void)finish(place,
                 &(struct history_result){.success = true, .messages = 2, .octets = 200, .refused = 1});
    now = time(NULL);
    assert_int_equal(history_summaries(place->history, now, keep_summary, &summary, &fault), 0);
    assert_string_equal(summary.identity, "thomas@pop.example");
    assert_int_equal(summary.run_messages, 2);
    assert_int_equal(summary.run_octets, 200);
    assert_int_equal(summary.day_messages, 5);
    assert_int_equal(summary.day_octets, 500);
    assert_int_equal(summary.week_messages[6], 5);
    assert_int_equal(summary.waiting, 0);
    assert_int_equal(summary.refused, 1);
    assert_int_equal(summary.quarantined, 1);
    assert_int_equal(history_summaries(place->history, now + 2 * 86400, keep_summary, &summary, &fault), 0);
    assert_int_equal(summary.day_messages, 0);
    assert_int_equal(summary.week_messages[4], 5);
    assert_int_equal(history_summaries(place->history, now + 9 * 86400, keep_summary, &summary, &fault), 0);
    assert_int_equal(summary.week_messages[0] + summary.week_messages[1], 0);
}

static int count_rows(void *context, const char *identity, const struct history_row *row)
{
    assert_non_null(identity);
    assert_non_null(row->uid);
    ++*(int *)context;
    return 0;
}

static int rows_with(struct place *place, struct history_filter filter)
{
    int count = 0;

    assert_int_equal(history_each(place->history, &filter, count_rows, &count, &fault), 0);
    return count;
}

static void rows_are_searched_by_what_people_know(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"alpha", "beta", "gamma"};
    struct history_receipt refusal = {
        .state = HISTORY_LISTED, .owed = "thomas", .refused = true, .reply = "552 big"};
    int64_t ids[3];

    plan(place, uids, 3, ids);
    record(place, ids[0]);
    refusal.id = ids[1];
    assert_int_equal(history_receipt(place->history, &refusal, &fault), 0);
    assert_int_equal(rows_with(place, (struct history_filter){.state = -1}), 3);
    assert_int_equal(rows_with(place, (struct history_filter){.state = HISTORY_RECORDED}), 1);
    assert_int_equal(rows_with(place, (struct history_filter){.state = -1, .search = "552"}), 1);
    assert_int_equal(rows_with(place, (struct history_filter){.state = -1, .search = "amm"}), 1);
    assert_int_equal(rows_with(place, (struct history_filter){.state = -1, .refused_only = true}), 1);
    assert_int_equal(rows_with(place, (struct history_filter){.state = -1, .identity = "anna@pop.example"}),
                     0);
    assert_int_equal(rows_with(place, (struct history_filter){.state = -1, .since = time(NULL) + 60}), 0);
}

static void seen_messages_are_added_and_listed_ones_are_no_longer_owed(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"u1", "u2"};
    const char *marks[] = {"u9", "u2", "u1", "u9"};
    const uint64_t octets[] = {9, 2, 1, 9};
    uint64_t changed;
    int64_t ids[2];

    plan(place, uids, 2, ids);
    record(place, ids[0]);
    assert_int_equal(
        history_seen(place->history, "thomas@pop.example", marks, octets, COUNT(marks), &changed, &fault), 0);
    assert_int_equal(changed, 2);
    assert_int_equal(row_of(place, "u1").state, HISTORY_RECORDED);
    assert_int_equal(row_of(place, "u2").state, HISTORY_SEEN);
    assert_null(row_of(place, "u2").owed);
    assert_int_equal(row_of(place, "u9").state, HISTORY_SEEN);
    assert_int_equal(row_of(place, "u9").octets, 9);
    assert_int_equal(history_seen(place->history, "new@pop.example", marks, NULL, 4, &changed, &fault), 0);
    assert_int_equal(changed, 3);
    assert_int_equal(rows_with(place, (struct history_filter){.state = -1, .identity = "new@pop.example"}),
                     3);
}

static void a_mailbox_moves_and_merges_with_what_is_delivered(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"u1", "u2"};
    struct place other = *place;
    uint64_t changed;
    int64_t ids[2], others[2];

    plan(place, uids, 2, ids);
    record(place, ids[0]);
    (void)finish(place, &(struct history_result){.success = true, .messages = 1});
    assert_int_equal(
        history_move(place->history, "thomas@pop.example", "thomas@new.example", &changed, &fault), 0);
    assert_int_equal(changed, 2);
    /* The old name appears once more, and knows u1 as not delivered yet, u2 as delivered. */
    assert_int_equal(history_mailbox(place->history, "thomas@pop.example", &other.mailbox, &fault), 0);
    assert_int_not_equal(other.mailbox.id, place->mailbox.id);
    plan(&other, uids, 2, others);
    record(&other, others[1]);
    assert_int_equal(
        history_move(place->history, "thomas@pop.example", "thomas@new.example", &changed, &fault), 0);
    assert_int_equal(row_of(place, "u1").id, ids[0]);
    assert_int_equal(row_of(place, "u2").id, others[1]);
    assert_int_equal(row_of(place, "u2").state, HISTORY_RECORDED);
    assert_int_equal(history_move(place->history, "nobody@pop.example", "x@y", &changed, &fault), 0);
    assert_int_equal(changed, 0);
}

static void people_forget_retry_and_prune(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"u1", "u2", "u3"};
    struct history_receipt refusal = {.state = HISTORY_LISTED, .owed = "thomas", .refused = true};
    struct history_plan absent = {0};
    uint64_t changed;
    int64_t ids[3];

    plan(place, uids, 3, ids);
    refusal.id = ids[0];
    assert_int_equal(history_receipt(place->history, &refusal, &fault), 0);
    assert_int_equal(history_receipt(place->history, &refusal, &fault), 0);
    assert_true(row_of(place, "u1").retry_at > 0);
    assert_int_equal(history_retry(place->history, "thomas@pop.example", &changed, &fault), 0);
    assert_int_equal(changed, 1);
    assert_int_equal(row_of(place, "u1").retry_at, 0);
    assert_int_equal(history_forget(place->history, "thomas@pop.example", "u2", &changed, &fault), 0);
    assert_int_equal(changed, 1);
    assert_int_equal(row_of(place, "u2").id, 0);
    absent.absent = &ids[2];
    absent.absent_count = 1;
    assert_int_equal(history_plan(place->history, place->mailbox.id, &absent, &fault), 0);
    assert_int_equal(history_prune(place->history, time(NULL) + 5, &changed, &fault), 0);
    assert_int_equal(changed, 1);
    assert_int_equal(rows_with(place, (struct history_filter){.state = -1}), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plan_and_a_receipt_outlive_the_connection),
        TEST(rows_come_sorted_with_those_no_longer_listed),
        TEST(absent_rows_come_only_when_they_are_listed_again),
        TEST(a_gone_row_goes_once_it_is_not_listed_any_more),
        TEST(absent_rows_are_forgotten_by_age_and_listed_ones_never),
        TEST(a_partial_receipt_keeps_who_is_still_owed),
        TEST(refusals_wait_for_the_next_run_then_an_hour_doubling_to_a_day),
        TEST(a_reused_uid_forgets_the_old_message),
        TEST(absent_rows_are_found_by_their_digest),
        TEST(receipts_of_many_sessions_share_commits_but_not_failures),
        TEST(failed_runs_are_counted_until_a_success),
        TEST(a_plain_login_refusal_makes_the_account_wait_from_the_second),
        TEST(a_sure_login_refusal_makes_the_account_wait_at_once),
        TEST(the_newest_receipt_is_known_after_a_run_that_was_killed),
        TEST(a_summary_counts_the_run_the_day_and_the_week),
        TEST(rows_are_searched_by_what_people_know),
        TEST(seen_messages_are_added_and_listed_ones_are_no_longer_owed),
        TEST(a_mailbox_moves_and_merges_with_what_is_delivered),
        TEST(people_forget_retry_and_prune),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
