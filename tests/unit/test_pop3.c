/* pop3: commands in a window, and how a session is lost. */
#include "pop3_client.h"

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

static void a_noop_goes_ahead_of_what_waits_but_not_between_question_and_answer(void **state)
{
    static const struct step steps[] = {GREETING,
                                        NO_CAPA,
                                        {.expect = "NOOP", .send = "+OK\r\n"},
                                        {.expect = "DELE 1", .send = "+OK one\r\n"},
                                        {.expect = "DELE 2", .send = "+OK two\r\n"},
                                        {.expect = "NOOP", .send = "-ERR no such command\r\n"}};
    struct fixture fixture;
    struct fault fault;

    (void)state;
    begin(&fixture, steps, COUNT(steps), POP3_PIPELINING_AUTO);
    assert_int_equal(pop3_ask(fixture.pop3, POP3_DELE, 1, 0, &fault), 0);
    assert_int_equal(pop3_ask(fixture.pop3, POP3_DELE, 2, 0, &fault), 0);
    assert_int_equal(pop3_noop(fixture.pop3, &fault), 0);
    assert_int_equal(pop3_send(fixture.pop3, &fault), 0);
    assert_int_equal(pop3_noop(fixture.pop3, &fault), 0);
    next_reply(fixture.pop3, POP3_DELE, 1, "+OK one");
    next_reply(fixture.pop3, POP3_DELE, 2, "+OK two");
    assert_int_equal(pop3_noop(fixture.pop3, &fault), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_run_together_where_announced),
        cmocka_unit_test(and_one_by_one_elsewhere),
        cmocka_unit_test(the_window_may_grow_while_answers_come),
        cmocka_unit_test(a_lost_session_says_where_it_was),
        cmocka_unit_test(a_message_over_its_cap_is_the_messages_fault),
        cmocka_unit_test(an_answer_that_came_too_early_is_not_taken_for_the_next),
        cmocka_unit_test(a_noop_goes_ahead_of_what_waits_but_not_between_question_and_answer),
        cmocka_unit_test(a_farewell_is_quoted),
        cmocka_unit_test(misuse_is_an_internal_fault),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
