#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/stop.h"
#include "poll/connect.h"
#include "poll/mailbox_private.h"
#include "report/log.h"

/* A server may need a moment to see that the session before has ended, and to open the mailbox again. */
#define LOGINS 4
#define LOGIN_PAUSE_MS 250
#define TIMEOUT_MOST 10 /* seconds: one that has stalled already does not hold the run for as long again */

static bool quit_would_lose_mail(const struct mailbox *mailbox)
{
    return mailbox->retrieved_only > 0 && pop3_expires_at_once(pop3_capabilities(mailbox->pop3));
}

static void on_quit(struct mailbox *mailbox, const struct pop3_reply *reply)
{
    struct fault fault;

    if (!reply->ok) {
        (void)fault_set(&fault, FAULT_OF_MAILBOX, FAULT_RETRY, "QUIT", "%s did not confirm the deletions: %s",
                        mailbox->account->peer.host, reply->text);
        mailbox_fault(mailbox, &fault, NULL);
        return;
    }
    mailbox->outcome->deleted += mailbox->marked;
    mailbox_tell_deleted(mailbox);
    if (mailbox->gone_count > 0 &&
        history_gone(mailbox->params->history, mailbox->gone, mailbox->gone_count, &fault) < 0)
        mailbox_fault(mailbox, &fault, NULL);
}

/* The last DELEs and QUIT in one batch; QUIT's +OK means that the deletions stand. */
static void quit(struct mailbox *mailbox)
{
    struct pop3_reply reply;
    struct fault fault;
    bool deletions;
    int result;

    progress_stage(mailbox->params->progress, mailbox->slot, "deleting");
    while (mailbox->pop3 != NULL && mailbox->deletable_first < mailbox->deletable_count) {
        (void)mailbox_ask_deletions(mailbox, true);
        while (mailbox->pop3 != NULL && mailbox->deletable_first < mailbox->deletable_count &&
               mailbox->question_count > 0)
            (void)mailbox_read_reply(mailbox);
    }
    if (mailbox->pop3 == NULL)
        return;
    result = pop3_ask(mailbox->pop3, POP3_QUIT, 0, 0, &fault);
    while (result == 0 && mailbox->question_count > 0)
        result = mailbox_read_reply(mailbox);
    if (mailbox->pop3 == NULL)
        return;
    deletions = mailbox->marked > 0 || mailbox->question_count > 0;
    if (result == 0)
        result = pop3_reply(mailbox->pop3, &reply, &fault);
    if (result == 0 && (deletions || reply.ok))
        on_quit(mailbox, &reply);
    else if (deletions)
        mailbox_lost(mailbox, &fault);
    else
        log_line(LOG_LEVEL_INFO, mailbox->account->peer.title,
                 "QUIT was not confirmed, but nothing was to be deleted");
}

static int by_uid(const void *a, const void *b)
{
    const struct pop3_entry *const *x = a;
    const struct pop3_entry *const *y = b;

    return strcmp((*x)->uid, (*y)->uid);
}

/* The entries that have a UID, sorted by it. NULL: memory is short. */
static const struct pop3_entry **sort_by_uid(const struct pop3_listing *listing, size_t *count)
{
    const struct pop3_entry **sorted = calloc(listing->count + 1, sizeof(*sorted));
    size_t i;

    *count = 0;
    for (i = 0; sorted != NULL && i < listing->count; i++) {
        if (listing->entries[i].uid != NULL)
            sorted[(*count)++] = &listing->entries[i];
    }
    if (*count > 1)
        qsort(sorted, *count, sizeof(*sorted), by_uid);
    return sorted;
}

/* The same message in the new session: the one with that UID, and of that size. NULL: none that is surely it. */
static const struct pop3_entry *find(const struct pop3_entry *const *sorted, size_t count,
                                     const struct pop3_entry *entry)
{
    const struct pop3_entry *const *found =
        entry->uid == NULL || count == 0 ? NULL : bsearch(&entry, sorted, count, sizeof(*sorted), by_uid);

    if (found == NULL || (found > sorted && by_uid(found, found - 1) == 0) ||
        (found + 1 < sorted + count && by_uid(found, found + 1) == 0))
        return NULL;
    return (*found)->has_octets && entry->has_octets && (*found)->octets == entry->octets ? *found : NULL;
}

