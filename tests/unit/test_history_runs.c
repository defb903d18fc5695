/* The history: what it counts for each run, and what people ask of it. */
#include <time.h>

#include "history_place.h"

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

static void what_was_noticed_or_partly_delivered_can_be_seen(void **state)
{
    struct place *place = *state;
    const char *uids[] = {"u1", "u2"};
    uint64_t changed;
    int64_t ids[2];

    plan(place, uids, 2, ids);
    assert_int_equal(
        history_receipt(place->history,
                        &(struct history_receipt){.id = ids[0], .state = HISTORY_NOTICED, .delivered = true},
                        &fault),
        0);
    assert_int_equal(history_receipt(place->history,
                                     &(struct history_receipt){.id = ids[1], .state = HISTORY_LISTED,
                                                               .owed = "anna", .delivered = true},
                                     &fault),
                     0);
    assert_int_equal(rows_with(place, (struct history_filter){.state = HISTORY_NOTICED}), 1);
    assert_int_equal(
        history_seen(place->history, "thomas@pop.example", uids, NULL, COUNT(uids), &changed, &fault), 0);
    assert_int_equal(changed, 2);
    assert_int_equal(row_of(place, "u1").state, HISTORY_SEEN);
    assert_int_equal(row_of(place, "u2").state, HISTORY_SEEN);
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
    uint64_t changed, logins;
    int64_t ids[3];

    plan(place, uids, 3, ids);
    refusal.id = ids[0];
    assert_int_equal(history_receipt(place->history, &refusal, &fault), 0);
    assert_int_equal(history_receipt(place->history, &refusal, &fault), 0);
    assert_true(row_of(place, "u1").retry_at > 0);
    assert_int_equal(history_retry(place->history, "thomas@pop.example", &changed, &logins, &fault), 0);
    assert_int_equal(changed, 1);
    assert_int_equal(logins, 0);
    assert_int_equal(row_of(place, "u1").retry_at, 0);
    assert_int_equal(history_forget(place->history, "thomas@pop.example", "u2", &changed, &fault), 0);
    assert_int_equal(changed, 1);
    assert_int_equal(row_of(place, "u2").id, 0);
    absent.absent = &ids[2];
    absent.absent_count = 1;
    assert_int_equal(history_plan(place->history, place->mailbox.id, &absent, &fault), 0);
    assert_int_equal(history_prune(place->history, "anna@pop.example", time(NULL) + 5, &changed, &fault), 0);
    assert_int_equal(changed, 0);
    assert_int_equal(history_prune(place->history, "thomas@pop.example", time(NULL) + 5, &changed, &fault), 0);
    assert_int_equal(changed, 1);
    assert_int_equal(rows_with(place, (struct history_filter){.state = -1}), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(failed_runs_are_counted_until_a_success),
        TEST(a_plain_login_refusal_makes_the_account_wait_from_the_second),
        TEST(a_sure_login_refusal_makes_the_account_wait_at_once),
        TEST(the_newest_receipt_is_known_after_a_run_that_was_killed),
        TEST(a_summary_counts_the_run_the_day_and_the_week),
        TEST(rows_are_searched_by_what_people_know),
        TEST(seen_messages_are_added_and_listed_ones_are_no_longer_owed),
        TEST(what_was_noticed_or_partly_delivered_can_be_seen),
        TEST(a_mailbox_moves_and_merges_with_what_is_delivered),
        TEST(people_forget_retry_and_prune),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
