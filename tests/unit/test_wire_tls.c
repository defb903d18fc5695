/* wire: certificates, and TLS that begins within the dialogue. */
#include "wire_opening.h"

/* POP3S with this certificate; NULL: it opens. */
static void tls_brings(const struct identity *identity, const char *ca_file, const char *pin,
                       const char *words)
{
    static const struct step steps[] = {GREETING, CAPA, BYE};
    struct script script = {.steps = steps, .count = COUNT(steps), .tls = identity->tls, .implicit = true};
    struct wire_certificate certificate = {0};
    struct server server;
    struct wire_params params;

    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.tls = TLS_IMPLICIT;
    params.tls_ca_file = ca_file;
    params.tls_fingerprint = pin;
    params.certificate = &certificate;
    if (words == NULL)
        must_quit(must_open(&params));
    else
        must_fail(&params, FAULT_PROTOCOL, "TLS", words);
    (void)server_join(&server);
    /* A TLS 1.3 server has ended its part of the handshake before the client checks; but nothing was said to
     * it. */
    assert_int_equal(server.lines, words == NULL ? 2 : 0);
    assert_true(certificate.seen);
    assert_string_equal(certificate.fingerprint, identity->fingerprint);
    assert_true(certificate.not_after > 0);
    assert_string_equal(certificate.tls_version, "TLSv1.3");
}

static void only_a_certificate_that_is_known_for_this_host_will_do(void **state)
{
    (void)state;
    tls_brings(&here, here.file, NULL, NULL);
    tls_brings(&here, NULL, NULL, "certificate of localhost: self-signed certificate");
    tls_brings(&here, elsewhere.file, NULL, "self-signed certificate");
    tls_brings(&elsewhere, elsewhere.file, NULL, "(CN=elsewhere.example) does not match the host name");
    tls_brings(&outdated, outdated.file, NULL, "has expired");
}

static void a_pin_stands_in_for_authority_and_name(void **state)
{
    char upper[65];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(upper); i++)
        upper[i] = elsewhere.fingerprint[i] >= 'a' ? (char)(elsewhere.fingerprint[i] - 32)
                                                   : elsewhere.fingerprint[i];
    tls_brings(&elsewhere, NULL, elsewhere.fingerprint, NULL);
    tls_brings(&elsewhere, NULL, upper, NULL);
    tls_brings(&here, here.file, elsewhere.fingerprint, "and not the pinned one");
}

static void a_server_without_tls_is_no_tls_server(void **state)
{
    static const struct step steps[] = {GREETING};
    struct script script = {.steps = steps, .count = COUNT(steps), .hold = true};
    struct server server;
    struct wire_params params;

    (void)state;
    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.tls = TLS_IMPLICIT;
    must_fail(&params, FAULT_PROTOCOL, "TLS", "TLS with localhost failed");
    assert_string_equal(server_join(&server), "");
}

static void starttls_fails(const struct step *steps, size_t count, enum fault_class class, const char *words)
{
    struct script script = {.steps = steps, .count = count, .tls = here.tls, .hold = true};
    struct server server;
    struct wire_params params;

    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.tls = TLS_STARTTLS;
    params.tls_ca_file = here.file;
    must_fail(&params, class, "TLS", words);
    assert_string_equal(server_join(&server), "");
}

static void stls_never_falls_back_to_clear_text(void **state)
{
    static const struct step stripped[] = {GREETING, {.expect = "CAPA", .send = "+OK\r\nUIDL\r\n.\r\n"}};
    static const struct step no_capa[] = {GREETING, {.expect = "CAPA", .send = "-ERR what\r\n"}};
    static const struct step no_stls[] = {GREETING, CAPA, {.expect = "STLS", .send = "-ERR not today\r\n"}};
    static const struct step injected[] = {
        GREETING, CAPA, {.expect = "STLS", .send = "+OK\r\n+OK injected\r\n"}};

    (void)state;
    starttls_fails(stripped, COUNT(stripped), FAULT_PROTOCOL, "localhost does not offer STLS");
    starttls_fails(no_capa, COUNT(no_capa), FAULT_PROTOCOL, "STLS");
    starttls_fails(no_stls, COUNT(no_stls), FAULT_PROTOCOL, "localhost refused STLS: -ERR not today");
    starttls_fails(injected, COUNT(injected), FAULT_PROTOCOL, "in clear behind its answer");
}

static void what_was_said_before_stls_is_forgotten(void **state)
{
    static const struct step steps[] = {GREETING,
                                        CAPA,
                                        {.expect = "STLS", .send = "+OK go\r\n", .start_tls = true},
                                        {.expect = "CAPA", .send = "+OK\r\nTOP\r\n.\r\n"},
                                        BYE};
    struct script script = {.steps = steps, .count = COUNT(steps), .tls = here.tls};
    struct server server;
    struct wire_params params;
    struct wire *wire;

    (void)state;
    server_start(&server, "127.0.0.1", &script);
    params = pop3_params(&server);
    params.tls = TLS_STARTTLS;
    params.tls_ca_file = here.file;
    wire = must_open(&params);
    assert_string_equal(wire_early_lines(wire), "+OK ready <1.2@pop>\r\n+OK\r\nTOP\r\n.\r\n");
    assert_true(wire_encrypted(wire));
    must_quit(wire);
    assert_string_equal(server_join(&server), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_certificate_that_is_known_for_this_host_will_do),
        cmocka_unit_test(a_pin_stands_in_for_authority_and_name),
        cmocka_unit_test(a_server_without_tls_is_no_tls_server),
        cmocka_unit_test(stls_never_falls_back_to_clear_text),
        cmocka_unit_test(what_was_said_before_stls_is_forgotten),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
