/* The four steps of a mail transaction, octet for octet. Sessions: test_smtp.c; bodies: test_smtp_body.c. */
#include <dlfcn.h>
#include <signal.h>

#include "smtp_client.h"

/* libcurl's send(2) comes through here: each call is a packet, or a system call at least. */
static unsigned sends;

ssize_t send(int sock, const void *data, size_t len, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int);
    void *symbol = dlsym(RTLD_NEXT, "send");

    memcpy(&real, &symbol, sizeof(real));
    sends++;
    return real(sock, data, len, flags);
}

#define MAIL "C: MAIL FROM:<s@x>"
#define RCPT "C: RCPT TO:<a@x>"
#define RCPT2 "C: RCPT TO:<b@x>"
#define TEXT "c: " TRACE BODY ".\r\n"
#define OK "S: 250 ok"
#define GO "S: 354 go on"
#define BATCH MAIL, RCPT, "C: DATA"

static void step(struct play *play, int result)
{
    if (result < 0)
        fail_msg("%s", play->fault.text);
}

/* begin and ready. */
static void make_ready(struct play *play, struct mail *mail, enum smtp_result result)
{
    step(play, smtp_begin(play->smtp, &mail->t, &play->fault));
    step(play, smtp_ready(play->smtp, &mail->t, &play->fault));
    assert_int_equal(mail->t.result, result);
}

static void send_and_finish(struct play *play, struct mail *mail, struct mail *next, enum smtp_result result)
{
    step(play, smtp_send(play->smtp, &mail->t, next != NULL ? &next->t : NULL, &play->fault));
    step(play, smtp_finish(play->smtp, &mail->t, &play->fault));
    assert_int_equal(mail->t.result, result);
}

static void quotes(const struct play *play, const char *words)
{
    if (strstr(play->fault.text, words) == NULL)
        fail_msg("\"%s\" does not quote \"%s\"", play->fault.text, words);
}

static void pipelined_a_transaction_takes_two_writes(void **state)
{
    PLAY(p, GREET(PIPELINING), BATCH, "quiet", OK, OK, GO, TEXT, "S: 250 2.0.0 Ok: queued as 4F2", "eof");
    struct mail mail;

    (void)state;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", NULL);
    sends = 0;
    make_ready(&p, &mail, SMTP_READY);
    assert_int_equal(sends, 1);
    send_and_finish(&p, &mail, NULL, SMTP_DELIVERED);
    assert_int_equal(sends, 2);
    assert_int_equal(mail.rcpt[0].state, SMTP_RCPT_DELIVERED);
    assert_string_equal(mail.t.reply.text, "250 2.0.0 Ok: queued as 4F2");
    assert_true(mail.t.dot_sent);
    message_free(mail.message);
    play_end(&p);
}

static void without_pipelining_each_command_waits(void **state)
{
    PLAY(p, GREET(PLAIN), MAIL, "quiet", OK, RCPT, "quiet", OK, RCPT2, "quiet", OK, "C: DATA", "quiet", GO,
         TEXT,
         "quiet", OK, MAIL, OK, RCPT, OK, "C: DATA", GO, TEXT, OK, "eof");
    struct mail mail;
    struct mail next;

    (void)state;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", "b@x");
    mail_to(&next, BODY, "a@x", NULL);
    make_ready(&p, &mail, SMTP_READY);
    send_and_finish(&p, &mail, &next, SMTP_DELIVERED);
    step(&p, smtp_ready(p.smtp, &next.t, &p.fault));
    send_and_finish(&p, &next, NULL, SMTP_DELIVERED);
    message_free(mail.message);
    message_free(next.message);
    play_end(&p);
}

static void the_next_message_rides_behind_the_dot_in_one_write(void **state)
{
    PLAY(p, GREET(PIPELINING), BATCH, OK, OK, GO, TEXT, BATCH, "quiet", OK, OK, OK, GO, TEXT, BATCH, OK, OK,
         OK, GO,
         TEXT, OK, "eof");
    struct mail mail[3];
    size_t i;

    (void)state;
    play_open(&p);
    for (i = 0; i < 3; i++)
        mail_to(&mail[i], BODY, "a@x", NULL);
    make_ready(&p, &mail[0], SMTP_READY);
    sends = 0;
    send_and_finish(&p, &mail[0], &mail[1], SMTP_DELIVERED);
    step(&p, smtp_ready(p.smtp, &mail[1].t, &p.fault));
    assert_int_equal(mail[1].t.result, SMTP_READY);
    assert_int_equal(sends, 1);
    /* A caller may have begun it before: nothing changes. */
    step(&p, smtp_begin(p.smtp, &mail[2].t, &p.fault));
    send_and_finish(&p, &mail[1], &mail[2], SMTP_DELIVERED);
    step(&p, smtp_ready(p.smtp, &mail[2].t, &p.fault));
    assert_int_equal(sends, 2);
    send_and_finish(&p, &mail[2], NULL, SMTP_DELIVERED);
    for (i = 0; i < 3; i++)
        message_free(mail[i].message);
    play_end(&p);
}

