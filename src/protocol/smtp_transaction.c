#include "protocol/smtp_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/address.h"
#include "mail/envelope.h"

static void clear_told(struct smtp_transaction *transaction)
{
    size_t i;

    transaction->result = SMTP_UNDECIDED;
    transaction->stage = "";
    transaction->dot_sent = false;
    smtp_reply_clear(&transaction->reply);
    for (i = 0; i < transaction->rcpt_count; i++) {
        transaction->rcpt[i].state = SMTP_RCPT_PENDING;
        smtp_reply_clear(&transaction->rcpt[i].reply);
    }
}

static bool addresses_ok(const struct smtp_transaction *transaction)
{
    size_t i;

    if (!address_fits_brackets(transaction->sender))
        return false;
    for (i = 0; i < transaction->rcpt_count; i++)
        if (transaction->rcpt[i].address[0] == '\0' || !address_fits_brackets(transaction->rcpt[i].address))
            return false;
    return transaction->rcpt_count > 0;
}

/* RFC 6531 section 3.4: for the addresses alone; 8-bit octets in a header pass as they always did. */
static bool needs_smtputf8(const struct smtp_transaction *transaction)
{
    size_t i;

    if (envelope_address_utf8(transaction->sender))
        return true;
    for (i = 0; i < transaction->rcpt_count; i++)
        if (envelope_address_utf8(transaction->rcpt[i].address))
            return true;
    return false;
}

/* Refuse on the server's behalf what it has announced that it will not take. */
static bool refuse_here(const struct smtp *smtp, struct smtp_transaction *transaction)
{
    const struct smtp_extensions *extensions = &smtp->extensions;
    struct smtp_reply *reply = &transaction->reply;

    if (extensions->size_limit > 0 && smtp_total_octets(transaction) > extensions->size_limit) {
        transaction->stage = "SIZE";
        reply->code = 552;
        (void)snprintf(reply->enhanced, sizeof(reply->enhanced), "5.3.4");
        (void)snprintf(reply->text, sizeof(reply->text),
                       "552 5.3.4 the message has %" PRIu64 " octets, %s takes at most %" PRIu64,
                       smtp_total_octets(transaction), smtp->peer, extensions->size_limit);
    } else if (!extensions->smtputf8 && needs_smtputf8(transaction)) {
        transaction->stage = "SMTPUTF8";
        reply->code = 553;
        (void)snprintf(reply->enhanced, sizeof(reply->enhanced), "5.6.7");
        (void)snprintf(reply->text, sizeof(reply->text),
                       "553 5.6.7 an address is not ASCII, and %s does not offer SMTPUTF8", smtp->peer);
    } else {
        return false;
    }
    transaction->result = SMTP_REFUSED;
    return true;
}

static int write_mail(struct smtp *smtp, const struct smtp_transaction *transaction, struct fault *fault)
{
    const struct smtp_extensions *extensions = &smtp->extensions;
    bool eightbit = extensions->eightbitmime && message_eightbit(transaction->message);
    bool utf8 = extensions->smtputf8 && needs_smtputf8(transaction);
    char size[32] = "";

    if (extensions->size)
        (void)snprintf(size, sizeof(size), " SIZE=%" PRIu64, smtp_total_octets(transaction));
    return wire_command(smtp->wire, fault, "MAIL FROM:<%s>%s%s%s", transaction->sender, size,
                        eightbit ? " BODY=8BITMIME" : "", utf8 ? " SMTPUTF8" : "");
}

static int write_rcpt(struct smtp *smtp, const struct smtp_rcpt *rcpt, struct fault *fault)
{
    bool never = smtp->no_notify && smtp->extensions.dsn;

    return wire_command(smtp->wire, fault, "RCPT TO:<%s>%s", rcpt->address, never ? " NOTIFY=NEVER" : "");
}

static int write_batch(struct smtp *smtp, const struct smtp_transaction *transaction, struct fault *fault)
{
    size_t i;

    if (smtp->unfinished && wire_command(smtp->wire, fault, "RSET") < 0)
        return -1;
    smtp->rset_owed = smtp->unfinished;
    smtp->unfinished = false;
    if (write_mail(smtp, transaction, fault) < 0)
        return -1;
    for (i = 0; i < transaction->rcpt_count; i++)
        if (write_rcpt(smtp, &transaction->rcpt[i], fault) < 0)
            return -1;
    /* RFC 2920 section 3.1: DATA ends a batch. BDAT has to know first whether anybody is to get the chunk. */
    return smtp_uses_bdat(smtp) ? 0 : wire_command(smtp->wire, fault, "DATA");
}

int smtp_begin(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    clear_told(transaction);
    if (smtp->lost || smtp->begun != NULL)
        return smtp_misused(smtp, "MAIL", "a transaction within another", fault);
    if (!addresses_ok(transaction))
        return smtp_misused(smtp, "MAIL", "no recipient, or an address that is none", fault);
    if (refuse_here(smtp, transaction))
        return 0;
    /* Its place is behind another's dot: smtp_send() comes here again. */
    if (smtp->body != NULL)
        return 0;
    if (smtp->final == NULL && smtp_quiet(smtp, "MAIL", fault) < 0)
        return -1;
    if (smtp->extensions.pipelining && write_batch(smtp, transaction, fault) < 0)
        return smtp_lost(smtp, "MAIL", fault);
    smtp->begun = transaction;
    return 0;
}

