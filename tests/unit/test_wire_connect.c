/* wire: connecting to each service, and the logins that are libcurl's. */
#include <stdlib.h>

#include "wire_opening.h"

static void what_libcurl_reads_is_handed_on(void **state)
{
    static const struct step steps[] = {GREETING, CAPA, BYE};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire_params params;
    struct wire *wire;

    (void)state;
    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    wire = must_open(&params);
    assert_string_equal(wire_early_lines(wire),
                        "+OK ready <1.2@pop>\r\n+OK\r\nUIDL\r\nSTLS\r\nSASL PLAIN CRAM-MD5\r\n.\r\n");
    assert_string_equal(wire_last_early_line(wire), ".");
    assert_string_equal(wire_peer_address(wire), "127.0.0.1");
    assert_false(wire_encrypted(wire));
    must_quit(wire);
    assert_string_equal(server_join(&server), "");
}

static void an_ipv6_literal_is_a_host(void **state)
{
    static const struct step steps[] = {GREETING, CAPA, BYE};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire_params params;
    struct wire *wire;

    (void)state;
    server_start(&server, "::1", &script);
    params = pop3_params(&server);
    params.host = "::1";
    wire = must_open(&params);
    assert_string_equal(wire_peer_address(wire), "::1");
    must_quit(wire);
    assert_string_equal(server_join(&server), "");
}

static void the_environment_diverts_nothing(void **state)
{
    static const struct step steps[] = {GREETING, CAPA, BYE};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire_params params;

    (void)state;
    (void)setenv("ALL_PROXY", "socks5h://127.0.0.1:1", 1);
    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.host = "127.0.0.1";
    must_quit(must_open(&params));
    assert_string_equal(server_join(&server), "");
    (void)unsetenv("ALL_PROXY");
}

static void a_proxy_that_is_asked_for_is_used_whatever_the_environment_says(void **state)
{
    static const struct step steps[] = {GREETING, CAPA, BYE};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire_params params;

    (void)state;
    (void)setenv("NO_PROXY", "*", 1);
    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.proxy = "socks5h://127.0.0.1:1";
    must_fail(&params, FAULT_RETRY, "connect", "cannot connect");
    (void)server_join(&server);
    (void)unsetenv("NO_PROXY");
}

static void no_server_is_a_passing_fault(void **state)
{
    struct server server = {.port = 1};
    struct wire_params params = pop3_params(&server);

    (void)state;
    must_fail(&params, FAULT_RETRY, "connect", "cannot connect to localhost port 1: Connection refused");
    params.host = "no such host";
    must_fail(&params, FAULT_CONFIG, "connect", "is no host name");
}

static void a_refused_greeting_is_told(void **state)
{
    static const struct step passing[] = {{.send = "-ERR [SYS/TEMP] later\r\n"}};
    static const struct step lasting[] = {{.send = "-ERR [SYS/PERM] call us\r\n"}};

    (void)state;
    script_fails(passing, 1, 5, FAULT_RETRY, "greeting",
                 "localhost refused the connection: -ERR [SYS/TEMP] later");
    assert_string_equal(refusal, "-ERR [SYS/TEMP] later");
    script_fails(lasting, 1, 5, FAULT_PROTOCOL, "greeting", "call us");
}

static void another_service_is_recognised(void **state)
{
    static const struct step smtp[] = {{.send = "220 smtp \x1B[2J ready\r\n"}};
    static const struct step noise[] = {{.send = "\0\xFF\x01 noise\n", .len = 11}};

    (void)state;
    script_fails(smtp, 1, 5, FAULT_PROTOCOL, "greeting", "does not speak POP3: 220 smtp ?[2J ready");
    script_fails(noise, 1, 5, FAULT_PROTOCOL, "greeting", "does not speak POP3");
    assert_string_equal(refusal, "");
}