static void a_refused_recipient_does_not_keep_the_other_from_its_mail(void **state)
{
    PLAY(p, GREET(PIPELINING), MAIL, RCPT, RCPT2, "C: DATA", OK, "S: 550 5.1.1 no such user", OK, GO, TEXT,
         OK, "eof");
    struct mail mail;

    (void)state;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", "b@x");
    make_ready(&p, &mail, SMTP_READY);
    send_and_finish(&p, &mail, NULL, SMTP_DELIVERED);
    assert_int_equal(mail.rcpt[0].state, SMTP_RCPT_REFUSED);
    assert_string_equal(mail.rcpt[0].reply.enhanced, "5.1.1");
    assert_int_equal(mail.rcpt[1].state, SMTP_RCPT_DELIVERED);
    message_free(mail.message);
    play_end(&p);
}

static void without_any_recipient_a_354_never_gets_a_dot(void **state)
{
    PLAY(p, GREET(PIPELINING), MAIL, RCPT, RCPT2, "C: DATA", OK, "S: 550 no", "S: 451 later", GO, "eof");
    PLAY(q, GREET(PIPELINING), BATCH, "S: 550 no", "S: 503 no", GO, "eof");
    struct mail mail;

    (void)state;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", "b@x");
    step(&p, smtp_begin(p.smtp, &mail.t, &p.fault));
    assert_int_equal(smtp_ready(p.smtp, &mail.t, &p.fault), -1);
    assert_int_equal(mail.t.result, SMTP_NO_RCPT);
    assert_int_equal(mail.rcpt[1].reply.code, 451);
    assert_false(mail.t.dot_sent);
    smtp_quit(p.smtp); /* would be text now */
    play_end(&p);
    message_free(mail.message);

    play_open(&q);
    mail_to(&mail, BODY, "a@x", NULL);
    step(&q, smtp_begin(q.smtp, &mail.t, &q.fault));
    assert_int_equal(smtp_ready(q.smtp, &mail.t, &q.fault), -1);
    assert_int_equal(mail.t.result, SMTP_REFUSED);
    assert_string_equal(mail.t.stage, "MAIL");
    message_free(mail.message);
    play_end(&q);
}

static void an_unfinished_transaction_is_reset_before_the_next(void **state)
{
    PLAY(p, GREET(PIPELINING), BATCH, OK, "S: 550 no", "S: 503 no recipients", "C: RSET", BATCH, OK, OK, OK,
         "S: 451 4.3.0 no room", "C: RSET", BATCH, OK, OK, OK, GO, TEXT, OK, "eof");
    struct mail mail;

    (void)state;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", NULL);
    make_ready(&p, &mail, SMTP_NO_RCPT);
    assert_int_equal(mail.rcpt[0].state, SMTP_RCPT_REFUSED);
    make_ready(&p, &mail, SMTP_REFUSED);
    assert_string_equal(mail.t.stage, "DATA");
    assert_string_equal(mail.t.reply.enhanced, "4.3.0");
    make_ready(&p, &mail, SMTP_READY);
    send_and_finish(&p, &mail, NULL, SMTP_DELIVERED);
    message_free(mail.message);
    play_end(&p);
}

static void without_pipelining_a_refusal_ends_the_questions(void **state)
{
    PLAY(p, GREET(PLAIN), MAIL, "S: 550 not you", MAIL, OK, RCPT, "S: 550 no", "C: RSET", OK, MAIL, OK,
         RCPT, OK,
         "C: DATA", "S: 554 no", "C: RSET", OK, "C: NOOP", OK, "eof");
    struct mail mail;
    struct smtp_reply reply;

    (void)state;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", NULL);
    make_ready(&p, &mail, SMTP_REFUSED);
    assert_string_equal(mail.t.stage, "MAIL");
    assert_int_equal(mail.rcpt[0].state, SMTP_RCPT_PENDING);
    make_ready(&p, &mail, SMTP_NO_RCPT);
    make_ready(&p, &mail, SMTP_REFUSED);
    assert_string_equal(mail.t.stage, "DATA");
    step(&p, smtp_command(p.smtp, &reply, &p.fault, "RSET"));
    step(&p, smtp_command(p.smtp, &reply, &p.fault, "NOOP"));
    message_free(mail.message);
    play_end(&p);
}

