#include "poll/mailbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/stop.h"
#include "poll/mailbox_private.h"
#include "report/log.h"
#include "store/lock.h"

#define OWED_MAX (1024 * 1024)
#define UNKNOWN_MAX (64 * 1024) /* octets of recipients without a rule that are remembered */

static const char *title_of(const struct mailbox *mailbox)
{
    return mailbox->account->peer.title;
}

static bool dry_run(const struct mailbox *mailbox)
{
    return mailbox->params->delivery == NULL;
}

static int fail(struct mailbox *mailbox, const struct fault *fault)
{
    mailbox_fault(mailbox, fault, NULL);
    return -1;
}

static int out_of_memory(struct mailbox *mailbox)
{
    struct fault fault;

    (void)fault_set(&fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "list", "out of memory");
    return fail(mailbox, &fault);
}

/* Whether this run may poll the mailbox. */
static bool enter(struct mailbox *mailbox)
{
    struct fault fault;
    int busy = 0;

    if (!dry_run(mailbox)) {
        mailbox->lock = lock_take(mailbox->params->state_dir, mailbox->account->identity, 0, &busy, &fault);
        if (mailbox->lock < 0 && busy) {
            mailbox->outcome->busy = true;
            if (history_mailbox(mailbox->params->history, mailbox->account->identity, &mailbox->record, &fault) ==
                0)
                mailbox->outcome->last_success = mailbox->record.last_success;
            log_line(LOG_LEVEL_INFO, title_of(mailbox), "another run is polling %s",
                     mailbox->account->identity);
            return false;
        }
        if (mailbox->lock < 0) {
            (void)fail(mailbox, &fault);
            return false;
        }
    }
    if (history_mailbox(mailbox->params->history, mailbox->account->identity, &mailbox->record, &fault) < 0) {
        (void)fail(mailbox, &fault);
        return false;
    }
    mailbox->outcome->last_success = mailbox->record.last_success; /* also of one that is left alone */
    mailbox->limits.newest_receipt = mailbox->record.newest_receipt;
    if (mailbox->limits.keep_days > 0 && mailbox->limits.now < mailbox->record.newest_receipt)
        log_line(LOG_LEVEL_WARNING, title_of(mailbox),
                 "the clock stands before the newest receipt; nothing is deleted for its age");
    return !mailbox_left_alone(mailbox);
}

static int list(struct mailbox *mailbox)
{
    const struct pop3_capabilities *capabilities;
    struct fault fault;

    progress_stage(mailbox->params->progress, mailbox->slot, "listing");
    if (pop3_list(mailbox->pop3, &mailbox->listing, &fault) < 0)
        return fail(mailbox, &fault);
    capabilities = pop3_capabilities(mailbox->pop3);
    if (capabilities->login_delay_given)
        mailbox->result.login_delay = capabilities->login_delay;
    if (mailbox->limits.keep && pop3_expires_at_once(capabilities))
        log_line(LOG_LEVEL_WARNING, title_of(mailbox),
                 "%s deletes what was retrieved (EXPIRE 0), whatever keep says", mailbox->account->peer.host);
    return 0;
}

static int plan(struct mailbox *mailbox)
{
    const char **uids;
    size_t count;
    struct fault fault;
    int result;

    if (plan_uids(&mailbox->listing, &uids, &count) < 0)
        return out_of_memory(mailbox);
    if (mailbox_identify_by_top(mailbox) < 0) {
        free(uids);
        return -1;
    }
    if (mailbox->top_uids != NULL) { /* there are more identities now */
        free(uids);
        if (plan_uids(&mailbox->listing, &uids, &count) < 0)
            return out_of_memory(mailbox);
    }
    result = history_load(mailbox->params->history, mailbox->record.id, uids, count, &mailbox->rows, &fault);
    free(uids);
    if (result < 0)
        return fail(mailbox, &fault);
    if (plan_make(&mailbox->plan, &mailbox->listing, &mailbox->rows, &mailbox->limits) < 0)
        return out_of_memory(mailbox);
    mailbox->items = calloc(mailbox->plan.count + 1, sizeof(*mailbox->items));
    mailbox->deletable = calloc(mailbox->plan.count + 1, sizeof(*mailbox->deletable));
    mailbox->gone = calloc(mailbox->plan.count + 1, sizeof(*mailbox->gone));
    if (mailbox->items == NULL || mailbox->deletable == NULL || mailbox->gone == NULL)
        return out_of_memory(mailbox);
    progress_total(mailbox->params->progress, mailbox->slot, mailbox->plan.work, mailbox->plan.work_octets);
    return 0;
}

/* Who a new message will be owed to; "" where only its header will tell. */
static int default_owed(const struct config_account *account, struct buf *owed)
{
    size_t i;

    if (account->envelope_header.count > 0)
        return buf_puts(owed, "");
    for (i = 0; i < account->recipients.count; i++) {
        if ((i > 0 && buf_puts(owed, "\n") < 0) || buf_puts(owed, account->recipients.items[i]) < 0)
            return -1;
    }
    return 0;
}