static void a_server_that_closes_is_a_passing_fault(void **state)
{
    static const struct step steps[] = {GREETING, {.expect = "CAPA"}};
    struct script script = {.steps = steps};
    size_t count;

    (void)state;
    for (count = 0; count <= COUNT(steps); count++) {
        struct server server;
        struct wire_params params;
        script.count = count;
        server_start(&server, "127.0.0.1", &script);
        params = pop3_params(&server);
        must_fail(&params, FAULT_RETRY, count == 0 ? "greeting" : "CAPA", "localhost closed the connection");
        assert_string_equal(server_join(&server), "");
    }
}

static void neither_silence_nor_an_octet_a_time_holds_the_connection(void **state)
{
    static const struct step silent[] = {{.expect = "*"}};
    static const struct step drip[] = {{.send = "+OK this greeting takes its time\r\n", .drip_ms = 100}};
    static const struct step drip_capa[] = {
        GREETING, {.expect = "CAPA", .send = "+OK\r\nUIDL\r\nTOP\r\n.\r\n", .drip_ms = 100}};

    (void)state;
    script_fails(silent, 0, 1, FAULT_RETRY, "greeting", "localhost did not answer within 1 s (greeting)");
    script_fails(drip, 1, 1, FAULT_RETRY, "greeting", "did not answer");
    script_fails(drip_capa, 2, 1, FAULT_RETRY, "CAPA", "did not answer within 1 s (CAPA)");
}

static void endless_talk_before_the_dialogue_ends_in_a_fault(void **state)
{
    static const struct step no_end[] = {
        {.send = "+OK xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", .repeat = 4000000}};
    static const struct step capa[] = {
        GREETING, {.expect = "CAPA", .send = "+OK\r\n"}, {.send = "X-SOMETHING\r\n", .repeat = 4000000}};

    (void)state;
    script_fails(capa, 3, 2, FAULT_PROTOCOL, "CAPA", "localhost talks without end");
    script_fails(no_end, 1, 2, FAULT_PROTOCOL, "greeting", "localhost talks without end");
}

/* ---- SMTP and LMTP ---- */

static void smtp_is_greeted_with_the_name_given(void **state)
{
    static const struct step steps[] = {
        {.send = "220-one\r\n220 two\r\n"},
        {.expect = "EHLO mail.example.org", .send = "250-here\r\n250 SIZE 1\r\n"},
        BYE};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire_params params;
    struct wire *wire;

    (void)state;
    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.service = WIRE_SMTP;
    params.helo = "mail.example.org";
    wire = must_open(&params);
    assert_string_equal(wire_early_lines(wire), "220-one\r\n220 two\r\n250-here\r\n250 SIZE 1\r\n");
    assert_string_equal(wire_last_early_line(wire), "250 SIZE 1");
    must_quit(wire);
    assert_string_equal(server_join(&server), "");
}

static void an_smtp_server_without_ehlo_gets_helo(void **state)
{
    static const struct step steps[] = {{.send = "220 old\r\n"},
                                        {.expect = "EHLO me", .send = "500 what\r\n"},
                                        {.expect = "HELO me", .send = "250 here\r\n"},
                                        BYE};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct server server;
    struct wire_params params;
    struct wire *wire;

    (void)state;
    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.service = WIRE_SMTP;
    params.helo = "me";
    wire = must_open(&params);
    assert_string_equal(wire_early_lines(wire), "220 old\r\n500 what\r\n250 here\r\n");
    must_quit(wire);
    assert_string_equal(server_join(&server), "");
}

