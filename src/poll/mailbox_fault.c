#include <stdlib.h>
#include <string.h>

#include "poll/mailbox_private.h"
#include "report/log.h"

/* The entry that stands for this fault already: the same one, or, where the table is full, the one that stands
 * for all of its class that came too late. */
static struct mailbox_fault *find(const struct mailbox *mailbox, const struct fault *fault)
{
    size_t i;

    for (i = 0; i < mailbox->fault_count; i++) {
        struct mailbox_fault *entry = &mailbox->faults[i];
        if (entry->fault.class == fault->class &&
            (i >= MAILBOX_FAULTS || strcmp(entry->fault.text, fault->text) == 0))
            return entry;
    }
    return NULL;
}

void mailbox_fault(struct mailbox *mailbox, const struct fault *fault, const char *uid)
{
    struct mailbox_fault *entry = find(mailbox, fault);

    if (entry != NULL) {
        entry->count++;
        return;
    }
    if (mailbox->faults == NULL)
        mailbox->faults = calloc(MAILBOX_FAULTS + FAULT_CLASSES, sizeof(*mailbox->faults));
    if (mailbox->faults == NULL) {
        outcome_fault(mailbox->outcome, fault, true);
        log_fault(mailbox->account->peer.title, fault);
        return;
    }
    entry = &mailbox->faults[mailbox->fault_count++];
    *entry = (struct mailbox_fault){.fault = *fault, .count = 1};
    if (uid != NULL)
        (void)fault_quote(entry->uid, sizeof(entry->uid), uid, strlen(uid));
}

static void tell(const struct mailbox *mailbox, const struct mailbox_fault *entry)
{
    struct fault fault = entry->fault;

    if (entry - mailbox->faults >= MAILBOX_FAULTS && entry->count > 1)
        (void)fault_set(&fault, fault.scope, fault.class, fault.stage,
                        "%zu more faults, the first: %.600s; see popferry history", entry->count,
                        entry->fault.text);
    else if (entry->uid[0] != '\0' && entry->count == 1)
        (void)fault_set(&fault, fault.scope, fault.class, fault.stage, "message %s: %.640s", entry->uid,
                        entry->fault.text);
    else if (entry->uid[0] != '\0')
        (void)fault_set(&fault, fault.scope, fault.class, fault.stage, "%zu messages, %s the first: %.600s",
                        entry->count, entry->uid, entry->fault.text);
    log_fault(mailbox->account->peer.title, &fault);
}

void mailbox_tell_faults(struct mailbox *mailbox, const struct history_mailbox *after)
{
    const struct config *config = mailbox->params->config;
    /* A dry run counts nowhere, and is there to be read. */
    bool calm = mailbox->params->delivery != NULL && config->report_after > 1 &&
                after->failed_runs < config->report_after;
    size_t i;

    for (i = 0; i < mailbox->fault_count; i++) {
        const struct mailbox_fault *entry = &mailbox->faults[i];
        bool counted = !(calm && entry->fault.class == FAULT_RETRY);
        outcome_fault(mailbox->outcome, &entry->fault, counted);
        /* One of them is told with the other mailboxes that met it; a second one of the same poll is told here. */
        if (counted && entry->fault.scope > FAULT_OF_MAILBOX && !mailbox->shared->met)
            *mailbox->shared = (struct mailbox_shared_fault){.met = true, .fault = entry->fault};
        else if (counted)
            tell(mailbox, entry);
        else
            log_line(LOG_LEVEL_INFO, mailbox->account->peer.title, "passing (%u in a row): %s",
                     after->failed_runs, entry->fault.text);
    }
}