static bool wants_row(const struct plan_item *item)
{
    return item->row == NULL && item->entry->uid != NULL &&
           (item->action == PLAN_RETRIEVE || item->action == PLAN_NOTICE);
}

/* The plan's rows are committed before the first MAIL: a full disk shows before anything is delivered. */
static int commit_plan(struct mailbox *mailbox)
{
    struct plan *made = &mailbox->plan;
    struct history_plan changes = {.present = made->present,
                                   .present_count = made->present_count,
                                   .another = made->another,
                                   .another_count = made->another_count,
                                   .absent = made->absent,
                                   .absent_count = made->absent_count,
                                   .forget_before = mailbox->limits.now -
                                                    mailbox->params->config->forget_after};
    struct fault fault;
    struct buf owed;
    size_t i;
    size_t fresh = 0;
    int result = 0;

    buf_init(&owed, OWED_MAX);
    changes.fresh = calloc(made->count + 1, sizeof(*changes.fresh));
    if (changes.fresh == NULL || default_owed(mailbox->account, &owed) < 0)
        result = out_of_memory(mailbox);
    for (i = 0; result == 0 && i < made->count; i++) {
        const struct plan_item *item = &made->items[i];
        if (item->row != NULL)
            mailbox->items[i].row = item->row->id;
        if (wants_row(item))
            changes.fresh[changes.fresh_count++] = (struct history_new){
                .uid = item->entry->uid, .octets = item->entry->octets, .owed = owed.data};
    }
    if (result == 0 && history_plan(mailbox->params->history, mailbox->record.id, &changes, &fault) < 0)
        result = fail(mailbox, &fault);
    for (i = 0; result == 0 && i < made->count; i++) {
        if (wants_row(&made->items[i]))
            mailbox->items[i].row = changes.fresh[fresh++].id;
        if (made->items[i].action == PLAN_DELETE)
            mailbox_may_delete(mailbox, i);
    }
    free(changes.fresh);
    buf_free(&owed);
    return result;
}

static void tell_signal(struct mailbox *mailbox)
{
    struct fault fault;
    size_t left = 0;
    size_t i;

    for (i = 0; i < mailbox->plan.count; i++) {
        enum plan_action action = mailbox->plan.items[i].action;
        if ((action == PLAN_RETRIEVE || action == PLAN_COMPARE || action == PLAN_IDENTIFY) &&
            (mailbox->items[i].state == ITEM_UNTOUCHED || mailbox->items[i].state == ITEM_LEFT))
            left++;
    }
    if (left == 0)
        return;
    (void)fault_set(&fault, FAULT_OF_MAILBOX, FAULT_RETRY, "signal",
                    "stopped by a signal, %zu messages stay on %s for the next run", left,
                    mailbox->account->peer.host);
    mailbox_fault(mailbox, &fault, NULL);
}

/* Messages were planned, but their destination was down before they were asked for. */
static void tell_untried(struct mailbox *mailbox)
{
    struct fault fault;
    size_t untried = 0;
    size_t i;

    for (i = mailbox->cursor; i < mailbox->plan.count; i++) {
        enum plan_action action = mailbox->plan.items[i].action;
        if (action == PLAN_RETRIEVE || action == PLAN_COMPARE || action == PLAN_IDENTIFY ||
            action == PLAN_NOTICE)
            untried++;
    }
    mailbox->outcome->waiting_messages += untried;
    if (untried > 0 && delivery_obstacle(mailbox->params->delivery, &fault))
        mailbox_fault(mailbox, &fault, NULL);
}

static void cross(struct mailbox *mailbox)
{
    int64_t begun = clock_ms();

    progress_stage(mailbox->params->progress, mailbox->slot, "retrieving");
    mailbox_cross(mailbox);
    mailbox_deal_with_rejected(mailbox);
    mailbox_forget_unidentified(mailbox);
    mailbox->outcome->retrieve_ms = clock_ms() - begun;
    if (stop_requested())
        tell_signal(mailbox);
    else
        tell_untried(mailbox);
}

static void story(struct mailbox *mailbox)
{
    int64_t begun = clock_ms();

    progress_stage(mailbox->params->progress, mailbox->slot, "connecting");
    if (mailbox_connect(mailbox) < 0)
        return;
    mailbox->outcome->connect_ms = clock_ms() - begun;
    begun = clock_ms();
    if (list(mailbox) < 0 || plan(mailbox) < 0)
        return;
    mailbox->outcome->list_ms = clock_ms() - begun;
    mailbox->outcome->polled = true;
    mailbox->outcome->kept += mailbox->plan.actions[PLAN_KEEP];
    mailbox->outcome->oversize += mailbox->plan.actions[PLAN_OVERSIZE] + mailbox->plan.actions[PLAN_NOTICE];
    mailbox->outcome->refused += mailbox->plan.actions[PLAN_WAIT];
    mailbox->outcome->waiting_messages += mailbox->plan.actions[PLAN_LATER];
    if (dry_run(mailbox)) {
        mailbox_show_plan(mailbox);
    } else {
        mailbox_tell_plan(mailbox);
        if (commit_plan(mailbox) < 0)
            return;
        cross(mailbox);
    }
    mailbox_quit(mailbox);
}

