/* pop3: login. */
#include "pop3_client.h"

struct login_case {
    const struct step *steps;
    size_t count;
    enum auth_mechanism auth;
    const char *password;
    SSL_CTX *tls; /* implicit TLS */
    const char *pin;
};

/* Open with the script; returns -1 with the fault, or 0 and the session closed again. */
static int log_in(const struct login_case *row, struct fault *fault)
{
    struct script script = {.steps = row->steps,
                            .count = row->count,
                            .hold = true,
                            .tls = row->tls,
                            .implicit = row->tls != NULL};
    struct server server;
    struct pop3_params params;
    struct pop3 *pop3;
    int result;

    server_start(&server, "127.0.0.1", &script);
    params = params_for(&server);
    params.auth = row->auth;
    params.wire.tls = row->tls != NULL ? TLS_IMPLICIT : TLS_NONE;
    params.wire.tls_fingerprint = row->pin;
    if (row->password != NULL)
        params.password = row->password;
    result = pop3_open(&pop3, &params, fault);
    pop3_close(pop3);
    assert_string_equal(server_join(&server), "");
    return result;
}

#define MUST_LOG_IN(array, ...)                                                           \
    do {                                                                                  \
        struct fault fault_ = {0};                                                        \
        struct login_case case_ = {.steps = (array), .count = COUNT(array), __VA_ARGS__}; \
        if (log_in(&case_, &fault_) < 0)                                                  \
            fail_msg("%s: %s", fault_.stage, fault_.text);                                \
        assert_false(login.refused);                                                      \
    } while (0)

#define MUST_NOT_LOG_IN(array, class_, words, ...)                                        \
    do {                                                                                  \
        struct fault fault_ = {0};                                                        \
        struct login_case case_ = {.steps = (array), .count = COUNT(array), __VA_ARGS__}; \
        assert_int_equal(log_in(&case_, &fault_), -1);                                    \
        if (strstr(fault_.text, words) == NULL)                                           \
            fail_msg("\"%s\" lacks \"%s\"", fault_.text, words);                          \
        assert_int_equal(fault_.class, class_);                                           \
        assert_null(strstr(fault_.text, "tanstaaf"));                                     \
    } while (0)

static void auto_takes_apop_in_clear_where_a_timestamp_is(void **state)
{
    static const struct step steps[] = {
        {.send = "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n"},
        CAPA_PLAIN,
        {.expect = "APOP mrose c4c9334bac560ecc979e58001b3e22fb", .send = "+OK maildrop has 1 message\r\n"}};

    (void)state;
    MUST_LOG_IN(steps, .auth = AUTH_AUTO);
}

static void a_refused_apop_is_not_tried_otherwise(void **state)
{
    static const struct step steps[] = {
        {.send = "+OK <1.2@pop>\r\n"}, CAPA_PLAIN, {.expect = "*", .send = "-ERR permission denied\r\n"}};

    (void)state;
    MUST_NOT_LOG_IN(steps, FAULT_LOGIN, "localhost refused the login: -ERR permission denied",
                    .auth = AUTH_AUTO);
    assert_true(login.refused);
    assert_int_equal(login.code, POP3_CODE_NONE);
    assert_string_equal(login.text, "-ERR permission denied");
}

static void apop_needs_a_timestamp(void **state)
{
    static const struct step steps[] = {GREETING, CAPA_PLAIN};

    (void)state;
    MUST_NOT_LOG_IN(steps, FAULT_LOGIN, "does not offer APOP", .auth = AUTH_APOP);
    assert_false(login.refused);
}

static void auto_takes_plain_in_one_flight_where_announced(void **state)
{
    static const struct step steps[] = {
        GREETING, CAPA_PLAIN, {.expect = "AUTH PLAIN AG1yb3NlAHRhbnN0YWFm", .send = "+OK\r\n"}};

    (void)state;
    MUST_LOG_IN(steps, .auth = AUTH_AUTO);
}

static void auto_takes_user_where_nothing_is_announced(void **state)
{
    static const struct step steps[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "USER mrose", .send = "+OK\r\n"},
                                        {.expect = "PASS tanstaaf", .send = "+OK\r\n"}};

    (void)state;
    MUST_LOG_IN(steps, .auth = AUTH_AUTO);
}

static void auto_over_tls_takes_plain_else_user(void **state)
{
    static const struct step plain[] = {{.send = "+OK <1.2@pop>\r\n"},
                                        CAPA_PLAIN,
                                        {.expect = "AUTH PLAIN AG1yb3NlAHRhbnN0YWFm", .send = "+OK\r\n"}};
    static const struct step user[] = {{.send = "+OK <1.2@pop>\r\n"},
                                       NO_CAPA,
                                       {.expect = "USER mrose", .send = "+OK\r\n"},
                                       {.expect = "PASS tanstaaf", .send = "+OK\r\n"}};
    struct identity identity;

    (void)state;
    identity_make(&identity, "localhost", 86400);
    MUST_LOG_IN(plain, .tls = identity.tls, .pin = identity.fingerprint);
    MUST_LOG_IN(user, .tls = identity.tls, .pin = identity.fingerprint);
    identity_free(&identity);
}

static void a_long_plain_response_waits_for_its_turn(void **state)
{
    char password[201];
    char response[300];
    struct step steps[] = {GREETING,
                           CAPA_PLAIN,
                           {.expect = "AUTH PLAIN", .send = "+ \r\n"},
                           {.expect = response, .send = "+OK\r\n"}};
    unsigned char clear[207] = "\0mrose";

    (void)state;
    memset(password, 'p', 200);
    password[200] = '\0';
    memset(clear + 7, 'p', 200);
    assert_true(EVP_EncodeBlock((unsigned char *)response, clear, sizeof(clear)) > 0);
    MUST_LOG_IN(steps, .auth = AUTH_PLAIN, .password = password);
}

