/* Which mailbox is polled next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poll/schedule.h"

static void hosts_take_turns(void **state)
{
    const char *const hosts[] = {"b", "a", "b", "A", "c"};
    const size_t expected[] = {0, 1, 4, 2, 3};
    struct schedule schedule;
    size_t i;

    (void)state;
    assert_int_equal(schedule_make(&schedule, hosts, 5, 4), 0);
    for (i = 0; i < 5; i++)
        assert_int_equal(schedule_next(&schedule), expected[i]);
    assert_true(schedule_next(&schedule) == SCHEDULE_NONE);
    schedule_free(&schedule);
}

static void a_host_has_no_more_sessions_than_it_may(void **state)
{
    const char *const hosts[] = {"a", "a", "A", "b"};
    struct schedule schedule;

    (void)state;
    assert_int_equal(schedule_make(&schedule, hosts, 4, 2), 0);
    assert_int_equal(schedule_width(&schedule), 3);
    assert_int_equal(schedule_next(&schedule), 0);
    assert_int_equal(schedule_next(&schedule), 3);
    assert_int_equal(schedule_next(&schedule), 1);
    assert_true(schedule_next(&schedule) == SCHEDULE_NONE);
    schedule_done(&schedule, 3);
    assert_true(schedule_next(&schedule) == SCHEDULE_NONE);
    schedule_done(&schedule, 1);
    assert_int_equal(schedule_next(&schedule), 2);
    assert_true(schedule_next(&schedule) == SCHEDULE_NONE);
    schedule_free(&schedule);
}

/* Workers as the poll has them: each ends when it is told that none may begin. */
static void every_mailbox_comes_once_whatever_the_order_of_the_ends(void **state)
{
    enum { MAILBOXES = 500, HOSTS = 7, WORKERS = 12, LIMIT = 3 };
    char names[HOSTS][8];
    const char *hosts[MAILBOXES];
    unsigned busy[HOSTS] = {0};
    unsigned came[MAILBOXES] = {0};
    size_t working[WORKERS];
    size_t workers = 0, left = MAILBOXES, i;
    struct schedule schedule;

    (void)state;
    srand(1);
    for (i = 0; i < HOSTS; i++)
        (void)snprintf(names[i], sizeof(names[i]), "host%zu", i);
    for (i = 0; i < MAILBOXES; i++)
        hosts[i] = names[i % 3 == 0 ? 0 : (size_t)rand() % HOSTS];
    assert_int_equal(schedule_make(&schedule, hosts, MAILBOXES, LIMIT), 0);
    assert_int_equal(schedule_width(&schedule), HOSTS * LIMIT);
    while (workers < WORKERS && (working[workers] = schedule_next(&schedule)) != SCHEDULE_NONE)
        busy[hosts[working[workers++]][4] - '0']++;
    while (workers > 0) {
        size_t one = (size_t)rand() % workers;
        size_t mailbox = working[one];
        came[mailbox]++;
        left--;
        busy[hosts[mailbox][4] - '0']--;
        schedule_done(&schedule, mailbox);
        working[one] = schedule_next(&schedule);
        if (working[one] == SCHEDULE_NONE)
            working[one] = working[--workers];
        else
            assert_true(++busy[hosts[working[one]][4] - '0'] <= LIMIT);
    }
    assert_int_equal(left, 0);
    for (i = 0; i < MAILBOXES; i++)
        assert_int_equal(came[i], 1);
    schedule_free(&schedule);
}

static void nothing_to_poll_is_no_fault(void **state)
{
    struct schedule schedule;

    (void)state;
    assert_int_equal(schedule_make(&schedule, NULL, 0, 1), 0);
    assert_int_equal(schedule_width(&schedule), 0);
    assert_true(schedule_next(&schedule) == SCHEDULE_NONE);
    schedule_free(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_take_turns),
        cmocka_unit_test(a_host_has_no_more_sessions_than_it_may),
        cmocka_unit_test(every_mailbox_comes_once_whatever_the_order_of_the_ends),
        cmocka_unit_test(nothing_to_poll_is_no_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