/* Numbers are good for one session only. What is not there any more needs no DELE, and what has changed waits for
 * the next run; both are absent for now, so that nothing is deleted unread should their UIDs come back. Returns -1
 * if memory is short. */
static int renumber(struct mailbox *mailbox, const struct pop3_listing *listing)
{
    struct history_plan changes = {.absent = mailbox->gone}; /* which has room for all of them */
    struct fault fault;
    size_t count;
    size_t kept = 0;
    size_t i;
    const struct pop3_entry **sorted = sort_by_uid(listing, &count);

    if (sorted == NULL)
        return -1;
    for (i = 0; i < mailbox->deletable_count; i++) {
        size_t item = mailbox->deletable[i];
        struct pop3_entry *entry =
            &mailbox->listing.entries[mailbox->plan.items[item].entry - mailbox->listing.entries];
        const struct pop3_entry *now = find(sorted, count, entry);
        mailbox->items[item].marked = false;
        if (item + 1 == mailbox->poison)
            continue;
        if (now == NULL) {
            mailbox->gone[changes.absent_count++] = mailbox->items[item].row;
            continue;
        }
        entry->number = now->number;
        mailbox->deletable[kept++] = item;
    }
    free(sorted);
    mailbox->deletable_count = kept;
    mailbox->deletable_first = 0;
    mailbox->marked = mailbox->gone_count = 0;
    if (changes.absent_count > 0 &&
        history_plan(mailbox->params->history, mailbox->record.id, &changes, &fault) < 0)
        mailbox_fault(mailbox, &fault, NULL); /* what was delivered and could not be recorded must go all the same */
    return 0;
}

static int connect_again(struct mailbox *mailbox, struct fault *fault)
{
    static const struct timespec pause = {.tv_nsec = LOGIN_PAUSE_MS * 1000000L};
    struct config hasty = *mailbox->params->config;
    const struct connect_params params = {.config = &hasty, .state_dir = mailbox->params->state_dir};
    struct pop3_login login;
    unsigned tries;

    if (hasty.timeout > TIMEOUT_MOST)
        hasty.timeout = TIMEOUT_MOST;
    for (tries = 1;; tries++) {
        if (connect_mailbox(&mailbox->pop3, &params, mailbox->account, &login, fault) == 0)
            return 0;
        if (tries == LOGINS || !login.refused || login.code == POP3_CODE_AUTH || stop_requested())
            return -1;
        (void)nanosleep(&pause, NULL);
    }
}

/* A message that breaks every session that asks for it or deletes it, or that must not go with QUIT, would
 * keep all the others from ever being deleted. So they get a session of their own, in which nothing is
 * retrieved, and the one whose DELE was not answered is left for the next run. */
static void delete_in_another_session(struct mailbox *mailbox)
{
    struct pop3_listing listing = {0};
    struct fault fault;

    pop3_close(mailbox->pop3);
    mailbox->pop3 = NULL;
    if (connect_again(mailbox, &fault) < 0 || pop3_list(mailbox->pop3, &listing, &fault) < 0) {
        log_line(LOG_LEVEL_INFO, mailbox->account->peer.title, "the deletions wait for the next run: %s",
                 fault.text);
        return;
    }
    mailbox->retrieved_only = 0;
    if (renumber(mailbox, &listing) == 0)
        quit(mailbox);
    pop3_listing_free(&listing);
}

void mailbox_quit(struct mailbox *mailbox)
{
    if (mailbox->pop3 != NULL && !quit_would_lose_mail(mailbox)) {
        quit(mailbox);
        if (mailbox->pop3 != NULL || mailbox->poison == 0)
            return;
    }
    if (mailbox->pop3 != NULL)
        log_line(LOG_LEVEL_INFO, mailbox->account->peer.title,
                 "no QUIT: the server would delete mail that was not delivered (EXPIRE 0)");
    /* Where there is a LOGIN-DELAY the server lets nobody in so soon. */
    if (mailbox->deletable_count > (mailbox->poison != 0) && mailbox->result.login_delay == 0 &&
        !stop_requested())
        delete_in_another_session(mailbox);
}
