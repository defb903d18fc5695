/* The plan: listing x history x limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poll/plan.h"

#define NOW 1000000000

static struct pop3_entry entry(unsigned number, const char *uid, uint64_t octets)
{
    return (struct pop3_entry){.number = number, .uid = uid, .octets = octets, .has_octets = true};
}

static struct history_row row(int64_t id, const char *uid, enum history_state state, uint64_t octets)
{
    bool delivered = state != HISTORY_LISTED && state != HISTORY_SEEN;

    return (struct history_row){.id = id, .uid = (char *)(uintptr_t)uid, .state = state, .octets = octets,
                                .delivered = delivered ? NOW - 100 : 0};
}

static const struct plan_limits delete_mode = {.now = NOW};
static const struct plan_limits keep_mode = {.now = NOW, .keep = true};

static struct plan make(struct pop3_entry *entries, size_t entry_count, struct history_row *rows,
                        size_t row_count, const struct plan_limits *limits)
{
    struct pop3_listing listing = {.entries = entries, .count = entry_count};
    struct history_rows history = {.rows = rows, .count = row_count};
    struct plan plan;

    assert_int_equal(plan_make(&plan, &listing, &history, limits), 0);
    return plan;
}

static enum plan_action action_of(struct pop3_entry one, struct history_row *known,
                                  const struct plan_limits *limits)
{
    struct plan plan = make(&one, 1, known, known != NULL ? 1 : 0, limits);
    enum plan_action action = plan.items[0].action;

    plan_free(&plan);
    return action;
}

static void what_the_history_does_not_know_is_retrieved(void **state)
{
    (void)state;
    assert_int_equal(action_of(entry(1, "a", 10), NULL, &delete_mode), PLAN_RETRIEVE);
    assert_int_equal(action_of(entry(1, "a", 10), NULL, &keep_mode), PLAN_RETRIEVE);
}

static void what_is_still_owed_is_retrieved_again(void **state)
{
    struct history_row known = row(1, "a", HISTORY_LISTED, 10);

    (void)state;
    assert_int_equal(action_of(entry(1, "a", 10), &known, &delete_mode), PLAN_RETRIEVE);
}

static void delivered_mail_is_only_deleted(void **state)
{
    struct history_row known = row(1, "a", HISTORY_RECORDED, 10);

    (void)state;
    assert_int_equal(action_of(entry(1, "a", 10), &known, &delete_mode), PLAN_DELETE);
}

static void delivered_mail_of_another_size_is_compared(void **state)
{
    struct history_row known = row(1, "a", HISTORY_RECORDED, 10);
    struct pop3_entry unsized = {.number = 1, .uid = "a"};

    (void)state;
    assert_int_equal(action_of(entry(1, "a", 11), &known, &delete_mode), PLAN_COMPARE);
    assert_int_equal(action_of(entry(1, "a", 11), &known, &keep_mode), PLAN_COMPARE);
    assert_int_equal(action_of(unsized, &known, &delete_mode), PLAN_COMPARE);
    assert_int_equal(action_of(unsized, &known, &keep_mode), PLAN_KEEP);
}

static void delivered_mail_that_was_absent_in_between_is_compared_before_it_is_deleted(void **state)
{
    const enum history_state states[] = {HISTORY_RECORDED, HISTORY_QUARANTINED};
    const struct plan_limits aged = {.now = NOW, .keep_days = 1};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct history_row absent = row(1, "a", states[i], 10);
        struct history_row returned = absent;
        absent.absent = returned.returned = true;
        assert_int_equal(action_of(entry(1, "a", 10), &absent, &delete_mode), PLAN_COMPARE);
        assert_int_equal(action_of(entry(1, "a", 10), &returned, &delete_mode), PLAN_COMPARE);
        absent.delivered = returned.delivered = NOW - 86400;
        assert_int_equal(action_of(entry(1, "a", 10), &absent, &aged), PLAN_COMPARE);
        assert_int_equal(action_of(entry(1, "a", 10), &returned, &aged), PLAN_COMPARE);
    }
}

static void kept_mail_that_was_absent_in_between_is_compared_if_it_can_be(void **state)
{
    const struct plan_limits young = {.now = NOW, .keep_days = 1};
    const struct plan_limits small = {.now = NOW, .keep = true, .max_size = 9};
    struct pop3_entry unsized = {.number = 1, .uid = "a"};
    struct history_row absent = row(1, "a", HISTORY_RECORDED, 10);
    struct history_row returned = absent;

    (void)state;
    absent.absent = returned.returned = true;
    assert_int_equal(action_of(entry(1, "a", 10), &absent, &keep_mode), PLAN_KEEP); /* with what? */
    absent.has_digest = returned.has_digest = true;
    assert_int_equal(action_of(entry(1, "a", 10), &absent, &keep_mode), PLAN_COMPARE);
    assert_int_equal(action_of(entry(1, "a", 10), &returned, &keep_mode), PLAN_COMPARE);
    assert_int_equal(action_of(entry(1, "a", 10), &returned, &young), PLAN_COMPARE);
    assert_int_equal(action_of(unsized, &returned, &keep_mode), PLAN_COMPARE);
    assert_int_equal(action_of(entry(1, "a", 10), &returned, &small), PLAN_KEEP);
}

