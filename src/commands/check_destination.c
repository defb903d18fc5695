#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "commands/check_private.h"
#include "config/secret.h"
#include "poll/connect.h"
#include "poll/delivery.h"
#include "report/clean_json.h"

#define NAMES_MAX (4 * 1024 * 1024)
#define RECIPIENTS_AT_ONCE 50 /* RFC 5321 section 4.5.3.1.8 asks for 100; some servers take fewer */
#define WORDS_MAX 1024

struct visit {
    const struct check *check;
    const struct config_destination *destination;
    struct check_subject *subject;
    struct smtp *smtp;
    struct delivery_job *job; /* never delivered: it knows how the recipients are addressed */
    const char *sender;       /* "" for <> */
};

static void lost(struct visit *visit, const char *step, const struct fault *fault)
{
    check_fault(visit->subject, step, fault);
    check_advise(visit->subject, "popferry -vv check shows the dialogue");
}

/* ---- EHLO ---- */

static void add_word(struct buf *words, json_t *list, bool known, const char *word)
{
    if (!known)
        return;
    (void)buf_printf(words, "%s%s", words->len > 0 ? " " : "", word);
    (void)json_array_append_new(list, json_string(word));
}

static void tell_extensions(struct visit *visit)
{
    const struct smtp_extensions *has = smtp_extensions(visit->smtp);
    bool lmtp = visit->destination->protocol == CONFIG_LMTP;
    json_t *list = json_array();
    struct buf words;
    char size[48];

    buf_init(&words, WORDS_MAX);
    if (has->size_limit > 0)
        (void)snprintf(size, sizeof(size), "SIZE %llu", (unsigned long long)has->size_limit);
    else
        (void)snprintf(size, sizeof(size), "SIZE");
    add_word(&words, list, has->pipelining, "PIPELINING");
    add_word(&words, list, has->size, size);
    add_word(&words, list, has->eightbitmime, "8BITMIME");
    add_word(&words, list, has->smtputf8, "SMTPUTF8");
    add_word(&words, list, has->chunking, "CHUNKING");
    add_word(&words, list, has->dsn, "DSN");
    add_word(&words, list, has->enhanced_status, "ENHANCEDSTATUSCODES");
    add_word(&words, list, has->starttls, "STARTTLS");
    add_word(&words, list, has->xclient, "XCLIENT");
    add_word(&words, list, has->auth_plain, "AUTH:PLAIN");
    add_word(&words, list, has->auth_login, "AUTH:LOGIN");
    add_word(&words, list, has->auth_cram_md5, "AUTH:CRAM-MD5");
    add_word(&words, list, has->auth_external, "AUTH:EXTERNAL");
    add_word(&words, list, has->auth_oauthbearer, "AUTH:OAUTHBEARER");
    add_word(&words, list, has->auth_xoauth2, "AUTH:XOAUTH2");
    if (has->esmtp)
        check_found(visit->subject, lmtp ? "LHLO" : "EHLO", CHECK_OK, "%s",
                    words.len > 0 ? words.data : "no extensions");
    else
        check_found(visit->subject, "EHLO", CHECK_NOTE, "not known to this server, HELO is: no extensions");
    (void)json_object_set_new(visit->subject->facts, "extensions", list);
    buf_free(&words);
}

static void tell_limits(struct visit *visit)
{
    const struct smtp_extensions *has = smtp_extensions(visit->smtp);
    const struct config_destination *destination = visit->destination;

    if (destination->xclient && !has->xclient) {
        check_found(visit->subject, "XCLIENT", CHECK_WARNING, "wanted by the fetchrc, but not offered");
        check_advise(visit->subject, "Postfix: put this host into smtpd_authorized_xclient_hosts");
    }
    if (destination->chunking && !has->chunking)
        check_found(visit->subject, "CHUNKING", CHECK_NOTE,
                    "wanted by the fetchrc, but not offered: DATA is used");
    if (destination->no_notify && !has->dsn)
        check_found(visit->subject, "DSN", CHECK_NOTE,
                    "notify = \"never\" is wanted, but DSN is not offered");
}

/* ---- recipients ---- */

/* 252 (nobody says) and what a server says that does not like VRFY are as good as a yes. */
static bool denies(const struct smtp_reply *reply)
{
    return reply->code == 550 || reply->code == 551 || reply->code == 553;
}

static void refused(struct visit *visit, const char *step, const char *whom, const struct smtp_reply *reply)
{
    struct fault fault;
    bool passing = reply->code / 100 == 4;

    (void)fault_set(&fault, FAULT_OF_DESTINATION, passing ? FAULT_RETRY : FAULT_REFUSED, step, "%s: %s", whom,
                    reply->text);
    check_fault(visit->subject, step, &fault);
}

static void tell_recipient(struct visit *visit, const char *address, const struct smtp_reply *vrfy,
                           const struct smtp_reply *rcpt)
{
    json_t *list = json_object_get(visit->subject->facts, "recipients");

    (void)json_array_append_new(
        list, json_pack("{s:o*, s:i, s:i}", "address", clean_json(address, strlen(address)), "vrfy", vrfy->code, "rcpt", rcpt->code));
    if (rcpt->code / 100 != 2) {
        refused(visit, "recipient", address, rcpt);
        if (rcpt->code / 100 == 4)
            check_advise(visit->subject,
                         "the server may know more later (greylisting, a full disk): try again");
        else
            check_advise(
                visit->subject,
                "correct `recipients` (or `recipient_domain`, `map`) in the fetchrc, or make the server "
                "take mail for this address from this host");
        return;
    }
    check_found(visit->subject, "recipient", denies(vrfy) ? CHECK_WARNING : CHECK_OK, "%s: RCPT %s; VRFY %s",
                address, rcpt->text, vrfy->text);
}

