/* Bodies: large ones, what a server says before the dot, BDAT, and LMTP's reply for each recipient. */
#include <signal.h>

#include "smtp_client.h"

#define MAIL "C: MAIL FROM:<s@x>"
#define BATCH MAIL, "C: RCPT TO:<a@x>", "C: DATA"
#define OK "S: 250 ok"
#define GO "S: 354 go on"

#define LINE "a line of forty octets, with its end  \r\n"
#define LINE_LEN (sizeof(LINE) - 1)
#define LARGE_LINES 20000 /* 800,000 octets: in memory if it may be */

static void quotes(const struct play *play, const char *words)
{
    if (strstr(play->fault.text, words) == NULL)
        fail_msg("\"%s\" does not quote \"%s\"", play->fault.text, words);
}

static void large_mail(struct mail *mail, size_t memory)
{
    static const char *const to[] = {"a@x"};
    char *text = malloc(LARGE_LINES * LINE_LEN);
    size_t i;

    assert_non_null(text);
    for (i = 0; i < LARGE_LINES; i++)
        memcpy(text + i * LINE_LEN, LINE, LINE_LEN);
    text[0] = '.';
    mail_of(mail, new_message(text, LARGE_LINES * LINE_LEN, memory), to, 1);
    mail->t.trace_len = 0;
    free(text);
}

static void make_ready(struct play *play, struct mail *mail)
{
    if (smtp_begin(play->smtp, &mail->t, &play->fault) < 0 || smtp_ready(play->smtp, &mail->t,
        &play->fault) < 0)
        fail_msg("%s", play->fault.text);
    assert_int_equal(mail->t.result, SMTP_READY);
}

static void send_and_finish(struct play *play, struct mail *mail, enum smtp_result result)
{
    if (smtp_send(play->smtp, &mail->t, NULL, &play->fault) < 0 ||
        smtp_finish(play->smtp, &mail->t, &play->fault) < 0)
        fail_msg("%s", play->fault.text);
    assert_int_equal(mail->t.result, result);
}

static void large_messages_arrive_whole_from_memory_and_from_a_file(void **state)
{
    static const size_t memories[] = {MESSAGE_MEMORY, 0};
    struct mail mail;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        PLAY(p, GREET(PIPELINING), BATCH, OK, OK, GO, "c: .. line of forty octets, with its end  \r\n",
             "lines 19999 " LINE, "C: .", "quiet", OK, "eof");
        play_open(&p);
        large_mail(&mail, memories[i]);
        make_ready(&p, &mail);
        send_and_finish(&p, &mail, SMTP_DELIVERED);
        message_free(mail.message);
        play_end(&p);
    }
}

static void octets_behind_the_354_keep_the_dot_back(void **state)
{
    PLAY(said_yes, GREET(PIPELINING), BATCH, OK, OK, "S: 354 go on\r\n250 it was lovely", "eof");
    PLAY(said_no, GREET(PIPELINING), BATCH, OK, OK, "S: 354 go on\r\n552 5.3.4 too big", "eof");
    PLAY(said_bye, GREET(PIPELINING), BATCH, OK, OK, "S: 354 go on\r\n421 4.3.2 bye", "eof");
    struct {
        struct play *play;
        enum fault_class class;
        enum smtp_result result;
        const char *words;
    } const rows[] = {{&said_yes, FAULT_PROTOCOL, SMTP_UNDECIDED, "250 it was lovely"},
                      {&said_no, FAULT_RETRY, SMTP_REFUSED, "552 5.3.4 too big"},
                      {&said_bye, FAULT_RETRY, SMTP_REFUSED, "421 4.3.2 bye"}};
    struct mail mail;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct play *p = rows[i].play;
        play_open(p);
        mail_to(&mail, BODY, "a@x", NULL);
        make_ready(p, &mail);
        assert_int_equal(smtp_send(p->smtp, &mail.t, NULL, &p->fault), -1);
        assert_int_equal(p->fault.class, rows[i].class);
        assert_int_equal(mail.t.result, rows[i].result);
        assert_string_equal(mail.t.stage, "body");
        assert_false(mail.t.dot_sent);
        quotes(p, rows[i].words);
        message_free(mail.message);
        play_end(p);
    }
}

/* The kernel shall not take a large body as a whole. */
static void narrow(struct play *play)
{
    int octets = 16384;

    assert_int_equal(setsockopt(wire_socket(smtp_wire(play->smtp)), SOL_SOCKET, SO_SNDBUF, &octets,
        sizeof(octets)), 0);
}

