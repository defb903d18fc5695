/* Sessions: greeting, EHLO, login, single commands, XCLIENT, QUIT. Transactions: test_smtp_transaction.c. */
#include <signal.h>

#include "smtp_client.h"

#define X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X256 X32 X32 X32 X32 X32 X32 X32 X32
#define KIB X256 X256 X256 X256
#define NINE(step) step, step, step, step, step, step, step, step, step

static void the_extensions_of_ehlo_are_learned(void **state)
{
    PLAY(p, "S: 220-hello", "S: 220 test", "C: EHLO me", "S: 250-test PIPELINING", "S: 250-SIZE 1000",
         "S: 250-DSN",
         "S: 250 8BITMIME", "C: QUIT", "S: 221 bye", "close");

    (void)state;
    play_open(&p);
    assert_true(smtp_extensions(p.smtp)->esmtp);
    assert_false(smtp_extensions(p.smtp)->pipelining); /* the first line is the server's name */
    assert_true(smtp_extensions(p.smtp)->eightbitmime);
    assert_true(smtp_extensions(p.smtp)->dsn);
    assert_int_equal(smtp_extensions(p.smtp)->size_limit, 1000);
    smtp_quit(p.smtp);
    play_end(&p);
}

static void a_server_that_refuses_ehlo_gets_helo_and_has_no_extensions(void **state)
{
    PLAY(p, "S: 220 test", "C: EHLO me", "S: 502 what", "C: HELO me", "S: 250-test", "S: 250 PIPELINING",
         "eof");

    (void)state;
    play_open(&p);
    assert_false(smtp_extensions(p.smtp)->esmtp);
    assert_false(smtp_extensions(p.smtp)->pipelining);
    play_end(&p);
}

/* Opening fails with that class, and a sentence that quotes `words`. */
static void refused(struct play *play, enum fault_class class, const char *words)
{
    assert_int_equal(smtp_open(&play->smtp, &play->params, &play->fault), -1);
    assert_null(play->smtp);
    assert_int_equal(play->fault.class, class);
    assert_int_equal(play->fault.scope, FAULT_OF_DESTINATION);
    if (strstr(play->fault.text, words) == NULL)
        fail_msg("\"%s\" does not quote \"%s\"", play->fault.text, words);
    play_end(play);
}

static void greetings_and_ehlo_that_refuse_are_told_apart(void **state)
{
    PLAY(a, "S: 554 no service for you", "close");
    PLAY(b, "S: 421 come back later", "close");
    PLAY(c, "S: SSH-2.0-OpenSSH_9", "close");
    PLAY(d, "S: 220 test", "C: EHLO me", "S: 550 not you", "C: HELO me", "S: 550 I said no", "close");

    (void)state;
    refused(&a, FAULT_REFUSED, "554 no service for you");
    refused(&b, FAULT_RETRY, "421 come back later");
    refused(&c, FAULT_PROTOCOL, "SSH-2.0");
    refused(&d, FAULT_REFUSED, "550 I said no");
}

static void a_login_that_the_server_accepts_opens_the_session(void **state)
{
    PLAY(p, GREET("S: 250 AUTH LOGIN PLAIN"), "C: AUTH PLAIN AHRvbQBzZWNyZXQ=", "S: 235 welcome", "eof");

    (void)state;
    p.params.username = "tom";
    p.params.password = "secret";
    play_open(&p);
    play_end(&p);
}

static void a_server_that_offers_no_login_is_not_used_without_one(void **state)
{
    PLAY(p, GREET(PIPELINING), "eof");

    (void)state;
    p.params.username = "tom";
    p.params.password = "secret";
    refused(&p, FAULT_LOGIN, "offers no AUTH");
}

static void refused_logins_are_told_from_passing_ones(void **state)
{
    PLAY(a, GREET("S: 250 AUTH PLAIN"), "C: AUTH PLAIN AHRvbQBzZWNyZXQ=", "S: 535 5.7.8 wrong", "close");
    PLAY(b, GREET("S: 250 AUTH PLAIN"), "C: AUTH PLAIN AHRvbQBzZWNyZXQ=", "S: 454 4.7.0 later", "close");

    (void)state;
    a.params.username = b.params.username = "tom";
    a.params.password = b.params.password = "secret";
    refused(&a, FAULT_LOGIN, "535 5.7.8 wrong");
    refused(&b, FAULT_RETRY, "454 4.7.0 later");
}

static void tokens_are_sent_as_bearers(void **state)
{
    PLAY(p, GREET("S: 250 AUTH XOAUTH2"), "c: AUTH XOAUTH2 ", "text 54", "S: 235 welcome", "eof");

    (void)state;
    p.params.auth = AUTH_XOAUTH2;
    p.params.username = "tom";
    p.params.password = "the-token-of-tom";
    play_open(&p);
    play_end(&p);
}