/* Messages that were refused before are no fault of this run, but they are in limbo: told as long as they
 * are. */
static void tell_refused_before(struct mailbox *mailbox)
{
    size_t count = mailbox->plan.actions[PLAN_WAIT];
    const char *reply = "see popferry history";
    struct fault fault;
    size_t i;

    if (count == 0)
        return;
    for (i = mailbox->plan.count; i > 0; i--) {
        const struct plan_item *item = &mailbox->plan.items[i - 1];
        if (item->action == PLAN_WAIT && item->row != NULL && item->row->reply != NULL)
            reply = item->row->reply;
    }
    (void)fault_set(&fault, FAULT_OF_MESSAGE, FAULT_REFUSED, "wait",
                    "%zu message%s refused before, waiting for the next try: %.600s", count,
                    count == 1 ? "" : "s", reply);
    outcome_fault(mailbox->outcome, &fault, true);
    log_fault(title_of(mailbox), &fault);
}

static void note_result(struct mailbox *mailbox)
{
    struct history_result *result = &mailbox->result;
    const struct outcome *outcome = mailbox->outcome;
    struct history_mailbox after = mailbox->record;
    const struct mailbox_fault *gravest = NULL;
    struct fault fault;
    size_t i;

    tell_refused_before(mailbox);
    for (i = 0; i < mailbox->fault_count; i++) {
        const struct mailbox_fault *entry = &mailbox->faults[i];
        if (gravest == NULL ||
            (fault_graver(entry->fault.class, gravest->fault.class) == entry->fault.class &&
             entry->fault.class != gravest->fault.class))
            gravest = entry;
    }
    result->success = gravest == NULL;
    result->class = gravest == NULL ? FAULT_NONE : gravest->fault.class;
    result->fault = gravest == NULL ? NULL : gravest->fault.text;
    result->messages = outcome->delivered;
    result->octets = outcome->octets;
    result->waiting = outcome->waiting_messages;
    result->refused = outcome->refused;
    result->owed_deletions = mailbox->deletable_count - mailbox->outcome->deleted;
    if (!dry_run(mailbox) && mailbox->record.id != 0 &&
        history_finish(mailbox->params->history, mailbox->record.id, result, &after, &fault) < 0)
        mailbox_fault(mailbox, &fault, NULL);
    mailbox->outcome->last_success = after.last_success;
    if (result->success && !dry_run(mailbox))
        mailbox_tell_recovery(mailbox);
    mailbox_tell_faults(mailbox, &after);
}

static void leave(struct mailbox *mailbox)
{
    size_t i;

    for (i = 0; mailbox->items != NULL && i < mailbox->plan.count; i++)
        free(mailbox->items[i].rejection);
    pop3_close(mailbox->pop3);
    plan_free(&mailbox->plan);
    history_rows_free(&mailbox->rows);
    pop3_listing_free(&mailbox->listing);
    if (mailbox->has_outbox)
        delivery_outbox_destroy(&mailbox->outbox);
    if (mailbox->lock >= 0)
        lock_release(mailbox->lock);
    free(mailbox->top_uids);
    free(mailbox->by_digest);
    free(mailbox->row_used);
    free(mailbox->items);
    free(mailbox->questions);
    free(mailbox->deletable);
    free(mailbox->gone);
    free(mailbox->faults);
    buf_free(&mailbox->unknown);
}

void mailbox_poll(const struct mailbox_params *params, struct outcome *outcome,
                  struct mailbox_shared_fault *shared)
{
    const struct config_account *account = params->account;
    struct mailbox mailbox = {
        .params = params, .account = account, .outcome = outcome, .shared = shared, .lock = -1};
    int64_t begun = clock_ms();

    mailbox.limits = (struct plan_limits){.keep = account->keep,
                                          .keep_days = account->keep_days,
                                          .max_size = account->max_size,
                                          .notice = account->oversize == CONFIG_OVERSIZE_HEADERS,
                                          .all_sizes = params->all_sizes,
                                          .max_messages = account->max_messages,
                                          .now = (int64_t)time(NULL)};
    buf_init(&mailbox.unknown, UNKNOWN_MAX);
    mailbox.slot = progress_begin(params->progress, account->peer.title);
    mailbox.has_outbox = delivery_outbox_init(&mailbox.outbox) == 0;
    if (!mailbox.has_outbox)
        (void)out_of_memory(&mailbox);
    else if (enter(&mailbox))
        story(&mailbox);
    if (!mailbox.outcome->busy && !mailbox.outcome->left_alone)
        note_result(&mailbox);
    progress_end(params->progress, mailbox.slot);
    outcome->duration_ms = clock_ms() - begun;
    if (outcome->polled && !dry_run(&mailbox))
        mailbox_tell_polled(&mailbox);
    leave(&mailbox);
}