static void refused_in_the_middle(struct play *play, size_t memory)
{
    struct mail mail;

    play_open(play);
    narrow(play);
    large_mail(&mail, memory);
    make_ready(play, &mail);
    assert_int_equal(smtp_send(play->smtp, &mail.t, NULL, &play->fault), -1);
    assert_int_equal(mail.t.result, SMTP_REFUSED);
    assert_string_equal(mail.t.stage, "body");
    assert_int_equal(mail.t.reply.code, 552);
    assert_false(mail.t.dot_sent);
    quotes(play, "552 5.3.4 too big");
    message_free(mail.message);
    play_end(play);
}

static void a_refusal_in_the_middle_of_a_body_is_read_and_told(void **state)
{
    PLAY(waits, GREET(PIPELINING), "narrow", BATCH, OK, OK, GO, "text 1000", "S: 552 5.3.4 too big",
         "wait 50",
         "rest", "close");
    PLAY(closes, GREET(PIPELINING), "narrow", BATCH, OK, OK, GO, "text 1000", "S: 552 5.3.4 too big",
         "close");
    PLAY(from_file, GREET(PIPELINING), "narrow", BATCH, OK, OK, GO, "text 1000", "S: 552 5.3.4 too big",
         "close");

    (void)state;
    refused_in_the_middle(&waits, MESSAGE_MEMORY);
    refused_in_the_middle(&closes, MESSAGE_MEMORY);
    refused_in_the_middle(&from_file, 0);
}

static void a_server_that_goes_in_the_middle_decides_nothing(void **state)
{
    PLAY(p, GREET(PIPELINING), "narrow", BATCH, OK, OK, GO, "text 1000", "reset");
    struct mail mail;

    (void)state;
    play_open(&p);
    narrow(&p);
    large_mail(&mail, MESSAGE_MEMORY);
    make_ready(&p, &mail);
    assert_int_equal(smtp_send(p.smtp, &mail.t, NULL, &p.fault), -1);
    assert_int_equal(p.fault.class, FAULT_RETRY);
    assert_string_equal(p.fault.stage, "body");
    assert_int_equal(mail.t.result, SMTP_UNDECIDED);
    assert_false(mail.t.dot_sent);
    message_free(mail.message);
    play_end(&p);
}

static void chunking_sends_the_octets_without_stuffing(void **state)
{
    PLAY(p, GREET("S: 250-CHUNKING", PIPELINING), MAIL, "C: RCPT TO:<a@x>", "quiet", OK, OK,
         "C: BDAT 26 LAST",
         "c: " TRACE "\r\n.\r\n.x", "c: \r\n", MAIL, "C: RCPT TO:<a@x>", "quiet", OK, OK, OK,
         "C: BDAT 17 LAST", "c: " TRACE,
         "quiet", "S: 554 no", "eof");
    struct mail mail;
    struct mail next;

    (void)state;
    p.params.chunking = true;
    play_open(&p);
    mail_to(&mail, "\r\n.\r\n.x\r\n", "a@x", NULL);
    mail_to(&next, "", "a@x", NULL);
    make_ready(&p, &mail);
    assert_int_equal(smtp_send(p.smtp, &mail.t, &next.t, &p.fault), 0);
    assert_true(mail.t.dot_sent);
    assert_int_equal(smtp_finish(p.smtp, &mail.t, &p.fault), 0);
    assert_int_equal(mail.t.result, SMTP_DELIVERED);
    assert_int_equal(smtp_ready(p.smtp, &next.t, &p.fault), 0);
    send_and_finish(&p, &next, SMTP_REFUSED);
    message_free(mail.message);
    message_free(next.message);
    play_end(&p);
}

static void chunking_without_a_recipient_sends_no_chunk(void **state)
{
    PLAY(p, GREET("S: 250-CHUNKING", PIPELINING), MAIL, "C: RCPT TO:<a@x>", OK, "S: 550 no", "C: RSET", MAIL,
         "C: RCPT TO:<a@x>", OK, OK, OK, "C: BDAT 800000 LAST",
         "c: . line of forty octets, with its end  \r\n", "lines 19999 " LINE, "quiet", OK, "eof");
    struct mail mail;
    struct mail large;

    (void)state;
    p.params.chunking = true;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", NULL);
    assert_int_equal(smtp_begin(p.smtp, &mail.t, &p.fault), 0);
    assert_int_equal(smtp_ready(p.smtp, &mail.t, &p.fault), 0);
    assert_int_equal(mail.t.result, SMTP_NO_RCPT);
    large_mail(&large, MESSAGE_MEMORY);
    make_ready(&p, &large);
    send_and_finish(&p, &large, SMTP_DELIVERED);
    message_free(mail.message);
    message_free(large.message);
    play_end(&p);
}

static void chunking_that_is_not_announced_is_not_used(void **state)
{
    PLAY(p, GREET(PIPELINING), BATCH, OK, OK, GO, "c: " TRACE BODY ".\r\n", OK, "eof");
    struct mail mail;

    (void)state;
    p.params.chunking = true;
    play_open(&p);
    mail_to(&mail, BODY, "a@x", NULL);
    make_ready(&p, &mail);
    send_and_finish(&p, &mail, SMTP_DELIVERED);
    message_free(mail.message);
    play_end(&p);
}

