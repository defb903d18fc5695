/* The history: what it keeps of each message, and for how long. Broken files: test_history_file.c. */
#include <pthread.h>
#include <time.h>

#include "history_place.h"

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
        assert_in_range(row.retry_at, before + hours[i] * 3600, time(NULL) + hours[i] * 3600);
        assert_in_range(history_refused_at(&row), before, time(NULL));
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
    assert_int_equal(history_compared(place->history, id, 4711, &fault), 0);
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

static void what_was_absent_is_returned_until_it_is_compared(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"u1", "u2"};
    struct history_plan absent = {0}, present = {0};
    int64_t ids[2];

    plan(place, uids, 2, ids);
    record(place, ids[0]);
    absent.absent = present.present = ids;
    absent.absent_count = present.present_count = 2;
    assert_int_equal(history_plan(place->history, place->mailbox.id, &absent, &fault), 0);
    assert_int_equal(history_plan(place->history, place->mailbox.id, &present, &fault), 0);
    assert_true(row_of(place, "u1").returned);
    assert_false(row_of(place, "u1").absent);
    assert_false(row_of(place, "u2").returned); /* still owed: read anyway */
    assert_int_equal(history_plan(place->history, place->mailbox.id, &absent, &fault), 0);
    assert_int_equal(history_compared(place->history, ids[0], 100, &fault), 0);
    assert_false(row_of(place, "u1").returned);
    assert_false(row_of(place, "u1").absent);
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
        TEST(what_was_absent_is_returned_until_it_is_compared),
        TEST(absent_rows_are_found_by_their_digest),
        TEST(receipts_of_many_sessions_share_commits_but_not_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