/* MAIL with a few recipients, taken back with RSET. */
static int try_some(struct visit *visit, size_t first, size_t last)
{
    const struct smtp_rcpt *recipients = visit->job->rcpt;
    struct smtp_reply vrfy;
    struct smtp_reply reply;
    struct fault fault;
    size_t i;

    if (smtp_command(visit->smtp, &reply, &fault, "MAIL FROM:<%s>", visit->sender) < 0)
        goto lost;
    if (reply.code / 100 != 2) {
        refused(visit, "MAIL", visit->sender[0] != '\0' ? visit->sender : "<>", &reply);
        check_advise(visit->subject, "does the server want a login (`username`), or another `sender`?");
        return -1;
    }
    if (first == 0)
        check_found(visit->subject, "MAIL", CHECK_OK, "<%s>: %s", visit->sender, reply.text);
    for (i = first; i < last; i++) {
        if (smtp_command(visit->smtp, &vrfy, &fault, "VRFY %s", recipients[i].address) < 0 ||
            smtp_command(visit->smtp, &reply, &fault, "RCPT TO:<%s>", recipients[i].address) < 0)
            goto lost;
        tell_recipient(visit, recipients[i].address, &vrfy, &reply);
    }
    if (smtp_command(visit->smtp, &reply, &fault, "RSET") < 0)
        goto lost;
    if (last == visit->job->transaction.rcpt_count)
        check_found(visit->subject, "RSET", reply.code / 100 == 2 ? CHECK_OK : CHECK_WARNING,
                    "taken back: %s", reply.text);
    return 0;
lost:
    lost(visit, fault.stage, &fault);
    return -1;
}

static void try_recipients(struct visit *visit)
{
    size_t count = visit->job->transaction.rcpt_count;
    size_t first;
    size_t last;

    (void)json_object_set_new(visit->subject->facts, "recipients", json_array());
    for (first = 0; first < count; first = last) {
        last = count - first > RECIPIENTS_AT_ONCE ? first + RECIPIENTS_AT_ONCE : count;
        if (try_some(visit, first, last) < 0)
            return;
    }
}

/* ---- who is written to there ---- */

static bool is_among(const struct buf *names, const char *name)
{
    size_t len = strlen(name);
    const char *at = names->data;

    while (at != NULL && *at != '\0') {
        size_t line = strcspn(at, "\n");
        if (line == len && memcmp(at, name, len) == 0)
            return true;
        at += line + (at[line] == '\n');
    }
    return false;
}

static void add_name(struct buf *names, const char *name)
{
    if (name == NULL || is_among(names, name))
        return;
    (void)buf_printf(names, "%s%s", names->len > 0 ? "\n" : "", name);
}

static struct delivery_job *collect(const struct config_destination *destination,
                                    const struct config_account *const *accounts, size_t count,
                                    const char **sender)
{
    struct delivery_job *job;
    struct buf names;
    size_t i;
    size_t j;

    *sender = "";
    buf_init(&names, NAMES_MAX);
    for (i = 0; i < count; i++) {
        const struct config_account *account = accounts[i];
        if (account->destination != destination)
            continue;
        for (j = 0; j < account->recipients.count; j++)
            add_name(&names, account->recipients.items[j]);
        for (j = 0; j < account->map_count; j++)
            add_name(&names, account->map[j].to);
        add_name(&names, account->reject_recipient);
        if (strchr(account->sender, '@') != NULL)
            *sender = account->sender;
    }
    job = delivery_job_new(names.data != NULL ? names.data : "",
                           destination->protocol == CONFIG_SMTP ? destination->recipient_domain : NULL);
    buf_free(&names);
    return job;
}

/* ---- the session ---- */

static void visit_server(struct visit *visit)
{
    struct wire_certificate certificate = {.seen = false};
    const struct connect_params params = {.config = visit->check->config, .certificate = &certificate};
    const struct config_destination *destination = visit->destination;
    struct buf secret;
    struct fault fault;
    char from[512];
    int result;

    buf_init(&secret, SECRET_MAX);
    result = connect_destination_secret(visit->check->config, destination, &secret, &fault);
    if (result == 0)
        result = connect_destination(&visit->smtp, &params, destination, secret.data, &fault);
    buf_free(&secret);
    check_describe_secret(&destination->peer.secret, from, sizeof(from));
    check_connection(visit->subject, &destination->peer, from, &certificate,
                     result == 0 ? smtp_wire(visit->smtp) : NULL, result == 0 ? NULL : &fault, NULL);
    if (result < 0)
        return;
    tell_extensions(visit);
    tell_limits(visit);
    try_recipients(visit);
    smtp_quit(visit->smtp);
    smtp_close(visit->smtp);
}

void check_server(const struct check *check, const struct config_destination *destination,
                  const struct config_account *const *accounts, size_t count, struct check_subject *subject)
{
    struct visit visit = {.check = check, .destination = destination, .subject = subject};
    struct fault fault;
    char where[512];

    if (destination->socket != NULL)
        (void)snprintf(where, sizeof(where), "%s", destination->socket);
    else
        (void)snprintf(where, sizeof(where), "%s port %u", destination->peer.host, destination->peer.port);
    check_subject(subject, "destination", destination->peer.title, where);
    visit.job = collect(destination, accounts, count, &visit.sender);
    if (visit.job == NULL) {
        (void)fault_set(&fault, FAULT_OF_DESTINATION, FAULT_INTERNAL, "memory", "out of memory");
        check_fault(subject, "memory", &fault);
        return;
    }
    visit_server(&visit);
    delivery_job_free(visit.job);
}
