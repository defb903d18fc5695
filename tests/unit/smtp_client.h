/* What the SMTP tests share beside the server: a session with it, messages, transactions. */
#ifndef TESTS_UNIT_SMTP_CLIENT_H
#define TESTS_UNIT_SMTP_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/smtp.h"
#include "smtp_server.h"

#define TRACE "Received: by me\r\n"
#define BODY "Subject: x\r\n\r\nhello\r\n"

/* The server's part until MAIL may come. */
#define GREET(...) "S: 220 test ESMTP", "C: EHLO me", "S: 250-test", __VA_ARGS__
#define PIPELINING "S: 250 PIPELINING"
#define PLAIN "S: 250 HELP"

/* A test: a script, and a session with the server that plays it. */
struct play {
    struct server server;
    struct smtp_params params;
    struct smtp *smtp;
    struct fault fault;
};

static inline void play(struct play *play, const char *const *script)
{
    memset(play, 0, sizeof(*play));
    server_start(&play->server, script);
    play->params = (struct smtp_params){.wire = {.tag = "test",
                                                 .scope = FAULT_OF_DESTINATION,
                                                 .service = WIRE_SMTP,
                                                 .host = "127.0.0.1",
                                                 .port = play->server.port,
                                                 .helo = "me",
                                                 .timeout = 3},
                                        .final_timeout = 3};
}

static inline void play_open(struct play *play)
{
    if (smtp_open(&play->smtp, &play->params, &play->fault) < 0)
        fail_msg("%s", play->fault.text);
}

/* Both sides end; the server must have seen what its script says. */
static inline void play_end(struct play *play)
{
    smtp_close(play->smtp);
    server_end(&play->server);
    assert_string_equal(play->server.failure, "");
}

#define PLAY(name, ...)                                                \
    static const char *const name##_script[] = {__VA_ARGS__, NULL};    \
    struct play name;                                                  \
    play(&name, name##_script)

static inline struct message *new_message(const char *text, size_t len, size_t memory)
{
    struct message *message = message_new(0, memory, UINT64_C(1) << 30);
    struct fault fault;

    assert_non_null(message);
    assert_int_equal(message_write(message, text, len, &fault), 0);
    assert_int_equal(message_finish(message, &fault), 0);
    return message;
}

/* A transaction with its message and up to three recipients. */
struct mail {
    struct smtp_transaction t;
    struct smtp_rcpt rcpt[3];
    struct message *message;
};

static inline void mail_of(struct mail *mail, struct message *message, const char *const *to, size_t count)
{
    size_t i;

    memset(mail, 0, sizeof(*mail));
    mail->message = message;
    mail->t.message = message;
    mail->t.trace = TRACE;
    mail->t.trace_len = strlen(TRACE);
    mail->t.sender = "s@x";
    mail->t.rcpt = mail->rcpt;
    mail->t.rcpt_count = count;
    for (i = 0; i < count; i++)
        mail->rcpt[i].address = to[i];
}

static inline void mail_to(struct mail *mail, const char *text, const char *a, const char *b)
{
    const char *const to[] = {a, b};

    mail_of(mail, new_message(text, strlen(text), MESSAGE_MEMORY), to, b != NULL ? 2 : 1);
}

#endif