static void lmtp_is_greeted_with_lhlo(void **state)
{
    PLAY(p, "S: 220 test LMTP", "C: LHLO me", "S: 250-test", "S: 250-PIPELINING", "S: 250 8BITMIME",
         "C: QUIT",
         "S: 221 bye", "close");

    (void)state;
    p.params.wire.service = WIRE_LMTP;
    play_open(&p);
    assert_true(smtp_extensions(p.smtp)->pipelining);
    assert_true(smtp_extensions(p.smtp)->eightbitmime);
    smtp_quit(p.smtp);
    play_end(&p);
}

static void lmtp_servers_that_refuse_are_told_apart(void **state)
{
    PLAY(a, "S: 554 no", "close");
    PLAY(b, "S: 451 not now", "close");
    PLAY(c, "S: 220 test", "C: LHLO me", "S: 500 what", "eof");
    PLAY(d, "S: +OK pop3", "close");
    PLAY(e, "S: 250 odd", "close");
    struct play *plays[] = {&a, &b, &c, &d, &e};
    size_t i;

    (void)state;
    for (i = 0; i < 5; i++)
        plays[i]->params.wire.service = WIRE_LMTP;
    refused(&a, FAULT_REFUSED, "554 no");
    refused(&b, FAULT_RETRY, "451 not now");
    refused(&c, FAULT_REFUSED, "500 what");
    refused(&d, FAULT_PROTOCOL, "+OK pop3");
    refused(&e, FAULT_PROTOCOL, "250 odd");
}

static void single_commands_tell_their_reply(void **state)
{
    PLAY(p, GREET(PLAIN), "C: NOOP", "S: 250 fine", "C: VRFY thomas", "S: 252-perhaps", "S: 252 he is",
         "C: EXPN all",
         "S: 502 5.5.1 never", "eof");
    struct smtp_reply reply;

    (void)state;
    play_open(&p);
    assert_int_equal(smtp_command(p.smtp, &reply, &p.fault, "NOOP"), 0);
    assert_int_equal(reply.code, 250);
    assert_int_equal(smtp_command(p.smtp, &reply, &p.fault, "VRFY %s", "thomas"), 0);
    assert_string_equal(reply.text, "252 perhaps he is");
    assert_int_equal(smtp_command(p.smtp, &reply, &p.fault, "EXPN all"), 0);
    assert_string_equal(reply.enhanced, "5.5.1");
    play_end(&p);
}

static void a_command_is_one_line(void **state)
{
    PLAY(p, GREET(PLAIN), "eof");
    struct smtp_reply reply;

    (void)state;
    play_open(&p);
    assert_int_equal(smtp_command(p.smtp, &reply, &p.fault, "NOOP\r\nMAIL FROM:<a>"), -1);
    assert_int_equal(p.fault.class, FAULT_INTERNAL);
    play_end(&p);
}

/* NOOP fails with that class, and the fault quotes `words`. */
static void command_fails(struct play *play, enum fault_class class, const char *words)
{
    struct smtp_reply reply;

    play_open(play);
    (void)usleep(50 * 1000);
    assert_int_equal(smtp_command(play->smtp, &reply, &play->fault, "NOOP"), -1);
    assert_int_equal(play->fault.class, class);
    assert_string_equal(play->fault.stage, "NOOP");
    if (strstr(play->fault.text, words) == NULL)
        fail_msg("\"%s\" does not quote \"%s\"", play->fault.text, words);
    play_end(play);
}

static void replies_that_are_none_end_the_session(void **state)
{
    PLAY(nonsense, GREET(PLAIN), "C: NOOP", "S: what?", "eof");
    PLAY(differs, GREET(PLAIN), "C: NOOP", "S: 250-yes", "S: 550 no", "eof");
    PLAY(many, GREET(PLAIN), "C: NOOP", "repeat 300 250-and", "S: 250 end", "eof");
    PLAY(endless, GREET(PLAIN), "C: NOOP", "repeat 100000 250-and", "eof");
    PLAY(long_line, GREET(PLAIN), "C: NOOP", "s: 250 ", NINE("s: " KIB), "S: ", "eof");
    PLAY(large, GREET(PLAIN), "C: NOOP", "repeat 100 250-" KIB, "eof");

    (void)state;
    command_fails(&nonsense, FAULT_PROTOCOL, "what?");
    command_fails(&differs, FAULT_PROTOCOL, "550 no");
    command_fails(&many, FAULT_PROTOCOL, "over-long");
    command_fails(&endless, FAULT_PROTOCOL, "over-long");
    command_fails(&long_line, FAULT_PROTOCOL, "over-long");
    command_fails(&large, FAULT_PROTOCOL, "over-long");
}

