/* wire: what is read. */
#include "wire_client.h"

static void lines_end_with_crlf_or_lf_and_may_hold_nul(void **state)
{
    static const struct step steps[] = {
        {.send = "one\r\ntwo\n\r\n\nth\0ree\r\r\nlast\r\n", .len = 28, .drip_ms = 1}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 5);

    (void)state;
    expect_line(wire, "one", 3);
    expect_line(wire, "two", 3);
    expect_line(wire, "", 0);
    expect_line(wire, "", 0);
    expect_line(wire, "th\0ree\r", 7);
    expect_line(wire, "last", 4);
    lose_line(wire, FAULT_RETRY, "127.0.0.1 closed the connection (while waiting for the reply to RETR 12)");
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void a_line_that_is_too_long_is_cut(void **state)
{
    static const char ten[] = "0123456789";
    struct step steps[] = {{.send = ten, .repeat = 99999}, {.send = "\r\nshort\r\n"},
                           {.send = ten, .repeat = 818},   {.send = "01\r\n"},
                           {.send = ten, .repeat = 818},   {.send = "012\r\nend\r\n"}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 5);
    struct fault fault;
    size_t len;
    char *line;
    bool cut;

    (void)state;
    assert_int_equal(wire_line(wire, &line, &len, &cut, 0, &fault), 0);
    assert_int_equal(len, WIRE_LINE_MAX);
    assert_int_equal(strlen(line), WIRE_LINE_MAX);
    assert_true(cut);
    assert_int_equal(wire_line(wire, &line, &len, &cut, 0, &fault), 0);
    assert_string_equal(line, "short");
    assert_false(cut);
    assert_int_equal(wire_line(wire, &line, &len, &cut, 0, &fault), 0);
    assert_int_equal(len, WIRE_LINE_MAX);
    assert_false(cut);
    assert_int_equal(wire_line(wire, &line, &len, &cut, 0, &fault), 0);
    assert_int_equal(len, WIRE_LINE_MAX);
    assert_true(cut);
    expect_line(wire, "end", 3);
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void a_line_without_end_is_a_broken_protocol(void **state)
{
    static char block[65536];
    struct step steps[] = {{.send = block, .len = sizeof(block), .repeat = 1000}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire;

    (void)state;
    memset(block, 'x', sizeof(block));
    wire = open_to(&server, &script, 5);
    lose_line(wire, FAULT_PROTOCOL, "line without end");
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void a_line_must_be_complete_within_the_timeout(void **state)
{
    static const struct step steps[] = {{.send = "+OK this takes too long\r\n", .drip_ms = 100}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 1);

    (void)state;
    lose_line(wire, FAULT_RETRY, "127.0.0.1 did not answer within 1 s (RETR 12)");
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void a_line_may_have_its_own_timeout(void **state)
{
    static const struct step steps[] = {{.send = "+OK at last\r\n", .delay_ms = 1200}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 1);
    struct fault fault;
    size_t len;
    char *line;

    (void)state;
    assert_int_equal(wire_line(wire, &line, &len, NULL, 5, &fault), 0);
    assert_string_equal(line, "+OK at last");
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

/* Reads answer lines until `last` comes; returns -1 when the wire gives up. */
static int read_answer(struct wire *wire, const char *last)
{
    struct fault fault = {0};
    size_t len;
    char *line;

    wire_mark(wire);
    do {
        if (wire_answer_line(wire, &line, &len, NULL, &fault) < 0) {
            assert_non_null(strstr(fault.text, "did not answer within 1 s"));
            return -1;
        }
    } while (strcmp(line, last) != 0);
    return 0;
}

static void a_long_answer_must_bring_a_kilobyte_in_time(void **state)
{
    static char block[1025];
    const struct step good[] = {{.send = block, .delay_ms = 500},
                                {.send = block, .delay_ms = 500},
                                {.send = block, .delay_ms = 500},
                                {.send = ".\r\n", .delay_ms = 500}};
    static const struct step slow[] = {
        {.send = "1 100\r\n2 200\r\n3 300\r\n4 400\r\n5 500\r\n", .drip_ms = 50, .repeat = 100000}};
    struct script script = {.steps = good, .count = COUNT(good), .hold = true};
    struct server server;
    struct wire *wire;

    (void)state;
    memset(block, 'x', sizeof(block) - 2);
    block[1023] = '\n';
    wire = open_to(&server, &script, 1);
    assert_int_equal(read_answer(wire, "."), 0);
    wire_close(wire);
    assert_string_equal(server_join(&server), "");

    script = (struct script){.steps = slow, .count = COUNT(slow), .hold = true};
    wire = open_to(&server, &script, 1);
    assert_int_equal(read_answer(wire, "."), -1);
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void octets_are_handed_out_as_they_came(void **state)
{
    static const struct step steps[] = {{.send = "+OK\r\n\0\xFF\r\r\n.\r\n+OK next\r\n", .len = 23}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 5);
    struct fault fault;
    const char *data;
    size_t len;
    size_t got = 0;
    char copy[8];

    (void)state;
    expect_line(wire, "+OK", 3);
    wire_mark(wire);
    while (got < sizeof(copy)) {
        size_t n;
        assert_int_equal(wire_peek(wire, &data, &len, &fault), 0);
        n = len < sizeof(copy) - got ? len : sizeof(copy) - got;
        memcpy(copy + got, data, n);
        wire_take(wire, n);
        got += n;
    }
    assert_memory_equal(copy, "\0\xFF\r\r\n.\r\n", 8);
    expect_line(wire, "+OK next", 8);
    assert_int_equal(wire_received(wire), 23);
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void the_last_complaint_is_quoted_when_the_server_closes(void **state)
{
    static const struct step steps[] = {{.send = "-ERR idle for too long\r\n"}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 5);

    (void)state;
    expect_line(wire, "-ERR idle for too long", 22);
    lose_line(wire, FAULT_RETRY, "having said: -ERR idle for too long");
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void octets_nobody_asked_for_are_seen(void **state)
{
    static const struct step steps[] = {
        {.expect = "A"}, {.send = "+OK\r\n", .delay_ms = 50}, {.expect = "B"}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 5);
    struct fault fault;

    (void)state;
    assert_int_equal(wire_early_octets(wire, &fault), 0);
    assert_int_equal(wire_command(wire, &fault, "A"), 0);
    assert_int_equal(wire_flush(wire, &fault), 0);
    (void)usleep(150000);
    assert_int_equal(wire_early_octets(wire, &fault), 1);
    expect_line(wire, "+OK", 3);
    assert_int_equal(wire_early_octets(wire, &fault), 0);
    assert_int_equal(wire_command(wire, &fault, "B"), 0);
    assert_int_equal(wire_flush(wire, &fault), 0);
    (void)server_join(&server);
    assert_int_equal(wire_early_octets(wire, &fault), -1);
    assert_int_equal(fault.class, FAULT_RETRY);
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_with_crlf_or_lf_and_may_hold_nul),
        cmocka_unit_test(a_line_that_is_too_long_is_cut),
        cmocka_unit_test(a_line_without_end_is_a_broken_protocol),
        cmocka_unit_test(a_line_must_be_complete_within_the_timeout),
        cmocka_unit_test(a_line_may_have_its_own_timeout),
        cmocka_unit_test(a_long_answer_must_bring_a_kilobyte_in_time),
        cmocka_unit_test(octets_are_handed_out_as_they_came),
        cmocka_unit_test(the_last_complaint_is_quoted_when_the_server_closes),
        cmocka_unit_test(octets_nobody_asked_for_are_seen),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
