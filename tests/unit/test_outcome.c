/* Outcomes: the exit status, the summary, the metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "report/human.h"
#include "report/outcome.h"

static struct fault fault_of(enum fault_class class)
{
    struct fault fault;

    (void)fault_set(&fault, FAULT_OF_MAILBOX, class, "login", "a %s fault", fault_class_name(class));
    return fault;
}

static void note(struct outcome *outcome, enum fault_class class, bool counted)
{
    struct fault fault = fault_of(class);

    outcome_fault(outcome, &fault, counted);
}

static void the_gravest_fault_of_all_accounts_is_the_exit_status(void **state)
{
    struct outcome outcomes[3] = {{.account = "a"}, {.account = "b"}, {.account = "c"}};

    (void)state;
    assert_int_equal(outcome_exit_status(outcomes, 0), 0);
    assert_int_equal(outcome_exit_status(outcomes, 3), 0);
    note(&outcomes[1], FAULT_RETRY, true);
    assert_int_equal(outcome_exit_status(outcomes, 3), 75);
    note(&outcomes[2], FAULT_REFUSED, true);
    assert_int_equal(outcome_exit_status(outcomes, 3), 65);
    note(&outcomes[0], FAULT_LOGIN, true);
    note(&outcomes[0], FAULT_RETRY, true);
    assert_int_equal(outcome_exit_status(outcomes, 3), 77);
    note(&outcomes[1], FAULT_STATE, true);
    assert_int_equal(outcome_exit_status(outcomes, 3), 74);
}

static void a_fault_that_does_not_count_yet_is_still_remembered(void **state)
{
    struct outcome outcome = {.account = "a"};

    (void)state;
    note(&outcome, FAULT_RETRY, false);
    assert_int_equal(outcome_exit_status(&outcome, 1), 0);
    assert_int_equal(outcome.faults[FAULT_RETRY], 1);
    assert_string_equal(outcome.first.text, "a retry fault");
}

static void the_first_of_the_gravest_faults_is_kept(void **state)
{
    struct outcome outcome = {.account = "a"};
    struct fault later = fault_of(FAULT_PROTOCOL);

    (void)state;
    note(&outcome, FAULT_RETRY, true);
    note(&outcome, FAULT_PROTOCOL, true);
    (void)strcpy(later.text, "a later one");
    outcome_fault(&outcome, &later, true);
    note(&outcome, FAULT_RETRY, true);
    assert_string_equal(outcome.first.text, "a protocol fault");
    assert_int_equal(outcome.faults[FAULT_PROTOCOL], 2);
}

static void sums_up(const struct outcome *outcomes, size_t count, int64_t duration, const char *expected)
{
    char text[1024];

    assert_int_equal(outcome_summary_text(outcomes, count, duration, text, sizeof(text)), 0);
    assert_string_equal(text, expected);
}

static void the_summary_is_a_sentence(void **state)
{
    struct outcome outcomes[4] = {
        {.polled = true, .delivered = 10, .octets = 3000000, .refused = 1},
        {.polled = true, .delivered = 2, .octets = 400000, .waiting_messages = 3},
        {.polled = true},
        {.busy = true},
    };

    (void)state;
    sums_up(outcomes + 2, 1, 400, "no new messages from 1 mailbox in 0.4 s");
    sums_up(outcomes, 3, 2100, "12 messages (3.4 MB) from 3 mailboxes in 2.1 s; 3 waiting, 1 refused");
    note(&outcomes[2], FAULT_REFUSED, true);
    sums_up(outcomes + 2, 1, 400, "no new messages from 1 mailbox in 0.4 s; 1 mailbox with faults");
    outcomes[1] = (struct outcome){.delivered = 0};
    outcomes[2].troubled = false;
    outcomes[0] = (struct outcome){.polled = true, .delivered = 1, .octets = 812};
    sums_up(outcomes, 4, 61000,
            "1 message (812 B) from 2 mailboxes in 1:01 min; 1 mailbox with faults, 1 mailbox busy");
}

static void numbers_are_short(void **state)
{
    static const struct {
        uint64_t octets;
        const char *text;
    } rows[] = {
        {0, "0 B"},          {999, "999 B"},      {1000, "1.0 kB"},       {9949, "9.9 kB"},
        {9951, "10 kB"},     {412345, "412 kB"},  {999400, "999 kB"},     {999600, "1.0 MB"},
        {41000000, "41 MB"}, {8200000, "8.2 MB"}, {3400000000, "3.4 GB"}, {UINT64_MAX, "18 EB"},
    };
    char text[HUMAN_SIZE];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(human_octets(text, rows[i].octets), rows[i].text);
    assert_string_equal(human_duration(text, 59999), "1:00 min");
    assert_string_equal(human_duration(text, 3723000), "1:02:03 h");
    assert_string_equal(human_duration(text, -5), "0.0 s");
}

static char *contents(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static void metrics_are_whole_readable_and_escaped(void **state)
{
    struct outcome outcomes[2] = {
        {.account = "gmx",
         .polled = true,
         .delivered = 12,
         .octets = 3400,
         .last_success = 1700000000,
         .duration_ms = 2100,
         .connect_ms = 150},
        {.account = "odd\"\\\nname\xFC"},
    };
    char dir[] = "/tmp/popferry-metrics-XXXXXX", path[64], command[96];
    struct fault fault;
    const char *text, *line;
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/popferry.prom", dir);
    note(&outcomes[1], FAULT_LOGIN, true);
    assert_int_equal(outcome_metrics(outcomes, 2, path, &fault), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    text = contents(path);
    assert_non_null(strstr(text, "\npopferry_last_run_messages{account=\"gmx\"} 12\n"));
    assert_non_null(strstr(text, "\npopferry_last_run_octets{account=\"gmx\"} 3400\n"));
    assert_non_null(strstr(text, "{account=\"odd\\\"\\\\\\nname?\",kind=\"login\"} 1\n"));
    assert_non_null(strstr(text, "\npopferry_last_success_timestamp_seconds{account=\"gmx\"} 1700000000\n"));
    assert_null(strstr(text, "popferry_last_success_timestamp_seconds{account=\"odd"));
    assert_non_null(strstr(text, "\npopferry_stage_seconds{account=\"gmx\",stage=\"connect\"} 0.150\n"));
    assert_non_null(strstr(text, "\npopferry_last_run_duration_seconds{account=\"gmx\"} 2.100\n"));
    for (line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        assert_true(strncmp(line, "# HELP popferry_", 16) == 0 ||
                    strncmp(line, "# TYPE popferry_", 16) == 0 || strncmp(line, "popferry_", 9) == 0);
    (void)snprintf(command, sizeof(command), "test $(ls %s | wc -l) = 1 && rm -rf %s", dir, dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(outcome_metrics(outcomes, 2, path, &fault), -1);
    assert_int_equal(fault.class, FAULT_STATE);
    assert_non_null(strstr(fault.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gravest_fault_of_all_accounts_is_the_exit_status),
        cmocka_unit_test(a_fault_that_does_not_count_yet_is_still_remembered),
        cmocka_unit_test(the_first_of_the_gravest_faults_is_kept),
        cmocka_unit_test(the_summary_is_a_sentence),
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(metrics_are_whole_readable_and_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