static void smtp_refusals_pass_by_their_first_digit(void **state)
{
    static const struct {
        struct step step;
        enum fault_class class;
    } rows[] = {
        {{.send = "421 busy\r\n"}, FAULT_RETRY},
        {{.send = "554 go away\r\n"}, FAULT_REFUSED},
        {{.send = "+OK pop\r\n"}, FAULT_PROTOCOL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        struct script script = {.steps = &rows[i].step, .count = 1, .hold = true};
        struct server server;
        struct wire_params params;
        server_start(&server, "127.0.0.1", &script);
        params = pop3_params(&server);
        params.service = WIRE_SMTP;
        params.helo = "me";
        must_fail(&params, rows[i].class, "greeting", "localhost");
        assert_string_equal(server_join(&server), "");
    }
}

static void lmtp_is_a_plain_stream_over_a_unix_socket(void **state)
{
    static const struct step steps[] = {{.send = "220 lmtp\r\n"}, BYE};
    struct script script = {.steps = steps, .count = COUNT(steps)};
    struct fault fault;
    struct server server;
    struct wire_params params;
    struct wire *wire;
    char *line;
    size_t len;

    (void)state;
    server_start_unix(&server, &script);
    params = pop3_params(&server);
    params.service = WIRE_LMTP;
    params.socket = server.path;
    wire = must_open(&params);
    assert_string_equal(wire_early_lines(wire), "");
    assert_string_equal(wire_peer_address(wire), "");
    assert_int_equal(wire_line(wire, &line, &len, NULL, 0, &fault), 0);
    assert_string_equal(line, "220 lmtp");
    must_quit(wire);
    assert_string_equal(server_join(&server), "");
    must_fail(&params, FAULT_RETRY, "connect", server.path);
}

/* ---- logins that are libcurl's ---- */

static void login_fails(const char *answer, enum fault_class class, const char *words)
{
    const struct step steps[] = {GREETING,
                                 CAPA,
                                 {.expect = "AUTH CRAM-MD5", .send = "+ PDEuMkBwb3A+\r\n"},
                                 {.expect = "*", .send = answer}};
    struct script script = {.steps = steps, .count = COUNT(steps), .hold = true};
    struct server server;
    struct wire_params params;

    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.login_options = "AUTH=CRAM-MD5";
    params.username = "thomas";
    params.password = "secret";
    must_fail(&params, class, "login", words);
    assert_string_equal(server_join(&server), "");
}

static void a_refused_login_quotes_the_server(void **state)
{
    (void)state;
    login_fails("-ERR [AUTH] wrong password\r\n", FAULT_LOGIN,
                "localhost refused the login: -ERR [AUTH] wrong password");
    assert_string_equal(refusal, "-ERR [AUTH] wrong password");
    login_fails("-ERR [IN-USE] somebody is there\r\n", FAULT_RETRY, "[IN-USE]");
    login_fails("-ERR no\r\n", FAULT_LOGIN, "-ERR no");
}

static void a_mechanism_that_is_not_offered_is_told(void **state)
{
    static const struct step steps[] = {GREETING, CAPA};
    struct script script = {.steps = steps, .count = COUNT(steps), .hold = true};
    struct server server;
    struct wire_params params;

    (void)state;
    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.login_options = "AUTH=XOAUTH2";
    params.username = "thomas";
    params.bearer = "token";
    must_fail(&params, FAULT_LOGIN, "login", "does not offer the login mechanism");
    assert_string_equal(server_join(&server), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_libcurl_reads_is_handed_on),
        cmocka_unit_test(an_ipv6_literal_is_a_host),
        cmocka_unit_test(the_environment_diverts_nothing),
        cmocka_unit_test(a_proxy_that_is_asked_for_is_used_whatever_the_environment_says),
        cmocka_unit_test(no_server_is_a_passing_fault),
        cmocka_unit_test(a_refused_greeting_is_told),
        cmocka_unit_test(another_service_is_recognised),
        cmocka_unit_test(a_server_that_closes_is_a_passing_fault),
        cmocka_unit_test(neither_silence_nor_an_octet_a_time_holds_the_connection),
        cmocka_unit_test(endless_talk_before_the_dialogue_ends_in_a_fault),
        cmocka_unit_test(smtp_is_greeted_with_the_name_given),
        cmocka_unit_test(an_smtp_server_without_ehlo_gets_helo),
        cmocka_unit_test(smtp_refusals_pass_by_their_first_digit),
        cmocka_unit_test(lmtp_is_a_plain_stream_over_a_unix_socket),
        cmocka_unit_test(a_refused_login_quotes_the_server),
        cmocka_unit_test(a_mechanism_that_is_not_offered_is_told),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