static void a_message_refused_at_its_dot_leaves_the_session_good(void **state)
{
    PLAY(p, GREET(PIPELINING), BATCH, OK, OK, GO, TEXT, BATCH, "S: 554 5.7.1 spam", OK, OK, GO, TEXT, OK,
         "C: QUIT",
         "S: 221 bye", "close");
    struct mail mail;
    struct mail next;

    (void)state;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", NULL);
    mail_to(&next, BODY, "a@x", NULL);
    make_ready(&p, &mail, SMTP_READY);
    send_and_finish(&p, &mail, &next, SMTP_REFUSED);
    assert_string_equal(mail.t.stage, "final dot");
    assert_string_equal(mail.t.reply.text, "554 5.7.1 spam");
    assert_int_equal(mail.rcpt[0].state, SMTP_RCPT_ACCEPTED);
    step(&p, smtp_ready(p.smtp, &next.t, &p.fault));
    send_and_finish(&p, &next, NULL, SMTP_DELIVERED);
    smtp_quit(p.smtp);
    message_free(mail.message);
    message_free(next.message);
    play_end(&p);
}

/* Run a transaction that must lose its session. */
static void loses(struct play *play, struct mail *mail, enum fault_class class, const char *words)
{
    play_open(play);
    mail_to(mail, BODY, "a@x", NULL);
    if (smtp_begin(play->smtp, &mail->t, &play->fault) == 0 && smtp_ready(play->smtp, &mail->t,
        &play->fault) == 0 &&
        smtp_send(play->smtp, &mail->t, NULL, &play->fault) == 0)
        assert_int_equal(smtp_finish(play->smtp, &mail->t, &play->fault), -1);
    assert_int_equal(play->fault.class, class);
    assert_int_equal(play->fault.scope, FAULT_OF_DESTINATION);
    quotes(play, words);
    message_free(mail->message);
    play_end(play);
}

static void a_421_at_any_step_is_told(void **state)
{
    PLAY(a, GREET(PIPELINING), BATCH, "S: 421 4.3.2 bye", "close");
    PLAY(b, GREET(PIPELINING), BATCH, OK, "S: 421 4.3.2 bye", "close");
    PLAY(c, GREET(PIPELINING), BATCH, OK, OK, "S: 421 4.3.2 bye", "close");
    PLAY(d, GREET(PIPELINING), BATCH, OK, OK, GO, TEXT, "S: 421 4.3.2 bye", "close");
    struct {
        struct play *play;
        const char *stage;
        enum smtp_result result;
    } const rows[] = {{&a, "MAIL", SMTP_UNDECIDED},
                      {&b, "RCPT", SMTP_UNDECIDED},
                      {&c, "DATA", SMTP_UNDECIDED},
                      {&d, "final dot", SMTP_REFUSED}};
    struct mail mail;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        loses(rows[i].play, &mail, FAULT_RETRY, "421 4.3.2 bye");
        assert_string_equal(mail.t.stage, rows[i].stage);
        assert_int_equal(mail.t.result, rows[i].result);
        assert_int_equal(mail.t.reply.code, 421);
    }
}

static void a_server_that_closes_at_any_step_decides_nothing(void **state)
{
    PLAY(a, GREET(PIPELINING), BATCH, "close");
    PLAY(b, GREET(PIPELINING), BATCH, OK, "close");
    PLAY(c, GREET(PIPELINING), BATCH, OK, OK, "close");
    PLAY(d, GREET(PIPELINING), BATCH, OK, OK, GO, TEXT, "s: 250 o", "close");
    struct play *const plays[] = {&a, &b, &c, &d};
    struct mail mail;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        loses(plays[i], &mail, FAULT_RETRY, "closed the connection");
        assert_int_equal(mail.t.result, SMTP_UNDECIDED);
        assert_int_equal(mail.t.dot_sent, i == 3);
    }
}