#define LMTP "S: 220 test LMTP", "C: LHLO me", "S: 250-test", PIPELINING
#define LMTP_BATCH MAIL, "C: RCPT TO:<a>", "C: RCPT TO:<b>", "C: RCPT TO:<c>", "C: DATA"
#define LMTP_TEXT "c: " TRACE BODY ".\r\n"

static void lmtp_play(struct play *play, struct mail *mail)
{
    static const char *const to[] = {"a", "b", "c"};

    play->params.wire.service = WIRE_LMTP;
    play_open(play);
    mail_of(mail, new_message(BODY, strlen(BODY), MESSAGE_MEMORY), to, 3);
    make_ready(play, mail);
}

static void lmtp_replies_for_each_accepted_recipient(void **state)
{
    PLAY(p, LMTP, LMTP_BATCH, OK, OK, "S: 550 5.1.1 who", OK, GO, LMTP_TEXT, "S: 452 4.2.2 full",
         "S: 250 2.0.0 <c> 4F2 Saved", "eof");
    struct mail mail;

    (void)state;
    lmtp_play(&p, &mail);
    send_and_finish(&p, &mail, SMTP_DELIVERED);
    assert_int_equal(mail.rcpt[0].state, SMTP_RCPT_FAILED);
    assert_string_equal(mail.rcpt[0].reply.text, "452 4.2.2 full");
    assert_int_equal(mail.rcpt[1].state, SMTP_RCPT_REFUSED);
    assert_int_equal(mail.rcpt[2].state, SMTP_RCPT_DELIVERED);
    assert_string_equal(mail.t.reply.text, "250 2.0.0 <c> 4F2 Saved");
    message_free(mail.message);
    play_end(&p);
}

static void lmtp_refusing_all_refuses_the_message(void **state)
{
    PLAY(p, LMTP, LMTP_BATCH, OK, OK, OK, OK, GO, LMTP_TEXT, "S: 452 full", "S: 554 no", "S: 554 no", "eof");
    struct mail mail;

    (void)state;
    lmtp_play(&p, &mail);
    send_and_finish(&p, &mail, SMTP_REFUSED);
    assert_int_equal(mail.t.reply.code, 452);
    assert_int_equal(mail.rcpt[2].state, SMTP_RCPT_FAILED);
    message_free(mail.message);
    play_end(&p);
}

static void lmtp_deliveries_stand_when_the_connection_goes(void **state)
{
    PLAY(p, LMTP, LMTP_BATCH, OK, OK, OK, OK, GO, LMTP_TEXT, OK, "S: 421 bye", "close");
    PLAY(q, LMTP, LMTP_BATCH, OK, OK, OK, OK, GO, LMTP_TEXT, "S: 552 no", "close");
    struct mail mail;

    (void)state;
    lmtp_play(&p, &mail);
    assert_int_equal(smtp_send(p.smtp, &mail.t, NULL, &p.fault), 0);
    assert_int_equal(smtp_finish(p.smtp, &mail.t, &p.fault), -1);
    assert_int_equal(mail.t.result, SMTP_DELIVERED);
    assert_int_equal(mail.rcpt[0].state, SMTP_RCPT_DELIVERED);
    assert_int_equal(mail.rcpt[1].state, SMTP_RCPT_FAILED);
    assert_int_equal(mail.rcpt[2].state, SMTP_RCPT_ACCEPTED);
    message_free(mail.message);
    play_end(&p);

    lmtp_play(&q, &mail);
    assert_int_equal(smtp_send(q.smtp, &mail.t, NULL, &q.fault), 0);
    assert_int_equal(smtp_finish(q.smtp, &mail.t, &q.fault), -1);
    assert_int_equal(mail.t.result, SMTP_UNDECIDED);
    assert_int_equal(mail.rcpt[0].state, SMTP_RCPT_FAILED);
    message_free(mail.message);
    play_end(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_messages_arrive_whole_from_memory_and_from_a_file),
        cmocka_unit_test(octets_behind_the_354_keep_the_dot_back),
        cmocka_unit_test(a_refusal_in_the_middle_of_a_body_is_read_and_told),
        cmocka_unit_test(a_server_that_goes_in_the_middle_decides_nothing),
        cmocka_unit_test(chunking_sends_the_octets_without_stuffing),
        cmocka_unit_test(chunking_without_a_recipient_sends_no_chunk),
        cmocka_unit_test(chunking_that_is_not_announced_is_not_used),
        cmocka_unit_test(lmtp_replies_for_each_accepted_recipient),
        cmocka_unit_test(lmtp_refusing_all_refuses_the_message),
        cmocka_unit_test(lmtp_deliveries_stand_when_the_connection_goes),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