static void a_reply_before_its_question_ends_the_session(void **state)
{
    PLAY(early, GREET(PLAIN), "wait 20", "S: 250 I know what you want", "eof");
    PLAY(closing, GREET(PLAIN), "wait 20", "S: 421 4.4.2 idle for too long", "close");
    PLAY(gone, GREET(PLAIN), "close");

    (void)state;
    command_fails(&early, FAULT_PROTOCOL, "250 I know what you want");
    command_fails(&closing, FAULT_RETRY, "421 4.4.2 idle for too long");
    command_fails(&gone, FAULT_RETRY, "closed");
}

static void a_reply_must_be_whole_in_time(void **state)
{
    PLAY(silent, GREET(PLAIN), "C: NOOP", "eof");
    PLAY(slow, GREET(PLAIN), "C: NOOP", "S: 250-a", "wait 700", "S: 250-b", "wait 700",
         "S: 250-c", "wait 300", "S: 250 d", "eof");

    (void)state;
    silent.params.wire.timeout = slow.params.wire.timeout = 1;
    command_fails(&silent, FAULT_RETRY, "within 1 s");
    command_fails(&slow, FAULT_RETRY, "");
}

static void xclient_starts_the_session_again(void **state)
{
    PLAY(p, GREET("S: 250-XCLIENT NAME ADDR HELO", PIPELINING),
         "C: XCLIENT ADDR=192.0.2.1 NAME=a.example HELO=b+2Eexample",
         "S: 220 test again", "C: EHLO b.example", "S: 250-test", "S: 250 SIZE", "eof");
    struct smtp_reply reply;

    (void)state;
    play_open(&p);
    assert_string_equal(smtp_extensions(p.smtp)->xclient_attributes, "NAME ADDR HELO");
    assert_int_equal(smtp_xclient(p.smtp, "ADDR=192.0.2.1 NAME=a.example HELO=b+2Eexample", &reply,
        &p.fault), 0);
    assert_int_equal(reply.code, 220);
    assert_false(smtp_extensions(p.smtp)->pipelining);
    assert_true(smtp_extensions(p.smtp)->size);
    play_end(&p);
}

static void xclient_without_a_usable_helo_keeps_our_own(void **state)
{
    PLAY(p, GREET("S: 250 XCLIENT NAME ADDR HELO"), "C: XCLIENT ADDR=192.0.2.1 HELO=[UNAVAILABLE]",
         "S: 220 test",
         "C: EHLO me", "S: 500 what", "C: HELO me", "S: 250 test", "C: XCLIENT HELO=a+20b", "S: 220 test",
         "C: EHLO me", "S: 250 test", "eof");
    struct smtp_reply reply;

    (void)state;
    play_open(&p);
    assert_int_equal(smtp_xclient(p.smtp, "ADDR=192.0.2.1 HELO=[UNAVAILABLE]", &reply, &p.fault), 0);
    assert_false(smtp_extensions(p.smtp)->esmtp);
    assert_int_equal(smtp_xclient(p.smtp, "HELO=a+20b", &reply, &p.fault), 0);
    assert_true(smtp_extensions(p.smtp)->esmtp);
    play_end(&p);
}

static void a_refused_xclient_leaves_the_session_as_it_was(void **state)
{
    PLAY(p, GREET("S: 250-XCLIENT NAME ADDR", PIPELINING), "C: XCLIENT ADDR=192.0.2.1",
         "S: 550 5.7.0 not you",
         "C: NOOP", "S: 250 ok", "eof");
    struct smtp_reply reply;

    (void)state;
    play_open(&p);
    assert_int_equal(smtp_xclient(p.smtp, "ADDR=192.0.2.1", &reply, &p.fault), 0);
    assert_int_equal(reply.code, 550);
    assert_true(smtp_extensions(p.smtp)->pipelining);
    assert_int_equal(smtp_command(p.smtp, &reply, &p.fault, "NOOP"), 0);
    play_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_extensions_of_ehlo_are_learned),
        cmocka_unit_test(a_server_that_refuses_ehlo_gets_helo_and_has_no_extensions),
        cmocka_unit_test(greetings_and_ehlo_that_refuse_are_told_apart),
        cmocka_unit_test(a_login_that_the_server_accepts_opens_the_session),
        cmocka_unit_test(a_server_that_offers_no_login_is_not_used_without_one),
        cmocka_unit_test(refused_logins_are_told_from_passing_ones),
        cmocka_unit_test(tokens_are_sent_as_bearers),
        cmocka_unit_test(lmtp_is_greeted_with_lhlo),
        cmocka_unit_test(lmtp_servers_that_refuse_are_told_apart),
        cmocka_unit_test(single_commands_tell_their_reply),
        cmocka_unit_test(a_command_is_one_line),
        cmocka_unit_test(replies_that_are_none_end_the_session),
        cmocka_unit_test(a_reply_before_its_question_ends_the_session),
        cmocka_unit_test(a_reply_must_be_whole_in_time),
        cmocka_unit_test(xclient_starts_the_session_again),
        cmocka_unit_test(xclient_without_a_usable_helo_keeps_our_own),
        cmocka_unit_test(a_refused_xclient_leaves_the_session_as_it_was),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