static void replies_out_of_place_break_the_protocol(void **state)
{
    PLAY(a, GREET(PIPELINING), BATCH, "S: 354 go on", "eof");
    PLAY(b, GREET(PIPELINING), BATCH, OK, "S: 334 what", "eof");
    PLAY(c, GREET(PIPELINING), BATCH, OK, OK, OK, "eof");
    PLAY(d, GREET(PIPELINING), BATCH, OK, OK, GO, TEXT, GO, "eof");
    PLAY(e, GREET(PIPELINING), BATCH, OK, OK, GO, TEXT, "S: mail?", "eof");
    struct play *const plays[] = {&a, &b, &c, &d, &e};
    struct mail mail;
    size_t i;

    (void)state;
    for (i = 0; i < 5; i++) {
        loses(plays[i], &mail, FAULT_PROTOCOL, "");
        assert_int_equal(mail.t.result, SMTP_UNDECIDED);
    }
}

static void what_comes_before_mail_is_not_its_reply(void **state)
{
    PLAY(a, GREET(PIPELINING), BATCH, OK, OK, GO, TEXT, OK, "S: 250 and one more", "eof");
    PLAY(b, GREET(PLAIN), MAIL, OK, RCPT, OK, "C: DATA", GO, TEXT, OK, "S: 421 4.4.2 enough", "close");
    struct mail mail;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct play *p = i == 0 ? &a : &b;
        play_open(p);
        mail_to(&mail, BODY, "a@x", NULL);
        make_ready(p, &mail, SMTP_READY);
        send_and_finish(p, &mail, NULL, SMTP_DELIVERED);
        (void)usleep(50 * 1000);
        assert_int_equal(smtp_begin(p->smtp, &mail.t, &p->fault), -1);
        assert_int_equal(p->fault.class, i == 0 ? FAULT_PROTOCOL : FAULT_RETRY);
        quotes(p, i == 0 ? "250 and one more" : "421 4.4.2 enough");
        message_free(mail.message);
        play_end(p);
    }
}

static void the_final_reply_has_its_own_time(void **state)
{
    PLAY(p, GREET(PIPELINING), BATCH, OK, OK, GO, TEXT, "wait 1300", OK, "eof");
    PLAY(q, GREET(PIPELINING), BATCH, OK, OK, GO, TEXT, "eof");
    struct mail mail;

    (void)state;
    p.params.wire.timeout = 1;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", NULL);
    make_ready(&p, &mail, SMTP_READY);
    send_and_finish(&p, &mail, NULL, SMTP_DELIVERED);
    message_free(mail.message);
    play_end(&p);
    q.params.final_timeout = 1;
    loses(&q, &mail, FAULT_RETRY, "within 1 s");
}

static void what_the_server_announces_is_used(void **state)
{
    PLAY(p, GREET("S: 250-SIZE", "S: 250-8BITMIME", "S: 250-SMTPUTF8", "S: 250-DSN", PIPELINING),
         "C: MAIL FROM:<s@x> SIZE=38", "C: RCPT TO:<a@x> NOTIFY=NEVER", "C: DATA", OK, OK, GO, TEXT,
         "C: MAIL FROM:<s@x> SIZE=22 BODY=8BITMIME SMTPUTF8", "C: RCPT TO:<\xC3\xA4@x> NOTIFY=NEVER",
         "C: DATA", OK,
         OK, OK, GO, "c: " TRACE "\r\n\xE4\r\n.\r\n", OK, "eof");
    struct mail mail;
    struct mail next;

    (void)state;
    p.params.no_notify = true;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", NULL);
    mail_to(&next, "\r\n\xE4\r\n", "\xC3\xA4@x", NULL);
    make_ready(&p, &mail, SMTP_READY);
    send_and_finish(&p, &mail, &next, SMTP_DELIVERED);
    step(&p, smtp_ready(p.smtp, &next.t, &p.fault));
    send_and_finish(&p, &next, NULL, SMTP_DELIVERED);
    message_free(mail.message);
    message_free(next.message);
    play_end(&p);
}

static void eight_bit_text_goes_as_it_is_to_a_server_without_8bitmime(void **state)
{
    PLAY(p, GREET("S: 250-DSN", PIPELINING), "C: MAIL FROM:<>", RCPT, "C: DATA", OK, OK, GO,
         "c: " TRACE "\r\n\xE4\r\n.\r\n", OK, "eof");
    struct mail mail;

    (void)state;
    play_open(&p);
    mail_to(&mail, "\r\n\xE4\r\n", "a@x", NULL);
    mail.t.sender = "";
    make_ready(&p, &mail, SMTP_READY);
    send_and_finish(&p, &mail, NULL, SMTP_DELIVERED);
    message_free(mail.message);
    play_end(&p);
}