static void a_uid_that_comes_back_with_another_size_is_new_mail(void **state)
{
    const struct plan_limits notice = {.now = NOW, .max_size = 9, .notice = true};
    struct history_row seen = row(1, "a", HISTORY_SEEN, 10);
    struct history_row noticed = row(1, "a", HISTORY_NOTICED, 10);
    struct history_row refused = row(1, "a", HISTORY_LISTED, 10);
    struct plan plan;
    struct pop3_entry listed = entry(1, "a", 11);

    (void)state;
    refused.refusals = 2;
    refused.retry_at = NOW + 1;
    assert_int_equal(action_of(listed, &seen, &delete_mode), PLAN_KEEP); /* there all the time */
    assert_int_equal(action_of(listed, &noticed, &notice), PLAN_KEEP);
    assert_int_equal(action_of(listed, &refused, &delete_mode), PLAN_WAIT);
    seen.absent = noticed.absent = refused.returned = true;
    assert_int_equal(action_of(listed, &seen, &delete_mode), PLAN_RETRIEVE);
    assert_int_equal(action_of(listed, &seen, &notice), PLAN_NOTICE);
    assert_int_equal(action_of(listed, &noticed, &notice), PLAN_NOTICE);
    assert_int_equal(action_of(listed, &noticed, &delete_mode), PLAN_RETRIEVE);
    assert_int_equal(action_of(listed, &refused, &delete_mode), PLAN_RETRIEVE);
    assert_int_equal(action_of(entry(1, "a", 10), &seen, &delete_mode), PLAN_KEEP);
    assert_int_equal(action_of(entry(1, "a", 10), &noticed, &notice), PLAN_KEEP);
    assert_int_equal(action_of(entry(1, "a", 10), &refused, &delete_mode), PLAN_WAIT);
    plan = make(&listed, 1, &seen, 1, &delete_mode);
    assert_int_equal(plan.another_count, 1);
    assert_int_equal(plan.present_count, 0);
    plan_free(&plan);
    seen.has_digest = true;
    assert_int_equal(action_of(listed, &seen, &delete_mode), PLAN_COMPARE);
}

static void without_sizes_seen_mail_stays_seen(void **state)
{
    struct pop3_entry unsized = {.number = 1, .uid = "a"};
    struct history_row seen = row(1, "a", HISTORY_SEEN, 10);

    (void)state;
    seen.absent = seen.returned = true;
    assert_int_equal(action_of(unsized, &seen, &delete_mode), PLAN_KEEP);
    seen.octets = 0; /* imported */
    assert_int_equal(action_of(entry(1, "a", 11), &seen, &delete_mode), PLAN_KEEP);
}

/* Digit `at` of n, written with so many different ones. */
static unsigned digit(unsigned *n, unsigned different)
{
    unsigned value = *n % different;

    *n /= different;
    return value;
}

