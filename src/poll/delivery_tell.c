#include <stdio.h>
#include <string.h>

#include "poll/delivery_private.h"
#include "report/log.h"

#define RECIPIENTS_MAX (64 * 1024)

/* Those who have it, or those who do not, separated by ','. */
static void list(const struct delivery_job *job, bool have_it, struct buf *out)
{
    size_t i;

    buf_init(out, RECIPIENTS_MAX);
    (void)buf_puts(out, "");
    for (i = 0; i < job->transaction.rcpt_count; i++) {
        if ((job->rcpt[i].state == SMTP_RCPT_DELIVERED) == have_it)
            (void)buf_printf(out, "%s%s", out->len > 0 ? "," : "", job->rcpt[i].address);
    }
}

static void tell_delivered(const struct delivery_job *job, int64_t duration)
{
    const char *reply = job->transaction.reply.text;
    bool notice = job->recorded_state == HISTORY_NOTICED;
    char queue_id[64];
    char text[1024];
    struct buf recipients;
    struct log_event event = {.event = notice ? "notice" : "delivered",
                              .uidl = job->uid,
                              .size = (int64_t)job->octets,
                              .smtp_reply = reply,
                              .duration = duration,
                              .text = text};

    list(job, true, &recipients);
    event.recipients = recipients.data;
    smtp_parse_queue_id(reply, queue_id, sizeof(queue_id));
    event.queue_id = queue_id[0] != '\0' ? queue_id : NULL;
    (void)snprintf(text, sizeof(text), "%s %.200s (%llu octets) delivered to %.200s: %.500s",
                   notice ? "notice of message" : "message", job->uid, (unsigned long long)job->octets,
                   recipients.data != NULL ? recipients.data : "", reply);
    log_event(LOG_LEVEL_INFO, job->account, &event);
    buf_free(&recipients);
}

/* As text these are told when the mailbox ends, equal ones together. */
static void tell_undelivered(const struct delivery_job *job, const char *reply, int64_t duration)
{
    struct buf recipients;
    struct log_event event = {.event = job->fault.class == FAULT_REFUSED ? "refused" : "deferred",
                              .uidl = job->uid,
                              .size = (int64_t)job->octets,
                              .smtp_reply = reply,
                              .duration = duration};

    list(job, false, &recipients);
    event.recipients = recipients.data;
    log_event(LOG_LEVEL_INFO, job->account, &event);
    buf_free(&recipients);
}

void delivery_tell(const struct delivery_job *job, const struct history_receipt *receipt, int64_t duration)
{
    if (!log_tells(LOG_LEVEL_INFO) || job->row == 0) /* on_reject tells of its wrappers itself */
        return;
    if (receipt->delivered)
        tell_delivered(job, duration);
    if (job->outcome == DELIVERY_OWED || job->outcome == DELIVERY_REFUSED ||
        job->outcome == DELIVERY_DEFERRED)
        tell_undelivered(job, receipt->reply, duration);
}
