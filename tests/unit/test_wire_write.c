/* wire: what is written, both sides at once, the transcript, and a stop. */
#include <stdlib.h>
#include <sys/wait.h>

#include "base/stop.h"
#include "report/log.h"
#include "wire_client.h"

static void commands_wait_and_go_out_together(void **state)
{
    static const struct step steps[] = {
        {.expect = "NOOP"}, {.expect = "DELE 3"}, {.expect = "PASS geheim"}, {.send = "+OK\r\n"}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 5);
    struct fault fault;

    (void)state;
    assert_int_equal(wire_command(wire, &fault, "NOOP"), 0);
    assert_int_equal(wire_command(wire, &fault, "DELE %d", 3), 0);
    assert_int_equal(wire_secret_command(wire, "PASS ", "geheim", &fault), 0);
    (void)usleep(50000);
    assert_int_equal(server.lines, 0);
    expect_line(wire, "+OK", 3);
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void a_line_end_within_a_command_is_refused(void **state)
{
    static const struct step steps[] = {{.expect = "NOOP", .send = "+OK\r\n"}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 5);
    struct fault fault;

    (void)state;
    assert_int_equal(wire_command(wire, &fault, "USER %s", "me\r\nDELE 1"), -1);
    assert_int_equal(fault.class, FAULT_INTERNAL);
    assert_int_equal(wire_command(wire, &fault, "USER %s", "me\n"), -1);
    assert_int_equal(wire_secret_command(wire, "PASS ", "se\rcret", &fault), -1);
    assert_int_equal(wire_command(wire, &fault, "NOOP"), 0);
    expect_line(wire, "+OK", 3);
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void a_long_command_is_sent_whole(void **state)
{
    char address[700];
    char expect[720];
    struct step steps[] = {{.expect = expect, .send = "+OK\r\n"}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire;
    struct fault fault;

    (void)state;
    memset(address, 'a', sizeof(address) - 1);
    address[sizeof(address) - 1] = '\0';
    (void)snprintf(expect, sizeof(expect), "MAIL FROM:<%s>", address);
    wire = open_to(&server, &script, 5);
    assert_int_equal(wire_command(wire, &fault, "MAIL FROM:<%s>", address), 0);
    expect_line(wire, "+OK", 3);
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

/* The server does not read before it got rid of what it says, and neither side has much room. */
static void talk_at_the_same_time(struct wire *wire)
{
    const size_t octets = 1024 * 1024;
    struct fault fault;
    char *body = malloc(octets);
    int small = 4096;
    size_t len;
    char *line;

    assert_non_null(body);
    memset(body, 'y', octets);
    (void)setsockopt(wire_socket(wire), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    (void)setsockopt(wire_socket(wire), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    assert_int_equal(wire_command(wire, &fault, "abc"), 0);
    if (wire_write(wire, body, octets, &fault) < 0)
        fail_msg("%s", fault.text);
    assert_int_equal(wire_line(wire, &line, &len, NULL, 0, &fault), 0);
    expect_line(wire, "end", 3);
    free(body);
    wire_close(wire);
}

static void two_talkers_do_not_wait_for_each_other(void **state)
{
    static char block[65536];
    const struct step steps[] = {{.send = "+OK\r\n"},
                                 {.expect = "CAPA", .send = "+OK\r\n.\r\n"},
                                 {.expect = "abc", .send = block, .len = sizeof(block), .repeat = 2},
                                 {.send = "\r\nend\r\n"}};
    struct script script = {
        .steps = steps + 2, .count = 2, .small_buffer = 4096, .hold = true, .swallow = 1024 * 1024};
    struct wire_params params = {
        .tag = "test", .service = WIRE_POP3, .tls = TLS_IMPLICIT, .host = "127.0.0.1", .timeout = 5};
    struct identity identity;
    struct server server;
    struct fault fault;
    struct wire *wire;

    (void)state;
    memset(block, 'x', sizeof(block));
    talk_at_the_same_time(open_to(&server, &script, 5));
    assert_string_equal(server_join(&server), "");

    identity_make(&identity, "localhost", 86400);
    script.steps = steps;
    script.count = COUNT(steps);
    script.tls = identity.tls;
    script.implicit = true;
    server_start(&server, "127.0.0.1", &script);
    params.port = server.port;
    params.tls_fingerprint = identity.fingerprint;
    assert_int_equal(wire_open(&wire, &params, &fault), 0);
    talk_at_the_same_time(wire);
    assert_string_equal(server_join(&server), "");
    identity_free(&identity);
}

static void a_peer_that_takes_nothing_ends_in_a_fault(void **state)
{
    static char body[1024 * 1024];
    static const struct step steps[] = {{.delay_ms = 2500}};
    struct script script = {.steps = steps, .count = COUNT(steps), .small_buffer = 4096};
    struct server server;
    struct wire *wire = open_to(&server, &script, 1);
    struct fault fault = {0};
    int result = 0;
    int i;

    (void)state;
    for (i = 0; i < 20 && result == 0; i++)
        result = wire_write(wire, body, sizeof(body), &fault);
    assert_int_equal(result, -1);
    assert_int_equal(fault.class, FAULT_RETRY);
    assert_non_null(strstr(fault.text, "took nothing for 1 s"));
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void a_refusal_in_the_middle_of_a_body_can_be_read(void **state)
{
    static char body[1024 * 1024];
    static const struct step steps[] = {{.expect = "DATA", .send = "552 too large\r\n"}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire = open_to(&server, &script, 5);
    struct fault fault = {0};
    int result = 0;
    int i;

    (void)state;
    assert_int_equal(wire_command(wire, &fault, "DATA"), 0);
    for (i = 0; i < 100 && result == 0; i++) {
        result = wire_write(wire, body, sizeof(body), &fault);
        (void)usleep(1000);
    }
    assert_int_equal(result, -1);
    expect_line(wire, "552 too large", 13);
    lose_line(wire, FAULT_RETRY, "closed the connection");
    wire_close(wire);
    (void)server_join(&server);
}

static void small_and_large_writes_arrive_in_order(void **state)
{
    static char lines[50][1000];
    static char body[50 * 1001];
    struct step steps[53] = {{.expect = "HEAD"}, {.expect = "x"}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire *wire;
    struct fault fault;
    size_t len = 0;
    size_t i;

    (void)state;
    for (i = 0; i < 50; i++) {
        memset(lines[i], 'a' + (int)(i % 26), 998);
        (void)snprintf(lines[i], 5, "%04zu", i);
        lines[i][4] = ' ';
        memcpy(body + len, lines[i], 999);
        body[len + 999] = '\n';
        len += 1000;
        steps[i + 2] = (struct step){.expect = lines[i]};
        body[len - 2] = '\r';
    }
    steps[52] = (struct step){.expect = "TAIL", .send = "250 ok\r\n"};
    wire = open_to(&server, &script, 5);
    assert_int_equal(wire_command(wire, &fault, "HEAD"), 0);
    assert_int_equal(wire_write(wire, "x\r\n", 3, &fault), 0);
    assert_int_equal(wire_write(wire, body, 40000, &fault), 0);
    assert_int_equal(wire_write(wire, body + 40000, len - 40000, &fault), 0);
    assert_int_equal(wire_command(wire, &fault, "TAIL"), 0);
    expect_line(wire, "250 ok", 6);
    wire_close(wire);
    assert_string_equal(server_join(&server), "");
}

static void secrets_stay_out_of_the_transcript(void **state)
{
    static const struct step steps[] = {{.send = "+OK\r\n"},
                                        {.expect = "CAPA", .send = "+OK\r\nSASL PLAIN\r\n.\r\n"},
                                        {.expect = "AUTH PLAIN AHRob21hcwBnZWhlaW0=", .send = "+OK\r\n"},
                                        {.expect = "PASS geheim", .send = "+OK\r\n"}};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct wire_params params = {.tag = "test",
                                 .service = WIRE_POP3,
                                 .host = "127.0.0.1",
                                 .timeout = 5,
                                 .login_options = "AUTH=PLAIN",
                                 .username = "thomas",
                                 .password = "geheim"};
    char name[] = "/tmp/popferry-unit-XXXXXX";
    int file = mkstemp(name);
    int saved = dup(2);
    char text[4096] = "";
    struct server server;
    struct fault fault;
    struct wire *wire;

    (void)state;
    (void)dup2(file, 2);
    log_open(LOG_TEXT, LOG_LEVEL_DEBUG);
    server_start(&server, "127.0.0.1", &script);
    params.port = server.port;
    assert_int_equal(wire_open(&wire, &params, &fault), 0);
    assert_int_equal(wire_secret_command(wire, "PASS ", "geheim", &fault), 0);
    expect_line(wire, "+OK", 3);
    wire_close(wire);
    (void)server_join(&server);
    log_open(LOG_TEXT, LOG_LEVEL_ERROR);
    (void)dup2(saved, 2);
    (void)close(saved);
    assert_true(pread(file, text, sizeof(text) - 1, 0) > 0);
    (void)close(file);
    (void)unlink(name);
    assert_non_null(strstr(text, "> CAPA"));
    assert_non_null(strstr(text, "> AUTH PLAIN ***"));
    assert_non_null(strstr(text, "> PASS ***"));
    assert_null(strstr(text, "geheim"));
    assert_null(strstr(text, "AHRob21hcwBnZWhlaW0"));
}

/* In a process of its own, since a stop cannot be taken back. Returns what it found wrong. */
static int after_a_stop(struct wire *wire, unsigned port)
{
    struct wire_params params = {
        .tag = "test", .service = WIRE_POP3, .host = "127.0.0.1", .port = port, .timeout = 9999};
    struct fault fault = {0};
    struct wire *other;
    char *line;
    size_t len;

    stop_install();
    (void)raise(SIGTERM);
    if (wire_open(&other, &params, &fault) == 0 || fault.class != FAULT_RETRY ||
        strcmp(fault.text, "stopped by a signal") != 0)
        return 1;
    if (wire_line(wire, &line, &len, NULL, 0, &fault) < 0 || strcmp(line, "+OK") != 0)
        return 2;
    if (wire_line(wire, &line, &len, NULL, 0, &fault) == 0 || fault.class != FAULT_RETRY)
        return 3;
    return 0;
}

static void a_stop_leaves_five_seconds_for_what_is_in_flight(void **state)
{
    static const struct step steps[] = {{.send = "+OK\r\n", .delay_ms = 1000}};
    struct script script = {.steps = steps, .count = COUNT(steps), .hold = true};
    struct server server;
    struct server silent;
    struct wire *wire = open_to(&server, &script, 9999);
    int status = -1;
    pid_t child;

    (void)state;
    server_start(&silent, "127.0.0.1", &(struct script){.hold = true});
    child = fork();
    if (child == 0)
        _exit(after_a_stop(wire, silent.port));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    wire_close(wire);
    (void)server_join(&server);
    (void)server_join(&silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_wait_and_go_out_together),
        cmocka_unit_test(a_line_end_within_a_command_is_refused),
        cmocka_unit_test(a_long_command_is_sent_whole),
        cmocka_unit_test(two_talkers_do_not_wait_for_each_other),
        cmocka_unit_test(a_peer_that_takes_nothing_ends_in_a_fault),
        cmocka_unit_test(a_refusal_in_the_middle_of_a_body_can_be_read),
        cmocka_unit_test(small_and_large_writes_arrive_in_order),
        cmocka_unit_test(secrets_stay_out_of_the_transcript),
        cmocka_unit_test(a_stop_leaves_five_seconds_for_what_is_in_flight),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