static void what_the_server_will_not_take_is_refused_here(void **state)
{
    PLAY(p, GREET("S: 250-SIZE 37", PIPELINING), "C: MAIL FROM:<s@x> SIZE=22", RCPT, "C: DATA", OK, OK, GO,
         "c: " TRACE "\r\nx\r\n.\r\n", "quiet", OK, "eof");
    struct mail mail;
    struct mail small;
    struct mail utf8;

    (void)state;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", NULL);
    mail_to(&small, "\r\nx\r\n", "a@x", NULL);
    mail_to(&utf8, "\r\nx\r\n", "a@x", "\xC3\xA4@x");
    make_ready(&p, &utf8, SMTP_REFUSED);
    assert_int_equal(utf8.t.reply.code, 553);
    assert_string_equal(utf8.t.stage, "SMTPUTF8");
    make_ready(&p, &small, SMTP_READY);
    send_and_finish(&p, &small, &mail, SMTP_DELIVERED);
    step(&p, smtp_ready(p.smtp, &mail.t, &p.fault));
    assert_int_equal(mail.t.result, SMTP_REFUSED);
    assert_int_equal(mail.t.reply.code, 552);
    assert_string_equal(mail.t.stage, "SIZE");
    message_free(mail.message);
    message_free(small.message);
    message_free(utf8.message);
    play_end(&p);
}

static void addresses_that_could_be_more_are_never_sent(void **state)
{
    static const char *const bad[] = {"", "a\r\nDATA", "a>", "<a", "a\n"};
    struct mail mail;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        PLAY(p, GREET(PIPELINING), "eof");
        play_open(&p);
        mail_to(&mail, BODY, bad[i], NULL);
        assert_int_equal(smtp_begin(p.smtp, &mail.t, &p.fault), -1);
        assert_int_equal(p.fault.class, FAULT_INTERNAL);
        message_free(mail.message);
        play_end(&p);
    }
}

static void dots_are_stuffed_and_an_empty_message_is_one(void **state)
{
    PLAY(p, GREET(PIPELINING), BATCH, OK, OK, GO, "c: " TRACE "\r\n..\r\n.. a\r\n...........\r\n.\r\n",
         BATCH, OK, OK, OK, GO,
         "c: " TRACE ".\r\n", OK, "eof");
    struct mail mail;
    struct mail empty;

    (void)state;
    play_open(&p);
    mail_to(&mail, "\r\n.\r\n. a\r\n..........\r\n", "a@x", NULL);
    mail_to(&empty, "", "a@x", NULL);
    make_ready(&p, &mail, SMTP_READY);
    send_and_finish(&p, &mail, &empty, SMTP_DELIVERED);
    step(&p, smtp_ready(p.smtp, &empty.t, &p.fault));
    send_and_finish(&p, &empty, NULL, SMTP_DELIVERED);
    message_free(mail.message);
    message_free(empty.message);
    play_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_a_transaction_takes_two_writes),
        cmocka_unit_test(without_pipelining_each_command_waits),
        cmocka_unit_test(the_next_message_rides_behind_the_dot_in_one_write),
        cmocka_unit_test(a_refused_recipient_does_not_keep_the_other_from_its_mail),
        cmocka_unit_test(without_any_recipient_a_354_never_gets_a_dot),
        cmocka_unit_test(an_unfinished_transaction_is_reset_before_the_next),
        cmocka_unit_test(without_pipelining_a_refusal_ends_the_questions),
        cmocka_unit_test(a_message_refused_at_its_dot_leaves_the_session_good),
        cmocka_unit_test(a_421_at_any_step_is_told),
        cmocka_unit_test(a_server_that_closes_at_any_step_decides_nothing),
        cmocka_unit_test(replies_out_of_place_break_the_protocol),
        cmocka_unit_test(what_comes_before_mail_is_not_its_reply),
        cmocka_unit_test(the_final_reply_has_its_own_time),
        cmocka_unit_test(what_the_server_announces_is_used),
        cmocka_unit_test(eight_bit_text_goes_as_it_is_to_a_server_without_8bitmime),
        cmocka_unit_test(what_the_server_will_not_take_is_refused_here),
        cmocka_unit_test(addresses_that_could_be_more_are_never_sent),
        cmocka_unit_test(dots_are_stuffed_and_an_empty_message_is_one),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
