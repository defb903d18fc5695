/* Log lines in their three forms. */
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
#include <jansson.h>

#include "report/log.h"
#include "report/log_form.h"

static int real_stderr, pipes[2];

static int setup(void **state)
{
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
    (void)close(pipes[1]);
    return 0;
}

/* Back to the real one; what was written meanwhile, good until the next call. */
static const char *told(void)
{
    static char text[65536];
    size_t len = 0;
    ssize_t n;

    (void)dup2(real_stderr, STDERR_FILENO);
    while ((n = read(pipes[0], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return text;
}

static int teardown(void **state)
{
    (void)state;
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
    (void)close(pipes[0]);
    return 0;
}

static const struct fault refused = {
    .scope = FAULT_OF_MAILBOX,
    .class = FAULT_LOGIN,
    .stage = "login",
    .text = "pop.gmx.net refused the login: -ERR [AUTH] wrong password",
};

static void a_text_line_names_program_and_account(void **state)
{
    (void)state;
    log_open(LOG_TEXT, LOG_LEVEL_WARNING);
    log_fault("gmx", &refused);
    log_line(LOG_LEVEL_WARNING, NULL, "%d of %s", 3, "five");
    assert_string_equal(told(), "popferry: gmx: pop.gmx.net refused the login: -ERR [AUTH] wrong password\n"
                                "popferry: 3 of five\n");
}

static void what_is_less_grave_than_asked_for_is_not_told(void **state)
{
    (void)state;
    log_open(LOG_TEXT, LOG_LEVEL_ERROR);
    assert_true(log_tells(LOG_LEVEL_ERROR));
    assert_false(log_tells(LOG_LEVEL_WARNING));
    log_line(LOG_LEVEL_WARNING, "gmx", "warning");
    log_event(LOG_LEVEL_INFO, "gmx", &(struct log_event){.event = "delivered", .text = "text"});
    log_dialogue("gmx", '>', "NOOP", 4);
    assert_string_equal(told(), "");
}

static void journal_lines_carry_priorities(void **state)
{
    (void)state;
    log_open(LOG_JOURNAL, LOG_LEVEL_DEBUG);
    log_line(LOG_LEVEL_ERROR, "gmx", "a");
    log_line(LOG_LEVEL_WARNING, "gmx", "b");
    log_line(LOG_LEVEL_NOTICE, NULL, "c");
    log_line(LOG_LEVEL_INFO, "gmx", "d");
    log_dialogue("gmx", '<', "+OK", 3);
    assert_string_equal(told(), "<3>gmx: a\n<4>gmx: b\n<5>c\n<6>gmx: d\n<7>gmx: < +OK\n");
}

static void a_json_line_has_stable_keys_in_a_stable_order(void **state)
{
    struct log_event event = {
        .event = "delivered",
        .uidl = "u\"1",
        .size = 2048,
        .recipients = "thomas@localhost,\"a,b\"@localhost",
        .smtp_reply = "250 Ok",
        .queue_id = "4F2",
        .duration = 12,
        .text = "delivered \\ it",
    };
    static const char rest[] =
        "\"level\":\"info\",\"account\":\"gmx\",\"event\":\"delivered\",\"text\":\"delivered \\\\ it\","
        "\"uidl\":\"u\\\"1\",\"size\":2048,"
        "\"recipients\":[\"thomas@localhost\",\"\\\"a,b\\\"@localhost\"],"
        "\"smtp_reply\":\"250 Ok\",\"queue_id\":\"4F2\",\"duration\":12}\n";
    const char *line;
    int year, month, day, hour, minute, second, milli, end = 0;

    (void)state;
    log_open(LOG_JSON, LOG_LEVEL_INFO);
    log_event(LOG_LEVEL_INFO, "gmx", &event);
    line = told();
    assert_int_equal(sscanf(line, "{\"time\":\"%4d-%2d-%2dT%2d:%2d:%2d.%3dZ\",%n", &year, &month, &day, &hour,
                            &minute, &second, &milli, &end),
                     7);
    assert_string_equal(line + end, rest);
}

static void a_json_fault_leaves_out_what_is_not_known(void **state)
{
    json_t *object;

    (void)state;
    log_open(LOG_JSON, LOG_LEVEL_WARNING);
    log_fault(NULL, &refused);
    object = json_loads(told(), 0, NULL);
    assert_non_null(object);
    assert_int_equal(json_object_size(object), 6);
    assert_string_equal(json_string_value(json_object_get(object, "event")), "fault");
    assert_string_equal(json_string_value(json_object_get(object, "class")), "login");
    assert_string_equal(json_string_value(json_object_get(object, "stage")), "login");
    assert_null(json_object_get(object, "account"));
    json_decref(object);
}

static void control_characters_never_reach_the_terminal(void **state)
{
    static const char line[] =
        "a\033[2J\r\nb\0c\x9B"
        "d\xC2\x9B"
        "e\x7F gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80 \xED\xA0\x80 \xC0\x8A \xE2\x82";

    (void)state;
    log_open(LOG_TEXT, LOG_LEVEL_DEBUG);
    log_dialogue("g\nx", '<', line, sizeof(line) - 1);
    assert_string_equal(
        told(),
        "popferry: g?x: < a?[2J??b?c?d??e? gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80 ??? ?? ??\n");
}

static void json_lines_stay_json_whatever_a_peer_says(void **state)
{
    char line[256];
    size_t i;
    json_t *object;

    (void)state;
    for (i = 0; i < sizeof(line); i++)
        line[i] = (char)i;
    log_open(LOG_JSON, LOG_LEVEL_DEBUG);
    log_dialogue("gmx", '<', line, sizeof(line));
    object = json_loads(told(), 0, NULL);
    assert_non_null(object);
    assert_int_equal(json_string_length(json_object_get(object, "text")), sizeof(line) + 2);
    json_decref(object);
}

static void a_line_of_any_length_is_one_capped_line(void **state)
{
    static char line[200000];
    const char *text;

    (void)state;
    memset(line, 'x', sizeof(line) - 1);
    log_open(LOG_TEXT, LOG_LEVEL_DEBUG);
    log_line(LOG_LEVEL_DEBUG, "gmx", "%s", line);
    log_dialogue("gmx", '<', line, sizeof(line));
    text = told();
    assert_in_range(strlen(text), LOG_TEXT_MAX, 3 * LOG_TEXT_MAX);
    assert_ptr_equal(strchr(strchr(text, '\n') + 1, '\n') + 1, text + strlen(text));
}

static void note(void *context)
{
    (void)!write(STDERR_FILENO, context, 1);
}

static void redraw(void *context)
{
    (void)!write(STDERR_FILENO, (const char *)context + 1, 1);
}

static void live_lines_make_room_for_a_log_line(void **state)
{
    static char marks[] = "()";

    (void)state;
    log_open(LOG_TEXT, LOG_LEVEL_WARNING);
    log_set_live(note, redraw, marks);
    log_line(LOG_LEVEL_INFO, NULL, "not told");
    log_line(LOG_LEVEL_WARNING, NULL, "x");
    log_set_live(NULL, NULL, NULL);
    log_line(LOG_LEVEL_WARNING, NULL, "y");
    assert_string_equal(told(), "(popferry: x\n)popferry: y\n");
}

static void the_journal_is_known_by_device_and_inode(void **state)
{
    char stream[64];
    struct stat st;

    (void)state;
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)unsetenv("JOURNAL_STREAM");
    assert_int_equal(log_default_format(), LOG_TEXT);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    assert_int_equal(log_default_format(), LOG_JOURNAL);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino + 1);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    assert_int_equal(log_default_format(), LOG_TEXT);
    (void)setenv("JOURNAL_STREAM", "nonsense", 1);
    assert_int_equal(log_default_format(), LOG_TEXT);
    (void)unsetenv("JOURNAL_STREAM");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_text_line_names_program_and_account),
        TEST(what_is_less_grave_than_asked_for_is_not_told),
        TEST(journal_lines_carry_priorities),
        TEST(a_json_line_has_stable_keys_in_a_stable_order),
        TEST(a_json_fault_leaves_out_what_is_not_known),
        TEST(control_characters_never_reach_the_terminal),
        TEST(json_lines_stay_json_whatever_a_peer_says),
        TEST(a_line_of_any_length_is_one_capped_line),
        TEST(live_lines_make_room_for_a_log_line),
        TEST(the_journal_is_known_by_device_and_inode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
