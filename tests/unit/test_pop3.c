/* pop3: login, listing, and commands in a window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "protocol/pop3.h"
#include "scripted_server.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GREETING {.send = "+OK ready\r\n"}
#define NO_CAPA {.expect = "CAPA", .send = "-ERR what\r\n"}
#define CAPA_PIPELINING {.expect = "CAPA", .send = "+OK\r\nUIDL\r\nPIPELINING\r\n.\r\n"}
#define CAPA_UIDL {.expect = "CAPA", .send = "+OK\r\nUIDL\r\n.\r\n"}
#define CAPA_PLAIN {.expect = "CAPA", .send = "+OK\r\nSASL CRAM-MD5 PLAIN\r\n.\r\n"}

static struct pop3_login login;

static struct pop3_params params_for(const struct server *server)
{
    return (struct pop3_params){.wire = {.tag = "test",
                                         .scope = FAULT_OF_MAILBOX,
                                         .service = WIRE_POP3,
                                         .host = "localhost",
                                         .port = server->port,
                                         .timeout = 5},
                                .auth = AUTH_AUTO,
                                .username = "mrose",
                                .password = "tanstaaf",
                                .login = &login};
}

/* ---- login ---- */

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

/* ---- a session that is logged in ---- */

struct fixture {
    struct server server;
    struct pop3 *pop3;
};

static void begin(struct fixture *fixture, const struct step *steps, size_t count,
                  enum pop3_pipelining pipelining)
{
    struct script script = {.steps = steps, .count = count, .hold = true};
    struct pop3_params params;
    struct fault fault;

    server_start(&fixture->server, "127.0.0.1", &script);
    params = params_for(&fixture->server);
    params.no_login = true;
    params.pipelining = pipelining;
    if (pop3_open(&fixture->pop3, &params, &fault) < 0)
        fail_msg("%s", fault.text);
}

static void end(struct fixture *fixture)
{
    pop3_close(fixture->pop3);
    assert_string_equal(server_join(&fixture->server), "");
}

/* ---- listing ---- */

static void list_ok(const struct step *steps, size_t count, enum pop3_pipelining pipelining,
                    struct pop3_listing *listing)
{
    struct fixture fixture;
    struct fault fault;

    begin(&fixture, steps, count, pipelining);
    if (pop3_list(fixture.pop3, listing, &fault) < 0)
        fail_msg("%s", fault.text);
    end(&fixture);
}

