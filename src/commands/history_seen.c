#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "commands/history_private.h"
#include "poll/connect.h"
#include "poll/plan.h"
#include "store/lock.h"

/* What has an identity, as history_seen() wants it. plan_uids() takes the identity from UIDs that stand
 * twice. */
struct marks {
    const char **uids;
    uint64_t *octets;
    size_t count;
};

static int collect(struct pop3_listing *listing, struct marks *marks, struct fault *fault)
{
    const char **sorted = NULL;
    size_t count;
    size_t i;

    marks->uids = calloc(listing->count + 1, sizeof(*marks->uids));
    marks->octets = calloc(listing->count + 1, sizeof(*marks->octets));
    if (marks->uids == NULL || marks->octets == NULL || plan_uids(listing, &sorted, &count) < 0)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "list", "out of memory");
    free(sorted);
    for (i = 0; i < listing->count; i++) {
        if (listing->entries[i].uid == NULL)
            continue;
        marks->uids[marks->count] = listing->entries[i].uid;
        marks->octets[marks->count++] = listing->entries[i].octets;
    }
    if (listing->count > 0 && marks->count == 0)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_PROTOCOL, "UIDL",
                         "the server gives messages no identity (UIDL), so none can be marked as seen");
    return 0;
}

static int mark(struct chronicle *chronicle, const struct config_account *account,
                struct pop3_listing *listing)
{
    struct marks marks = {.count = 0};
    const char *title = account->peer.title;
    uint64_t changed = 0;
    struct fault fault;
    int status = EX_OK;

    if (collect(listing, &marks, &fault) < 0) {
        status = history_tell(title, &fault);
    } else if (history_may(chronicle->options,
                           "Mark the %zu messages of %s as seen, so that they are never fetched?",
                           marks.count, title)) {
        if (history_seen(chronicle->history, account->identity, marks.uids, marks.octets, marks.count,
                         &changed, &fault) < 0)
            status = history_tell(title, &fault);
        else
            (void)printf("%zu message%s marked as seen\n", marks.count, marks.count == 1 ? "" : "s");
        if (marks.count < listing->count)
            log_line(LOG_LEVEL_WARNING, title,
                     "%zu messages have no identity of their own and could not be marked",
                     listing->count - marks.count);
    }
    free(marks.uids);
    free(marks.octets);
    return status;
}

static int list_and_mark(struct chronicle *chronicle, const struct config_account *account)
{
    const struct connect_params params = {.config = chronicle->config, .state_dir = chronicle->state_dir};
    struct pop3_listing listing;
    struct pop3_login login;
    struct pop3_reply reply;
    struct pop3 *pop3;
    struct fault fault;
    int status;

    if (connect_mailbox(&pop3, &params, account, &login, &fault) < 0)
        return history_tell(account->peer.title, &fault);
    if (pop3_list(pop3, &listing, &fault) < 0) {
        status = history_tell(account->peer.title, &fault);
    } else {
        status = mark(chronicle, account, &listing);
        /* Nothing was marked for deletion: whatever QUIT says, nothing has changed there. */
        if (pop3_ask(pop3, POP3_QUIT, 0, 0, &fault) == 0)
            (void)pop3_reply(pop3, &reply, &fault);
        pop3_listing_free(&listing);
    }
    pop3_close(pop3);
    return status;
}

int history_do_seen(struct chronicle *chronicle)
{
    const struct config_account *account =
        command_find_account(chronicle->config, chronicle->options->arguments[0]);
    struct fault fault;
    int status = EX_USAGE;
    int lock;

    if (account == NULL)
        return EX_USAGE;
    lock = history_hold(chronicle, account->identity, &status);
    if (lock < 0)
        return status;
    if (wire_global_init(&fault) < 0) {
        status = history_tell(NULL, &fault);
    } else {
        status = list_and_mark(chronicle, account);
        wire_global_cleanup();
    }
    lock_release(lock);
    return status;
}