/* What may be said of each combination of a row, an entry and limits. */
static void nothing_is_deleted_unread_but_what_was_there_all_the_time(void **state)
{
    unsigned n, rest;

    (void)state;
    for (n = 0, rest = 0; rest == 0; n++) {
        struct history_row known = {.id = 1, .uid = (char *)(uintptr_t)"a", .octets = 10};
        struct pop3_entry listed = {.number = 1, .uid = "a"};
        struct plan_limits limits = {.now = NOW};
        enum plan_action action;

        rest = n;
        known.state = (enum history_state)digit(&rest, HISTORY_NOTICED + 1);
        known.absent = digit(&rest, 2);
        known.returned = digit(&rest, 2);
        known.delivered = digit(&rest, 2) ? NOW - 100 : NOW - 86400;
        known.retry_at = digit(&rest, 2) ? NOW + 1 : 0;
        known.refusals = known.retry_at != 0 ? 2 : 0;
        listed.has_octets = digit(&rest, 2);
        listed.octets = !listed.has_octets ? 0 : 9 + digit(&rest, 3);
        limits.keep = digit(&rest, 2);
        limits.keep_days = digit(&rest, 2);
        limits.max_size = digit(&rest, 2) ? 9 : 0;
        limits.all_sizes = digit(&rest, 2);
        limits.notice = digit(&rest, 2);
        limits.newest_receipt = digit(&rest, 2) ? NOW + 1 : 0;
        action = action_of(listed, &known, &limits);
        if (action == PLAN_DELETE) {
            assert_true(known.state == HISTORY_RECORDED || known.state == HISTORY_QUARANTINED);
            assert_true(listed.has_octets && listed.octets == known.octets);
            assert_false(known.absent || known.returned);
            assert_true(plan_may_delete(&known, &limits));
        }
        if (known.state == HISTORY_GONE)
            assert_true(action == PLAN_COMPARE || (action == PLAN_OVERSIZE && plan_oversize(&listed, &limits)));
        else if (known.state == HISTORY_SEEN && !plan_another(&listed, &known))
            assert_int_equal(action, PLAN_KEEP);
        else if (known.state == HISTORY_LISTED || known.state == HISTORY_NOTICED || known.state == HISTORY_SEEN)
            assert_int_not_equal(action, PLAN_COMPARE);
        else
            assert_int_not_equal(action, PLAN_RETRIEVE);
    }
}

static void a_deleted_message_that_is_listed_all_the_same_is_compared(void **state)
{
    struct history_row known = row(1, "a", HISTORY_GONE, 10);

    (void)state;
    assert_int_equal(action_of(entry(1, "a", 10), &known, &delete_mode), PLAN_COMPARE);
}

static void kept_and_seen_mail_is_skipped(void **state)
{
    struct history_row kept = row(1, "a", HISTORY_RECORDED, 10);
    struct history_row seen = row(1, "a", HISTORY_SEEN, 10);

    (void)state;
    assert_int_equal(action_of(entry(1, "a", 10), &kept, &keep_mode), PLAN_KEEP);
    assert_int_equal(action_of(entry(1, "a", 10), &seen, &delete_mode), PLAN_KEEP);
    seen.delivered = NOW - 1; /* partly, or its notice, before it was marked */
    assert_int_equal(action_of(entry(1, "a", 10), &seen, &delete_mode), PLAN_KEEP);
}

static void keep_days_counts_from_the_receipt(void **state)
{
    struct plan_limits limits = {.now = NOW, .keep_days = 1};
    struct history_row known = row(1, "a", HISTORY_RECORDED, 10);

    (void)state;
    known.delivered = NOW - 86399;
    assert_int_equal(action_of(entry(1, "a", 10), &known, &limits), PLAN_KEEP);
    known.delivered = NOW - 86400;
    assert_int_equal(action_of(entry(1, "a", 10), &known, &limits), PLAN_DELETE);
}

static void a_clock_before_the_newest_receipt_deletes_nothing_for_its_age(void **state)
{
    struct plan_limits limits = {.now = NOW, .keep_days = 1, .newest_receipt = NOW + 1};
    struct history_row known = row(1, "a", HISTORY_RECORDED, 10);

    (void)state;
    known.delivered = NOW - 10 * 86400;
    assert_int_equal(action_of(entry(1, "a", 10), &known, &limits), PLAN_KEEP);
}

static void a_refused_message_waits_for_its_time(void **state)
{
    struct history_row known = row(1, "a", HISTORY_LISTED, 10);

    (void)state;
    known.refusals = 1;
    known.retry_at = NOW + 1; /* the clock was set back: the next run it is all the same */
    assert_int_equal(action_of(entry(1, "a", 10), &known, &delete_mode), PLAN_RETRIEVE);
    known.refusals = 2;
    assert_int_equal(action_of(entry(1, "a", 10), &known, &delete_mode), PLAN_WAIT);
    known.retry_at = NOW + 86400;
    assert_int_equal(action_of(entry(1, "a", 10), &known, &delete_mode), PLAN_WAIT);
    known.retry_at = NOW + 86401; /* noted under a clock that was wrong */
    assert_int_equal(action_of(entry(1, "a", 10), &known, &delete_mode), PLAN_RETRIEVE);
    known.retry_at = NOW;
    assert_int_equal(action_of(entry(1, "a", 10), &known, &delete_mode), PLAN_RETRIEVE);
}