static void list_fails(const struct step *steps, size_t count, enum fault_class class, const char *words)
{
    struct pop3_listing listing;
    struct fixture fixture;
    struct fault fault;

    begin(&fixture, steps, count, POP3_PIPELINING_AUTO);
    assert_int_equal(pop3_list(fixture.pop3, &listing, &fault), -1);
    if (strstr(fault.text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", fault.text, words);
    assert_int_equal(fault.class, class);
    assert_null(listing.entries);
    end(&fixture);
}

static void expect_entry(const struct pop3_listing *listing, size_t i, unsigned number, int64_t octets,
                         const char *uid)
{
    const struct pop3_entry *entry = &listing->entries[i];

    assert_true(i < listing->count);
    assert_int_equal(entry->number, number);
    assert_int_equal(entry->has_octets, octets >= 0);
    assert_int_equal(entry->octets, octets >= 0 ? octets : 0);
    if (uid == NULL)
        assert_null(entry->uid);
    else
        assert_string_equal(entry->uid, uid);
}

static void a_listing_is_asked_for_in_one_batch(void **state)
{
    static const struct step steps[] = {
        GREETING,
        CAPA_PIPELINING,
        {.expect = "STAT"},
        {.expect = "UIDL"},
        {.expect = "LIST"},
        {.expect = "CAPA",
         .send = "+OK 2 300\r\n+OK\r\n1 aa\r\n2 bb\r\n.\r\n+OK\r\n1 100\r\n2 200\r\n.\r\n"
                 "+OK\r\nEXPIRE 0\r\n.\r\n"}};
    struct pop3_listing listing;
    struct fixture fixture;
    struct fault fault;

    (void)state;
    begin(&fixture, steps, COUNT(steps), POP3_PIPELINING_AUTO);
    assert_true(pop3_pipelining(fixture.pop3));
    assert_int_equal(pop3_list(fixture.pop3, &listing, &fault), 0);
    assert_int_equal(listing.count, 2);
    expect_entry(&listing, 0, 1, 100, "aa");
    expect_entry(&listing, 1, 2, 200, "bb");
    assert_int_equal(listing.stat_count, 2);
    assert_int_equal(listing.stat_octets, 300);
    assert_true(listing.has_uidl);
    assert_true(pop3_capabilities(fixture.pop3)->expire_given);
    assert_false(pop3_capabilities(fixture.pop3)->uidl);
    pop3_listing_free(&listing);
    end(&fixture);
}

static void or_one_question_at_a_time(void **state)
{
    static const struct step steps[] = {GREETING,
                                        CAPA_UIDL,
                                        {.expect = "STAT", .alone = true, .send = "+OK 1 100\r\n"},
                                        {.expect = "UIDL", .alone = true, .send = "+OK\r\n1 aa\r\n.\r\n"},
                                        {.expect = "LIST", .alone = true, .send = "+OK\r\n1 100\r\n.\r\n"},
                                        CAPA_UIDL};
    struct pop3_listing listing;

    (void)state;
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    assert_int_equal(listing.count, 1);
    expect_entry(&listing, 0, 1, 100, "aa");
    pop3_listing_free(&listing);
}

static void the_fetchrc_may_know_better_about_pipelining(void **state)
{
    static const struct step on[] = {GREETING,
                                     NO_CAPA,
                                     {.expect = "STAT"},
                                     {.expect = "UIDL"},
                                     {.expect = "LIST", .send = "+OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n"}};
    static const struct step off[] = {GREETING,
                                      CAPA_PIPELINING,
                                      {.expect = "STAT", .send = "+OK 0 0\r\n"},
                                      {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                      {.expect = "LIST", .send = "+OK\r\n.\r\n"},
                                      CAPA_PIPELINING};
    struct pop3_listing listing;

    (void)state;
    list_ok(on, COUNT(on), POP3_PIPELINING_ON, &listing);
    pop3_listing_free(&listing);
    list_ok(off, COUNT(off), POP3_PIPELINING_OFF, &listing);
    pop3_listing_free(&listing);
}

static void odd_listings_are_merged_safely(void **state)
{
    static const struct step steps[] = {
        GREETING,
        NO_CAPA,
        {.expect = "STAT", .send = "+OK 99 1\r\n"},
        {.expect = "UIDL",
         .send = "+OK\r\n9 nine\r\n1 one\r\n2 two\r\n2 deux\r\n3 three\r\n3 three\r\n4 a b\r\n"
                 "0 zero\r\n2147483648 far\r\nnonsense\r\n5 dots..\r\n.\r\n"},
        {.expect = "LIST",
         .send = "+OK\r\n5 500\r\n4 400\r\n1 100\r\n1 111\r\n2\r\n3 many\r\n0 1\r\n"
                 "4294967297 2\r\n\r\n-1 4\r\n..\r\n.\r\n"}};
    struct pop3_listing listing;

    (void)state;
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    assert_int_equal(listing.count, 6);
    expect_entry(&listing, 0, 1, 100, "one");
    expect_entry(&listing, 1, 2, -1, NULL);
    expect_entry(&listing, 2, 3, -1, "three");
    expect_entry(&listing, 3, 4, 400, NULL);
    expect_entry(&listing, 4, 5, 500, "dots..");
    expect_entry(&listing, 5, 9, -1, "nine");
    pop3_listing_free(&listing);
}

static void without_uidl_last_is_asked_for(void **state)
{
    static const struct step steps[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "STAT", .send = "+OK 2 3\r\n"},
                                        {.expect = "UIDL", .send = "-ERR what\r\n"},
                                        {.expect = "LIST", .send = "+OK\r\n1 1\r\n2 2\r\n.\r\n"},
                                        {.expect = "LAST", .send = "+OK 1 is it\r\n"}};
    struct pop3_listing listing;

    (void)state;
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    assert_false(listing.has_uidl);
    assert_int_equal(listing.last, 1);
    expect_entry(&listing, 1, 2, 2, NULL);
    pop3_listing_free(&listing);
}

static void an_empty_uidl_listing_is_an_answer(void **state)
{
    static const struct step steps[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                        {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                        {.expect = "LIST", .send = "+OK\r\n1 3\r\n.\r\n"}};
    struct pop3_listing listing;

    (void)state;
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    assert_true(listing.has_uidl);
    expect_entry(&listing, 0, 1, 3, NULL);
    pop3_listing_free(&listing);
}

static void a_passing_refusal_of_uidl_is_not_the_lack_of_it(void **state)
{
    static const struct step announced[] = {GREETING,
                                            CAPA_UIDL,
                                            {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                            {.expect = "UIDL", .send = "-ERR not now\r\n"}};
    static const struct step coded[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                        {.expect = "UIDL", .send = "-ERR [SYS/TEMP] disk\r\n"}};

    (void)state;
    list_fails(announced, COUNT(announced), FAULT_RETRY, "localhost refused UIDL: -ERR not now");
    list_fails(coded, COUNT(coded), FAULT_RETRY, "[SYS/TEMP]");
}

static void a_refused_list_is_a_fault_but_for_an_empty_mailbox(void **state)
{
    static const struct step full[] = {GREETING,
                                       NO_CAPA,
                                       {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                       {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                       {.expect = "LIST", .send = "-ERR no\r\n"}};
    static const struct step unknown[] = {GREETING,
                                          NO_CAPA,
                                          {.expect = "STAT", .send = "-ERR no\r\n"},
                                          {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                          {.expect = "LIST", .send = "-ERR no\r\n"}};
    static const struct step empty[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "STAT", .send = "+OK 0 0\r\n"},
                                        {.expect = "UIDL", .send = "-ERR [SYS/TEMP] none\r\n"},
                                        {.expect = "LIST", .send = "-ERR no messages\r\n"}};
    struct pop3_listing listing;

    (void)state;
    list_fails(full, COUNT(full), FAULT_RETRY, "localhost refused LIST: -ERR no");
    list_fails(unknown, COUNT(unknown), FAULT_RETRY, "localhost refused LIST: -ERR no");
    list_ok(empty, COUNT(empty), POP3_PIPELINING_AUTO, &listing);
    assert_int_equal(listing.count, 0);
    pop3_listing_free(&listing);
}

static void a_line_of_a_megabyte_is_passed_over(void **state)
{
    static char line[1024 * 1024];
    const struct step steps[] = {GREETING,
                                 NO_CAPA,
                                 {.expect = "STAT", .send = "+OK 2 3\r\n"},
                                 {.expect = "UIDL", .send = "+OK\r\n1 "},
                                 {.send = line, .len = sizeof(line)},
                                 {.send = "\r\n2 two\r\n.\r\n"},
                                 {.expect = "LIST", .send = "+OK\r\n1 3\r\n2 3\r\n.\r\n"}};
    struct pop3_listing listing;

    (void)state;
    memset(line, 'u', sizeof(line));
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    expect_entry(&listing, 0, 1, 3, NULL);
    expect_entry(&listing, 1, 2, 3, "two");
    pop3_listing_free(&listing);
}

/* count lines "N NN..." (LIST) or "N uidN" (UIDL), the numbers falling. */
static char *many_lines(unsigned count, const char *word)
{
    char *text = malloc((size_t)count * 32 + 16);
    size_t len = 0;
    unsigned i;

    assert_non_null(text);
    len += (size_t)sprintf(text, "+OK\r\n");
    for (i = count; i > 0; i--)
        len += (size_t)sprintf(text + len, "%u %s%u\r\n", i, word, i);
    (void)sprintf(text + len, ".\r\n");
    return text;
}

static void two_hundred_thousand_messages_are_listed_quickly(void **state)
{
    char *uidl = many_lines(200000, "uid");
    char *list = many_lines(200000, "1");
    const struct step steps[] = {GREETING,
                                 NO_CAPA,
                                 {.expect = "STAT", .send = "+OK 200000 3\r\n"},
                                 {.expect = "UIDL", .send = uidl},
                                 {.expect = "LIST", .send = list}};
    struct pop3_listing listing;
    int64_t start = clock_ms();

    (void)state;
    list_ok(steps, COUNT(steps), POP3_PIPELINING_AUTO, &listing);
    assert_true(clock_ms() - start < 3000);
    assert_int_equal(listing.count, 200000);
    expect_entry(&listing, 0, 1, 11, "uid1");
    expect_entry(&listing, 199999, 200000, 1200000, "uid200000");
    pop3_listing_free(&listing);
    free(uidl);
    free(list);
}

static void more_than_a_million_messages_are_not_believed(void **state)
{
    char *list = many_lines(1000001, "1");
    const struct step steps[] = {GREETING,
                                 NO_CAPA,
                                 {.expect = "STAT", .send = "+OK 1 3\r\n"},
                                 {.expect = "UIDL", .send = "+OK\r\n.\r\n"},
                                 {.expect = "LIST", .send = list}};

    (void)state;
    list_fails(steps, COUNT(steps), FAULT_PROTOCOL, "LIST with more than can be true");
    free(list);
}

/* ---- the window ---- */

static void next_reply(struct pop3 *pop3, enum pop3_verb verb, unsigned number, const char *text)
{
    struct pop3_reply reply;
    struct fault fault;

    if (pop3_reply(pop3, &reply, &fault) < 0)
        fail_msg("%s", fault.text);
    assert_int_equal(reply.verb, verb);
    assert_int_equal(reply.number, number);
    assert_string_equal(reply.text, text);
    assert_int_equal(reply.ok, text[0] == '+');
}

static void next_body(struct pop3 *pop3, const char *expect)
{
    struct message *message = message_new(0, 4096, 1 << 20);
    struct fault fault;
    char text[4096];
    long len;

    assert_non_null(message);
    if (pop3_body(pop3, message, &fault) < 0)
        fail_msg("%s", fault.text);
    len = message_read(message, 0, text, sizeof(text), &fault);
    assert_int_equal(len, (long)strlen(expect));
    assert_memory_equal(text, expect, strlen(expect));
    message_free(message);
}

/* The same questions and answers, whatever the server can do. */
static void retrieve_and_delete(struct pop3 *pop3)
{
    struct fault fault;

    assert_int_equal(pop3_ask(pop3, POP3_RETR, 1, 0, &fault), 0);
    assert_int_equal(pop3_ask(pop3, POP3_RETR, 2, 0, &fault), 0);
    assert_int_equal(pop3_ask(pop3, POP3_TOP, 3, 5, &fault), 0);
    assert_int_equal(pop3_ask(pop3, POP3_DELE, 1, 0, &fault), 0);
    assert_int_equal(pop3_ask(pop3, POP3_QUIT, 0, 0, &fault), 0);
    assert_int_equal(pop3_owed(pop3), 5);
    assert_int_equal(pop3_send(pop3, &fault), 0);
    next_reply(pop3, POP3_RETR, 1, "+OK 10 octets");
    assert_int_equal(pop3_owed(pop3), 4);
    assert_int_equal(pop3_send(pop3, &fault), 0);
    next_body(pop3, "S: a\r\n\r\n..one\r\n");
    next_reply(pop3, POP3_RETR, 2, "-ERR no such message");
    next_reply(pop3, POP3_TOP, 3, "+OK");
    assert_int_equal(pop3_body(pop3, NULL, &fault), 0);
    next_reply(pop3, POP3_DELE, 1, "+OK deleted");
    next_reply(pop3, POP3_QUIT, 0, "-ERR not all deleted");
    assert_int_equal(pop3_owed(pop3), 0);
}

static void commands_run_together_where_announced(void **state)
{
    static const struct step steps[] = {
        GREETING,
        CAPA_PIPELINING,
        {.expect = "RETR 1"},
        {.expect = "RETR 2"},
        {.expect = "TOP 3 5"},
        {.expect = "DELE 1"},
        {.expect = "QUIT",
         .send = "+OK 10 octets\r\nS: a\r\n\r\n..one\r\n.\r\n-ERR no such message\r\n"
                 "+OK\r\nS: b\n.\n\r\n.\r\n+OK deleted\r\n-ERR not all deleted\r\n"}};
    struct fixture fixture;

    (void)state;
    begin(&fixture, steps, COUNT(steps), POP3_PIPELINING_AUTO);
    retrieve_and_delete(fixture.pop3);
    end(&fixture);
}

static void and_one_by_one_elsewhere(void **state)
{
    static const struct step steps[] = {
        GREETING,
        CAPA_UIDL,
        {.expect = "RETR 1", .alone = true, .send = "+OK 10 octets\r\n"},
        {.alone = true, .send = "S: a\r\n\r\n..one\r\n.\r\n", .drip_ms = 1},
        {.expect = "RETR 2", .alone = true, .send = "-ERR no such message\r\n"},
        {.expect = "TOP 3 5", .alone = true, .send = "+OK\r\nS: b\n.\n\r\n.\r\n"},
        {.expect = "DELE 1", .alone = true, .send = "+OK deleted\r\n"},
        {.expect = "QUIT", .send = "-ERR not all deleted\r\n"}};
    struct fixture fixture;

    (void)state;
    begin(&fixture, steps, COUNT(steps), POP3_PIPELINING_AUTO);
    retrieve_and_delete(fixture.pop3);
    end(&fixture);
}

static void the_window_may_grow_while_answers_come(void **state)
{
    enum { MESSAGES = 500, AHEAD = 100 };
    static struct step steps[MESSAGES + 2] = {GREETING, CAPA_PIPELINING};
    static char expect[MESSAGES][16];
    struct fixture fixture;
    struct fault fault;
    unsigned asked = 0;
    unsigned i;

    (void)state;
    for (i = 0; i < MESSAGES; i++) {
        (void)snprintf(expect[i], sizeof(expect[i]), "RETR %u", i + 1);
        steps[i + 2] = (struct step){.expect = expect[i], .send = "+OK\r\nx\r\n.\r\n"};
    }
    begin(&fixture, steps, COUNT(steps), POP3_PIPELINING_AUTO);
    for (i = 0; i < MESSAGES; i++) {
        while (asked < MESSAGES && asked < i + AHEAD)
            assert_int_equal(pop3_ask(fixture.pop3, POP3_RETR, ++asked, 0, &fault), 0);
        assert_int_equal(pop3_send(fixture.pop3, &fault), 0);
        next_reply(fixture.pop3, POP3_RETR, i + 1, "+OK");
        next_body(fixture.pop3, "x\r\n");
    }
    end(&fixture);
}

/* Ask for message 1 and fail to get it. */
static void retrieval_fails(const struct step *steps, size_t count, enum fault_scope scope,
                            enum fault_class class, const char *words)
{
    struct script script = {.steps = steps, .count = count};
    struct message *message = message_new(0, 4096, 1000);
    struct pop3_reply reply;
    struct server server;
    struct pop3_params params;
    struct fault fault = {0};
    struct pop3 *pop3;

    server_start(&server, "127.0.0.1", &script);
    params = params_for(&server);
    params.no_login = true;
    assert_int_equal(pop3_open(&pop3, &params, &fault), 0);
    assert_int_equal(pop3_ask(pop3, POP3_RETR, 1, 0, &fault), 0);
    assert_int_equal(pop3_reply(pop3, &reply, &fault) < 0 ? -1 : pop3_body(pop3, message, &fault), -1);
    if (words != NULL && strstr(fault.text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", fault.text, words);
    assert_int_equal(fault.class, class);
    assert_int_equal(fault.scope, scope);
    message_free(message);
    pop3_close(pop3);
    assert_string_equal(server_join(&server), "");
}

static void a_lost_session_says_where_it_was(void **state)
{
    static const struct step garbage[] = {GREETING, NO_CAPA, {.expect = "RETR 1", .send = "Subject: x\r\n"}};
    static const struct step closed[] = {GREETING, NO_CAPA, {.expect = "RETR 1"}};
    static const struct step cut_off[] = {
        GREETING, NO_CAPA, {.expect = "RETR 1", .send = "+OK\r\nS: x\r\n.\n.\r"}};

    (void)state;
    retrieval_fails(garbage, COUNT(garbage), FAULT_OF_MAILBOX, FAULT_PROTOCOL,
                    "localhost answered RETR with neither +OK nor -ERR: Subject: x");
    retrieval_fails(closed, COUNT(closed), FAULT_OF_MAILBOX, FAULT_RETRY,
                    "localhost closed the connection (while waiting for the reply to RETR 1)");
    retrieval_fails(cut_off, COUNT(cut_off), FAULT_OF_MAILBOX, FAULT_RETRY,
                    "localhost closed the connection");
}

static void a_message_over_its_cap_is_the_messages_fault(void **state)
{
    static char body[2000];
    const struct step steps[] = {GREETING,
                                 NO_CAPA,
                                 {.expect = "RETR 1", .send = "+OK\r\n"},
                                 {.send = body, .len = sizeof(body)},
                                 {.send = "\r\n.\r\n"}};
    struct fault fault = {0};

    (void)state;
    (void)fault;
    memset(body, 'x', sizeof(body));
    retrieval_fails(steps, COUNT(steps), FAULT_OF_MESSAGE, FAULT_PROTOCOL, NULL);
}

static void an_answer_that_came_too_early_is_not_taken_for_the_next(void **state)
{
    static const struct step steps[] = {
        GREETING, NO_CAPA, {.expect = "NOOP", .send = "+OK\r\n+OK extra\r\n"}};
    struct fixture fixture;
    struct pop3_reply reply;
    struct fault fault;

    (void)state;
    begin(&fixture, steps, COUNT(steps), POP3_PIPELINING_AUTO);
    assert_int_equal(pop3_ask(fixture.pop3, POP3_NOOP, 0, 0, &fault), 0);
    next_reply(fixture.pop3, POP3_NOOP, 0, "+OK");
    assert_int_equal(pop3_ask(fixture.pop3, POP3_DELE, 1, 0, &fault), 0);
    assert_int_equal(pop3_reply(fixture.pop3, &reply, &fault), -1);
    assert_int_equal(fault.class, FAULT_PROTOCOL);
    end(&fixture);
}

static void a_farewell_is_quoted(void **state)
{
    static const struct step steps[] = {
        GREETING, NO_CAPA, {.expect = "NOOP", .send = "+OK\r\n-ERR idle for too long\r\n"}};
    struct fixture fixture;
    struct fault fault;

    (void)state;
    begin(&fixture, steps, COUNT(steps), POP3_PIPELINING_AUTO);
    assert_int_equal(pop3_ask(fixture.pop3, POP3_NOOP, 0, 0, &fault), 0);
    next_reply(fixture.pop3, POP3_NOOP, 0, "+OK");
    assert_int_equal(pop3_ask(fixture.pop3, POP3_DELE, 1, 0, &fault), 0);
    assert_int_equal(pop3_send(fixture.pop3, &fault), -1);
    assert_int_equal(fault.class, FAULT_RETRY);
    assert_non_null(strstr(fault.text, "localhost ended the session: -ERR idle for too long"));
    end(&fixture);
}

static void misuse_is_an_internal_fault(void **state)
{
    static const struct step steps[] = {GREETING, NO_CAPA};
    struct pop3_listing listing;
    struct fixture fixture;
    struct pop3_reply reply;
    struct fault fault;

    (void)state;
    begin(&fixture, steps, COUNT(steps), POP3_PIPELINING_AUTO);
    assert_int_equal(pop3_reply(fixture.pop3, &reply, &fault), -1);
    assert_int_equal(fault.class, FAULT_INTERNAL);
    assert_int_equal(pop3_body(fixture.pop3, NULL, &fault), -1);
    assert_int_equal(fault.class, FAULT_INTERNAL);
    assert_int_equal(pop3_ask(fixture.pop3, POP3_NOOP, 0, 0, &fault), 0);
    assert_int_equal(pop3_list(fixture.pop3, &listing, &fault), -1);
    assert_int_equal(fault.class, FAULT_INTERNAL);
    end(&fixture);
}

static int set_up(void **state)
{
    struct fault fault;

    (void)state;
    return wire_global_init(&fault);
}

static int tear_down(void **state)
{
    (void)state;
    wire_global_cleanup();
    return 0;
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
        cmocka_unit_test(a_listing_is_asked_for_in_one_batch),
        cmocka_unit_test(or_one_question_at_a_time),
        cmocka_unit_test(the_fetchrc_may_know_better_about_pipelining),
        cmocka_unit_test(odd_listings_are_merged_safely),
        cmocka_unit_test(without_uidl_last_is_asked_for),
        cmocka_unit_test(an_empty_uidl_listing_is_an_answer),
        cmocka_unit_test(a_passing_refusal_of_uidl_is_not_the_lack_of_it),
        cmocka_unit_test(a_refused_list_is_a_fault_but_for_an_empty_mailbox),
        cmocka_unit_test(a_line_of_a_megabyte_is_passed_over),
        cmocka_unit_test(two_hundred_thousand_messages_are_listed_quickly),
        cmocka_unit_test(more_than_a_million_messages_are_not_believed),
        cmocka_unit_test(commands_run_together_where_announced),
        cmocka_unit_test(and_one_by_one_elsewhere),
        cmocka_unit_test(the_window_may_grow_while_answers_come),
        cmocka_unit_test(a_lost_session_says_where_it_was),
        cmocka_unit_test(a_message_over_its_cap_is_the_messages_fault),
        cmocka_unit_test(an_answer_that_came_too_early_is_not_taken_for_the_next),
        cmocka_unit_test(a_farewell_is_quoted),
        cmocka_unit_test(misuse_is_an_internal_fault),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
