#include <stdio.h>
#include <string.h>

#include "poll/mailbox_private.h"
#include "report/human.h"
#include "report/log.h"

static const char *title_of(const struct mailbox *mailbox)
{
    return mailbox->account->peer.title;
}

/* A message and what became of it. what: "stays: ..." */
static void tell_message(const struct mailbox *mailbox, enum log_level level, const char *name, size_t item,
                         const char *what)
{
    const struct pop3_entry *entry = mailbox->plan.items[item].entry;
    char octets[HUMAN_SIZE];
    char text[512];
    struct log_event event = {.event = name,
                              .uidl = mailbox_uid(mailbox, item),
                              .size = entry->has_octets ? (int64_t)entry->octets : -1,
                              .duration = -1,
                              .text = text};

    if (entry->has_octets)
        (void)snprintf(text, sizeof(text), "message %.200s (%s) %s", event.uidl,
                       human_octets(octets, entry->octets), what);
    else
        (void)snprintf(text, sizeof(text), "message %.200s %s", event.uidl, what);
    log_event(level, title_of(mailbox), &event);
}

void mailbox_tell_plan(const struct mailbox *mailbox)
{
    size_t i;

    if (!log_tells(LOG_LEVEL_INFO))
        return;
    for (i = 0; i < mailbox->plan.count; i++) {
        switch (mailbox->plan.items[i].action) {
        case PLAN_OVERSIZE:
            tell_message(mailbox, LOG_LEVEL_INFO, "oversize", i, "stays: it is over max_size");
            break;
        case PLAN_WAIT:
            tell_message(mailbox, LOG_LEVEL_INFO, "skipped", i, "waits: it was refused before");
            break;
        case PLAN_LATER:
            tell_message(mailbox, LOG_LEVEL_DEBUG, "skipped", i, "waits: this run has max_messages already");
            break;
        case PLAN_KEEP: /* thousands of them in each run */
            tell_message(mailbox, LOG_LEVEL_DEBUG, "kept", i, "stays: it was delivered before");
            break;
        default: break;
        }
    }
}

/* "gmx: 312 messages: 12 to retrieve (1.2 MB), 300 kept" */
static void show_counts(const struct mailbox *mailbox)
{
    const size_t *actions = mailbox->plan.actions;
    const struct {
        size_t count;
        const char *what;
    } rest[] = {
        {actions[PLAN_COMPARE] + actions[PLAN_IDENTIFY], "to compare"},
        {actions[PLAN_DELETE], "to delete"},
        {actions[PLAN_KEEP], "kept"},
        {actions[PLAN_WAIT], "refused before"},
        {actions[PLAN_OVERSIZE] + actions[PLAN_NOTICE], "over max_size"},
        {actions[PLAN_LATER], "beyond max_messages"},
    };
    char octets[HUMAN_SIZE];
    size_t i;

    (void)printf("%s: %zu message%s: %zu to retrieve", title_of(mailbox), mailbox->plan.count,
                 mailbox->plan.count == 1 ? "" : "s", actions[PLAN_RETRIEVE]);
    if (mailbox->plan.work_octets > 0)
        (void)printf(" (%s)", human_octets(octets, mailbox->plan.work_octets));
    for (i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        if (rest[i].count > 0)
            (void)printf(", %zu %s", rest[i].count, rest[i].what);
    }
    (void)putchar('\n');
}

void mailbox_show_plan(const struct mailbox *mailbox)
{
    static const char *const names[] = {
        [PLAN_RETRIEVE] = "retrieve",
        [PLAN_COMPARE] = "compare",
        [PLAN_IDENTIFY] = "compare",
        [PLAN_DELETE] = "delete",
        [PLAN_NOTICE] = "notice",
        [PLAN_KEEP] = "keep",
        [PLAN_WAIT] = "refused before",
        [PLAN_OVERSIZE] = "over max_size",
        [PLAN_LATER] = "beyond max_messages",
    };
    char uid[128];
    size_t i;

    flockfile(stdout); /* the lines of a mailbox stay together */
    show_counts(mailbox);
    for (i = 0; log_tells(LOG_LEVEL_INFO) && i < mailbox->plan.count; i++) {
        const struct plan_item *item = &mailbox->plan.items[i];
        (void)fault_quote(uid, sizeof(uid), mailbox_uid(mailbox, i), strlen(mailbox_uid(mailbox, i)));
        (void)printf("%s: message %u, UID %s, %llu octets: %s\n", title_of(mailbox), item->entry->number, uid,
                     (unsigned long long)item->entry->octets, names[item->action]);
    }
    funlockfile(stdout);
}

void mailbox_tell_deleted(const struct mailbox *mailbox)
{
    size_t i;

    for (i = 0; log_tells(LOG_LEVEL_INFO) && i < mailbox->plan.count; i++) {
        if (mailbox->items[i].marked)
            tell_message(mailbox, LOG_LEVEL_INFO, "deleted", i, "deleted");
    }
}

void mailbox_tell_polled(const struct mailbox *mailbox)
{
    const struct outcome *outcome = mailbox->outcome;
    char text[256];
    struct log_event event = {
        .event = "polled", .size = (int64_t)outcome->octets, .duration = outcome->duration_ms, .text = text};

    (void)snprintf(text, sizeof(text), "%llu delivered, %llu deleted, %llu kept, %llu refused, %llu waiting",
                   (unsigned long long)outcome->delivered, (unsigned long long)outcome->deleted,
                   (unsigned long long)outcome->kept, (unsigned long long)outcome->refused,
                   (unsigned long long)outcome->waiting_messages);
    log_event(LOG_LEVEL_INFO, title_of(mailbox), &event);
}

/* Whoever was told of a fault that report_after kept back at first, or that was permanent, is told its end.
 * Where every failed run is told anyhow, a run that says nothing says enough. */
void mailbox_tell_recovery(const struct mailbox *mailbox)
{
    const struct history_mailbox *record = &mailbox->record;
    unsigned report_after = mailbox->params->config->report_after;
    bool told = record->failed_runs >= report_after ||
                strcmp(record->last_fault_class, fault_class_name(FAULT_RETRY)) != 0;
    char text[64];
    struct log_event event = {.event = "recovered", .size = -1, .duration = -1, .text = text};

    if (record->failed_runs == 0)
        return;
    (void)snprintf(text, sizeof(text), "recovered after %u failed run%s", record->failed_runs,
                   record->failed_runs == 1 ? "" : "s");
    log_event(told && report_after > 1 ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, title_of(mailbox), &event);
}