static void large_mail_stays_or_is_told_of(void **state)
{
    struct plan_limits limits = {.now = NOW, .max_size = 10};
    struct history_row notice = row(1, "a", HISTORY_NOTICED, 11);

    (void)state;
    assert_int_equal(action_of(entry(1, "a", 11), NULL, &limits), PLAN_OVERSIZE);
    assert_int_equal(action_of(entry(1, "a", 10), NULL, &limits), PLAN_RETRIEVE);
    limits.notice = true;
    assert_int_equal(action_of(entry(1, "a", 11), NULL, &limits), PLAN_NOTICE);
    assert_int_equal(action_of(entry(1, "a", 11), &notice, &limits), PLAN_KEEP);
    limits.all_sizes = true;
    assert_int_equal(action_of(entry(1, "a", 11), &notice, &limits), PLAN_RETRIEVE);
}

static void the_oldest_come_first_and_those_that_stumbled_last(void **state)
{
    struct pop3_entry entries[] = {entry(1, "z", 1), entry(2, "b", 1), entry(3, "a", 1)};
    struct history_row rows[] = {row(7, "z", HISTORY_LISTED, 1)};
    struct plan plan;

    (void)state;
    rows[0].stumbles = 1;
    plan = make(entries, 3, rows, 1, &delete_mode);
    assert_int_equal(plan.items[0].entry->number, 2);
    assert_int_equal(plan.items[1].entry->number, 3);
    assert_int_equal(plan.items[2].entry->number, 1);
    assert_int_equal(plan.work, 3);
    plan_free(&plan);
}

static void max_messages_leaves_the_rest_for_later(void **state)
{
    struct pop3_entry entries[] = {entry(1, "c", 1), entry(2, "b", 1), entry(3, "a", 1)};
    struct plan_limits limits = {.now = NOW, .max_messages = 2};
    struct plan plan;

    (void)state;
    plan = make(entries, 3, NULL, 0, &limits);
    assert_int_equal(plan.items[1].action, PLAN_RETRIEVE);
    assert_int_equal(plan.items[2].action, PLAN_LATER);
    assert_int_equal(plan.actions[PLAN_LATER], 1);
    plan_free(&plan);
}

static void max_messages_starves_nothing_behind_what_is_tried_in_vain(void **state)
{
    struct pop3_entry entries[] = {entry(1, "a", 1), entry(2, "b", 1), entry(3, "c", 1)};
    struct history_row rows[] = {row(1, "a", HISTORY_LISTED, 1), row(2, "b", HISTORY_LISTED, 1)};
    struct plan_limits limits = {.now = NOW, .max_messages = 1};
    struct plan plan;

    (void)state;
    rows[0].stumbles = 2;
    rows[1].stumbles = 1;
    plan = make(entries, 3, rows, 2, &limits);
    assert_int_equal(plan.items[0].entry->number, 3);
    assert_int_equal(plan.items[1].entry->number, 2);
    assert_int_equal(plan.items[1].action, PLAN_LATER);
    plan_free(&plan);
}

static void what_is_compared_does_not_count_for_max_messages_while_mail_is_kept(void **state)
{
    struct pop3_entry entries[] = {entry(1, "a", 2), entry(2, "b", 2), entry(3, "c", 1), entry(4, "d", 1)};
    struct history_row rows[] = {row(1, "a", HISTORY_RECORDED, 1), row(2, "b", HISTORY_RECORDED, 1)};
    struct plan_limits limits = {.now = NOW, .keep = true, .max_messages = 1};
    struct plan plan;

    (void)state;
    plan = make(entries, 4, rows, 2, &limits);
    assert_int_equal(plan.actions[PLAN_COMPARE], 2);
    assert_int_equal(plan.items[2].action, PLAN_RETRIEVE);
    assert_int_equal(plan.items[3].action, PLAN_LATER);
    plan_free(&plan);
}

static void rows_that_are_not_listed_any_more_are_absent(void **state)
{
    struct pop3_entry entries[] = {entry(1, "b", 1)};
    struct history_row rows[] = {row(1, "a", HISTORY_RECORDED, 1), row(2, "b", HISTORY_RECORDED, 1),
                                 row(3, "c", HISTORY_RECORDED, 1), row(4, "sha256:00", HISTORY_RECORDED, 1)};
    struct plan plan;

    (void)state;
    rows[1].absent = true;
    rows[2].absent = true;
    plan = make(entries, 1, rows, 4, &delete_mode);
    assert_int_equal(plan.absent_count, 1);
    assert_int_equal(plan.absent[0], 1);
    assert_int_equal(plan.present_count, 1);
    assert_int_equal(plan.present[0], 2);
    assert_int_equal(plan.items[0].row->id, 2);
    plan_free(&plan);
}

