#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "poll/mailbox_private.h"
#include "report/log.h"

#define UNKNOWN_TOLD 50 /* unknown recipients that are told in one run; a hostile header may name any number */

struct multidrop {
    struct mailbox *mailbox;
    struct buf *owed;
};

static void add_recipient(struct buf *owed, const char *recipient)
{
    if (owed->len > 0)
        (void)buf_puts(owed, "\n");
    (void)buf_puts(owed, recipient);
}

static void take_recipient(void *context, const char *recipient)
{
    struct multidrop *multidrop = context;

    add_recipient(multidrop->owed, recipient);
}

/* Whether the address was met in this run before; it is remembered. */
static bool met_before(struct mailbox *mailbox, const char *address)
{
    const struct buf *met = &mailbox->unknown;
    size_t at;

    for (at = 0; at < met->len; at += strlen(met->data + at) + 1) {
        if (strcasecmp(met->data + at, address) == 0)
            return true;
    }
    return buf_append(&mailbox->unknown, address, strlen(address) + 1) < 0;
}

static void unknown_recipient(void *context, const char *address)
{
    struct multidrop *multidrop = context;
    struct mailbox *mailbox = multidrop->mailbox;
    const char *title = mailbox->account->peer.title;
    char quoted[300];

    if (mailbox->unknown_count > UNKNOWN_TOLD || met_before(mailbox, address))
        return;
    (void)fault_quote(quoted, sizeof(quoted), address, strlen(address));
    if (++mailbox->unknown_count <= UNKNOWN_TOLD)
        log_line(LOG_LEVEL_WARNING, title, "no map rule for <%s>", quoted);
    else
        log_line(LOG_LEVEL_WARNING, title, "no map rule for <%s>, nor for others that are not told any more",
                 quoted);
}

static void all_recipients(const struct config_account *account, struct buf *owed)
{
    size_t i;

    for (i = 0; i < account->recipients.count; i++)
        add_recipient(owed, account->recipients.items[i]);
}

void mailbox_recipients(struct mailbox *mailbox, const struct message *message, struct buf *owed)
{
    const struct config_account *account = mailbox->account;
    struct multidrop multidrop = {mailbox, owed};
    struct envelope_map *map;
    const char *header;
    size_t len;
    size_t i;

    if (account->envelope_header.count > 0) {
        map = calloc(account->map_count + 1, sizeof(*map));
        for (i = 0; map != NULL && i < account->map_count; i++)
            map[i] = (struct envelope_map){account->map[i].from, account->map[i].to};
        header = message_header(message, &len);
        if (map != NULL)
            (void)envelope_multidrop(header, len, (const char *const *)account->envelope_header.items,
                                     account->envelope_header.count, map, account->map_count, take_recipient,
                                     unknown_recipient, &multidrop);
        free(map);
    }
    if (owed->len == 0)
        all_recipients(account, owed);
}
