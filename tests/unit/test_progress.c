/* Progress lines at 80 columns and less, and nothing where no terminal is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "report/progress.h"
#include "report/progress_line.h"

static const struct progress_state retrieving = {
    .account = "gmx",
    .stage = "retrieving",
    .messages = 312,
    .total_messages = 2048,
    .octets = 41000000,
    .total_octets = 369000000,
    .elapsed_ms = 5000,
};

static void is_line(const struct progress_state *state, size_t columns, size_t names, bool utf8,
                    const char *expected)
{
    char line[PROGRESS_LINE_MAX];

    progress_line(line, state, columns, names, utf8);
    assert_string_equal(line, expected);
    assert_true(progress_columns(line) <= columns);
}

static void a_line_shows_counts_rate_and_time_left(void **state)
{
    (void)state;
    is_line(&retrieving, 79, 3, true, "gmx  312/2048   11%  41 MB  8.2 MB/s  ETA 00:40");
}

static void a_narrow_terminal_drops_fields_from_the_right(void **state)
{
    size_t columns;

    (void)state;
    is_line(&retrieving, 40, 3, true, "gmx  312/2048   11%  41 MB  8.2 MB/s");
    is_line(&retrieving, 30, 3, true, "gmx  312/2048   11%  41 MB");
    is_line(&retrieving, 13, 3, true, "gmx  312/2048");
    is_line(&retrieving, 5, 3, true, "gmx");
    for (columns = 0; columns < 100; columns++) {
        char line[PROGRESS_LINE_MAX];
        progress_line(line, &retrieving, columns, columns / 4, true);
        assert_true(progress_columns(line) <= columns);
    }
}

static void a_stage_is_named_where_nothing_is_counted(void **state)
{
    struct progress_state other = {.account = "web", .stage = "connecting"};

    (void)state;
    is_line(&other, 79, 6, true, "web     connecting");
    other = retrieving;
    other.messages = 2048;
    other.octets = other.total_octets;
    other.stage = "deleting";
    is_line(&other, 79, 3, true, "gmx  2048/2048  100%  369 MB  74 MB/s  deleting");
    other.stage = NULL;
    is_line(&other, 79, 3, true, "gmx  2048/2048  100%  369 MB  done");
}

static void more_octets_than_listed_are_not_yet_all(void **state)
{
    struct progress_state more = retrieving;

    (void)state;
    more.octets = more.total_octets + 5000;
    is_line(&more, 79, 3, true, "gmx  312/2048   99%  369 MB  74 MB/s");
    more = retrieving;
    more.elapsed_ms = 0;
    is_line(&more, 79, 3, true, "gmx  312/2048   11%  41 MB");
    more.elapsed_ms = 1000000000;
    is_line(&more, 79, 3, true, "gmx  312/2048   11%  41 MB  41 B/s  ETA 2222:13:20");
}

static void a_long_name_is_cut_at_a_character(void **state)
{
    struct progress_state named = {.account = "m\xC3\xBCnchen-b\xC3\xBCro", .stage = "listing"};

    (void)state;
    is_line(&named, 79, 8, true, "m\xC3\xBCnchen\xE2\x80\xA6  listing");
    is_line(&named, 79, 8, false, "m\xC3\xBCnchen-  listing");
    is_line(&named, 79, 14, true, "m\xC3\xBCnchen-b\xC3\xBCro    listing");
    named.account = "a\033[2Jb";
    is_line(&named, 79, 6, true, "a?[2Jb  listing");
}

static void a_progress_that_draws_nothing_is_null(void **state)
{
    size_t slot;

    (void)state;
    assert_null(progress_new(true));
    slot = progress_begin(NULL, "gmx");
    progress_stage(NULL, slot, "listing");
    progress_total(NULL, slot, 1, 1);
    progress_add(NULL, slot, 1, 1);
    progress_end(NULL, slot);
    progress_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_shows_counts_rate_and_time_left),
        cmocka_unit_test(a_narrow_terminal_drops_fields_from_the_right),
        cmocka_unit_test(a_stage_is_named_where_nothing_is_counted),
        cmocka_unit_test(more_octets_than_listed_are_not_yet_all),
        cmocka_unit_test(a_long_name_is_cut_at_a_character),
        cmocka_unit_test(a_progress_that_draws_nothing_is_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