static void a_uid_that_stands_twice_identifies_nothing(void **state)
{
    struct pop3_entry entries[] = {entry(1, "b", 1), entry(2, "a", 1), entry(3, "b", 2)};
    struct pop3_listing listing = {.entries = entries, .count = 3};
    const char **uids;
    size_t count;

    (void)state;
    assert_int_equal(plan_uids(&listing, &uids, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(uids[0], "a");
    assert_null(entries[0].uid);
    assert_null(entries[2].uid);
    assert_int_equal(action_of(entries[0], NULL, &delete_mode), PLAN_IDENTIFY);
    free(uids);
}

static void an_unknown_header_is_looked_up_by_the_whole_message(void **state)
{
    struct pop3_entry unknown = entry(1, "top:0123", 100);
    struct history_row row = {.uid = "top:0123", .octets = 100, .state = HISTORY_RECORDED};

    (void)state;
    assert_int_equal(action_of(unknown, NULL, &keep_mode), PLAN_IDENTIFY);
    assert_int_equal(action_of(unknown, &row, &keep_mode), PLAN_KEEP);
}

static void what_may_be_known_does_not_count_for_max_messages_while_mail_is_kept(void **state)
{
    struct pop3_entry entries[] = {entry(1, NULL, 1), entry(2, NULL, 1), entry(3, "c", 1), entry(4, "d", 1)};
    struct pop3_listing listing = {.entries = entries, .count = 4, .last = 1};
    struct plan_limits limits = {.keep = true, .max_messages = 1, .now = 1000};
    struct history_rows rows = {0};
    struct plan plan;

    (void)state;
    assert_int_equal(plan_make(&plan, &listing, &rows, &limits), 0);
    assert_int_equal(plan.actions[PLAN_IDENTIFY], 2);
    assert_int_equal(plan.actions[PLAN_RETRIEVE], 1);
    assert_int_equal(plan.actions[PLAN_LATER], 1);
    assert_int_equal(plan.items[0].entry->number, 2); /* LAST says that nobody has read it */
    plan_free(&plan);
    limits.keep = false;
    assert_int_equal(plan_make(&plan, &listing, &rows, &limits), 0);
    assert_int_equal(plan.actions[PLAN_IDENTIFY], 1);
    assert_int_equal(plan.actions[PLAN_LATER], 3);
    plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_history_does_not_know_is_retrieved),
        cmocka_unit_test(what_is_still_owed_is_retrieved_again),
        cmocka_unit_test(delivered_mail_is_only_deleted),
        cmocka_unit_test(delivered_mail_of_another_size_is_compared),
        cmocka_unit_test(delivered_mail_that_was_absent_in_between_is_compared_before_it_is_deleted),
        cmocka_unit_test(kept_mail_that_was_absent_in_between_is_compared_if_it_can_be),
        cmocka_unit_test(a_uid_that_comes_back_with_another_size_is_new_mail),
        cmocka_unit_test(without_sizes_seen_mail_stays_seen),
        cmocka_unit_test(nothing_is_deleted_unread_but_what_was_there_all_the_time),
        cmocka_unit_test(a_deleted_message_that_is_listed_all_the_same_is_compared),
        cmocka_unit_test(kept_and_seen_mail_is_skipped),
        cmocka_unit_test(keep_days_counts_from_the_receipt),
        cmocka_unit_test(a_clock_before_the_newest_receipt_deletes_nothing_for_its_age),
        cmocka_unit_test(a_refused_message_waits_for_its_time),
        cmocka_unit_test(large_mail_stays_or_is_told_of),
        cmocka_unit_test(the_oldest_come_first_and_those_that_stumbled_last),
        cmocka_unit_test(max_messages_leaves_the_rest_for_later),
        cmocka_unit_test(max_messages_starves_nothing_behind_what_is_tried_in_vain),
        cmocka_unit_test(what_is_compared_does_not_count_for_max_messages_while_mail_is_kept),
        cmocka_unit_test(rows_that_are_not_listed_any_more_are_absent),
        cmocka_unit_test(a_uid_that_stands_twice_identifies_nothing),
        cmocka_unit_test(an_unknown_header_is_looked_up_by_the_whole_message),
        cmocka_unit_test(what_may_be_known_does_not_count_for_max_messages_while_mail_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