static void a_server_that_ignores_the_initial_response_gets_it_again(void **state)
{
    static const struct step steps[] = {GREETING,
                                        CAPA_PLAIN,
                                        {.expect = "AUTH PLAIN AG1yb3NlAHRhbnN0YWFm", .send = "+\r\n"},
                                        {.expect = "AG1yb3NlAHRhbnN0YWFm", .send = "+OK\r\n"}};

    (void)state;
    MUST_LOG_IN(steps, .auth = AUTH_PLAIN);
}

static void a_refusal_says_how_sure_it_is(void **state)
{
    static const struct step sure[] = {
        GREETING, CAPA_PLAIN, {.expect = "*", .send = "-ERR [AUTH] wrong\r\n"}};
    static const struct step in_use[] = {GREETING,
                                         NO_CAPA,
                                         {.expect = "USER mrose", .send = "+OK\r\n"},
                                         {.expect = "*", .send = "-ERR [IN-USE] locked\r\n"}};
    static const struct step delay[] = {GREETING,
                                        {.expect = "CAPA", .send = "+OK\r\nLOGIN-DELAY 900\r\n.\r\n"},
                                        {.expect = "USER mrose", .send = "-ERR [LOGIN-DELAY] too soon\r\n"}};
    static const struct step garbage[] = {GREETING, NO_CAPA, {.expect = "USER mrose", .send = "what?\r\n"}};

    (void)state;
    MUST_NOT_LOG_IN(sure, FAULT_LOGIN, "localhost refused the login: -ERR [AUTH] wrong", .auth = AUTH_AUTO);
    assert_int_equal(login.code, POP3_CODE_AUTH);
    assert_true(login.refused);
    MUST_NOT_LOG_IN(in_use, FAULT_RETRY, "[IN-USE]", .auth = AUTH_AUTO);
    assert_int_equal(login.code, POP3_CODE_IN_USE);
    MUST_NOT_LOG_IN(delay, FAULT_RETRY, "[LOGIN-DELAY]", .auth = AUTH_AUTO);
    assert_int_equal(login.login_delay, 900);
    MUST_NOT_LOG_IN(garbage, FAULT_PROTOCOL, "neither +OK nor -ERR: what?", .auth = AUTH_AUTO);
    assert_false(login.refused);
}

static void libcurls_logins_tell_the_same(void **state)
{
    static const struct step good[] = {GREETING,
                                       CAPA_PLAIN,
                                       {.expect = "AUTH CRAM-MD5", .send = "+ PDEuMkBwb3A+\r\n"},
                                       {.expect = "*", .send = "+OK\r\n"}};
    static const struct step bad[] = {GREETING,
                                      CAPA_PLAIN,
                                      {.expect = "AUTH CRAM-MD5", .send = "+ PDEuMkBwb3A+\r\n"},
                                      {.expect = "*", .send = "-ERR [AUTH] wrong\r\n"}};
    static const struct step not_offered[] = {GREETING, CAPA_PLAIN};
    static const struct step greeting[] = {{.send = "-ERR [IN-USE] full\r\n"}};

    (void)state;
    MUST_LOG_IN(good, .auth = AUTH_CRAM_MD5);
    MUST_NOT_LOG_IN(bad, FAULT_LOGIN, "refused the login: -ERR [AUTH] wrong", .auth = AUTH_CRAM_MD5);
    assert_true(login.refused);
    assert_int_equal(login.code, POP3_CODE_AUTH);
    MUST_NOT_LOG_IN(not_offered, FAULT_LOGIN, "does not offer", .auth = AUTH_LOGIN);
    assert_false(login.refused);
    MUST_NOT_LOG_IN(greeting, FAULT_RETRY, "refused the connection", .auth = AUTH_CRAM_MD5);
    assert_false(login.refused);
    assert_int_equal(login.code, POP3_CODE_IN_USE);
}

static void an_answer_before_its_question_ends_the_session(void **state)
{
    static const struct step steps[] = {
        GREETING, NO_CAPA, {.expect = "USER mrose", .send = "+OK\r\n+OK come in\r\n"}};

    (void)state;
    MUST_NOT_LOG_IN(steps, FAULT_PROTOCOL, "localhost spoke before it was asked: +OK come in",
                    .auth = AUTH_USER);
}

static void a_line_end_in_a_password_never_becomes_a_command(void **state)
{
    static const struct step steps[] = {GREETING, NO_CAPA};

    (void)state;
    MUST_NOT_LOG_IN(steps, FAULT_LOGIN, "the password holds a line end", .auth = AUTH_USER,
                    .password = "a\r\nDELE 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_takes_apop_in_clear_where_a_timestamp_is),
        cmocka_unit_test(a_refused_apop_is_not_tried_otherwise),
        cmocka_unit_test(apop_needs_a_timestamp),
        cmocka_unit_test(auto_takes_plain_in_one_flight_where_announced),
        cmocka_unit_test(auto_takes_user_where_nothing_is_announced),
        cmocka_unit_test(auto_over_tls_takes_plain_else_user),
        cmocka_unit_test(a_long_plain_response_waits_for_its_turn),
        cmocka_unit_test(a_server_that_ignores_the_initial_response_gets_it_again),
        cmocka_unit_test(a_refusal_says_how_sure_it_is),
        cmocka_unit_test(libcurls_logins_tell_the_same),
        cmocka_unit_test(an_answer_before_its_question_ends_the_session),
        cmocka_unit_test(a_line_end_in_a_password_never_becomes_a_command),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
