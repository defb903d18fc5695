#include <stdio.h>
#include <string.h>

#include "mail/header.h"
#include "poll/mailbox_private.h"
#include "report/human.h"

#define NOTICE_MEMORY (64 * 1024)
#define PREFIX "X-Original-"

/* Fields that say how a body is to be read: they are true of the message, not of the text that stands in for
 * it. */
static bool describes_body(const struct header_field *field)
{
    return header_is(field, "MIME-Version") ||
           (field->name_len > 8 && header_equal(field->name, 8, "Content-"));
}

static int write_fields(struct message *notice, const struct message *original, struct fault *fault)
{
    struct header_field field;
    size_t at = 0;
    size_t len;
    const char *header = message_header(original, &len);

    while (header_next(header, len, &at, &field)) {
        if (header_is(&field, "Return-Path"))
            continue; /* nobody but this host is to hear of a notice */
        if (describes_body(&field) && message_write(notice, PREFIX, strlen(PREFIX), fault) < 0)
            return -1;
        if (message_write(notice, field.start, field.size, fault) < 0)
            return -1;
    }
    /* A header that was cut ends within a line. */
    return len > 0 && header[len - 1] != '\n' ? message_write(notice, "\r\n", 2, fault) : 0;
}

static int write_text(struct message *notice, const struct mailbox *mailbox, size_t item, struct fault *fault)
{
    unsigned long long octets = mailbox->plan.items[item].entry->octets;
    const struct config_peer *peer = &mailbox->account->peer;
    char human[HUMAN_SIZE];
    char text[2048];
    int n = snprintf(
        text, sizeof(text),
        "X-Popferry-Oversize: %llu\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\n"
        "This message has %llu octets (%s). That is more than max_size allows,\r\n"
        "so it stays on %.300s and only its header was delivered.\r\n"
        "To get all of it:\r\n\r\n    popferry run --all-sizes %.200s\r\n",
        octets, octets, human_octets(human, octets), peer->host, peer->title);

    if (n < 0 || (size_t)n >= sizeof(text))
        return fault_set(fault, FAULT_OF_MESSAGE, FAULT_INTERNAL, "TOP",
                         "the notice of its size is too long");
    return message_write(notice, text, (size_t)n, fault);
}

struct message *mailbox_notice(struct mailbox *mailbox, size_t item, struct message *header)
{
    struct message *notice = message_new(0, NOTICE_MEMORY, UINT64_MAX);
    struct fault fault;

    if (notice == NULL) {
        (void)fault_set(&fault, FAULT_OF_MESSAGE, FAULT_INTERNAL, "TOP", "out of memory");
        mailbox_leave(mailbox, item, &fault);
    } else if (write_fields(notice, header, &fault) < 0 || write_text(notice, mailbox, item, &fault) < 0 ||
               message_finish(notice, &fault) < 0) {
        message_free(notice);
        notice = NULL;
        mailbox_leave(mailbox, item, &fault);
    }
    message_free(header);
    return notice;
}