static int read_rset(struct smtp *smtp, struct fault *fault)
{
    if (!smtp->extensions.pipelining && smtp->unfinished) {
        if (wire_command(smtp->wire, fault, "RSET") < 0)
            return smtp_lost(smtp, "RSET", fault);
        smtp->rset_owed = true;
        smtp->unfinished = false;
    }
    if (!smtp->rset_owed)
        return 0;
    smtp->rset_owed = false;
    if (smtp_read_reply(smtp, &smtp->scratch, NULL, "RSET", 0, fault) < 0)
        return -1;
    return smtp_reply_is(&smtp->scratch, 2) ? 0 : smtp_broke_protocol(smtp, "RSET", &smtp->scratch, fault);
}

static int exchange_mail(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    struct smtp_reply *reply = &transaction->reply;

    if (!smtp->extensions.pipelining &&
        (smtp_quiet(smtp, "MAIL", fault) < 0 || write_mail(smtp, transaction, fault) < 0))
        return smtp_lost(smtp, "MAIL", fault);
    transaction->stage = "MAIL";
    if (smtp_read_reply(smtp, reply, NULL, "MAIL", 0, fault) < 0)
        return -1;
    if (smtp_reply_is(reply, 2))
        smtp->unfinished = true;
    else if (smtp_reply_refuses(reply))
        transaction->result = SMTP_REFUSED;
    else
        return smtp_broke_protocol(smtp, "MAIL", reply, fault);
    return 0;
}

static int exchange_rcpt(struct smtp *smtp, struct smtp_transaction *transaction, struct smtp_rcpt *rcpt,
                         struct fault *fault)
{
    /* Behind a refused MAIL no reply to RCPT says anything of the recipient. */
    bool moot = transaction->result == SMTP_REFUSED;
    struct smtp_reply *reply = moot ? &smtp->scratch : &rcpt->reply;

    if (!smtp->extensions.pipelining) {
        if (moot)
            return 0;
        if (smtp_quiet(smtp, "RCPT", fault) < 0 || write_rcpt(smtp, rcpt, fault) < 0)
            return smtp_lost(smtp, "RCPT", fault);
    }
    if (smtp_read_reply(smtp, reply, NULL, "RCPT", 0, fault) < 0) {
        if (!moot && reply->code == 421) {
            /* It concerns the session, not the recipient. */
            transaction->stage = "RCPT";
            transaction->reply = *reply;
            smtp_reply_clear(reply);
        }
        return -1;
    }
    if (smtp_reply_is(reply, 3))
        return smtp_broke_protocol(smtp, "RCPT", reply, fault);
    if (!moot)
        rcpt->state = smtp_reply_is(reply, 2) ? SMTP_RCPT_ACCEPTED : SMTP_RCPT_REFUSED;
    return 0;
}

static int exchange_rcpts(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    bool accepted = false;
    size_t i;

    for (i = 0; i < transaction->rcpt_count; i++) {
        if (exchange_rcpt(smtp, transaction, &transaction->rcpt[i], fault) < 0)
            return -1;
        accepted = accepted || transaction->rcpt[i].state == SMTP_RCPT_ACCEPTED;
    }
    if (transaction->result == SMTP_UNDECIDED && !accepted) {
        transaction->result = SMTP_NO_RCPT;
        transaction->stage = "RCPT";
        transaction->reply = transaction->rcpt[0].reply;
    }
    return 0;
}

static int exchange_data(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    bool decided = transaction->result != SMTP_UNDECIDED;
    struct smtp_reply *reply = decided ? &smtp->scratch : &transaction->reply;

    if (!smtp->extensions.pipelining) {
        if (decided)
            return 0;
        if (smtp_quiet(smtp, "DATA", fault) < 0 || wire_command(smtp->wire, fault, "DATA") < 0)
            return smtp_lost(smtp, "DATA", fault);
    }
    if (!decided)
        transaction->stage = "DATA";
    if (smtp_read_reply(smtp, reply, NULL, "DATA", 0, fault) < 0)
        return -1;
    if (smtp_reply_is(reply, 2))
        return smtp_broke_protocol(smtp, "DATA", reply, fault);
    if (decided && smtp_reply_is(reply, 3))
        return smtp_lost_by(smtp, FAULT_RETRY, "DATA",
                            "refused the sender or all recipients, and yet asked for the text at", reply,
                            fault);
    if (!decided)
        transaction->result = smtp_reply_is(reply, 3) ? SMTP_READY : SMTP_REFUSED;
    return 0;
}

int smtp_ready(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    if (transaction->result != SMTP_UNDECIDED && smtp->begun != transaction)
        return 0; /* refused by smtp_begin() */
    if (smtp->lost || smtp->begun != transaction || smtp->final != NULL)
        return smtp_misused(smtp, "MAIL", "a transaction's replies out of order", fault);
    smtp->begun = NULL;
    if (read_rset(smtp, fault) < 0 || exchange_mail(smtp, transaction, fault) < 0 ||
        exchange_rcpts(smtp, transaction, fault) < 0)
        return -1;
    if (!smtp_uses_bdat(smtp)) {
        if (exchange_data(smtp, transaction, fault) < 0)
            return -1;
    } else if (transaction->result == SMTP_UNDECIDED) {
        transaction->result = SMTP_READY;
    }
    if (transaction->result == SMTP_READY)
        smtp->body = transaction;
    return 0;
}
