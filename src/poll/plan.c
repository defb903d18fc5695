#include "poll/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define DAY 86400

static int by_uid(const void *a, const void *b)
{
    const struct pop3_entry *const *x = a;
    const struct pop3_entry *const *y = b;

    return strcmp((*x)->uid, (*y)->uid);
}

/* The entries that have a UID, sorted by it; *count of them. NULL when there is none or memory is short. */
static struct pop3_entry **sorted_entries(const struct pop3_listing *listing, size_t *count)
{
    struct pop3_entry **sorted = malloc((listing->count + 1) * sizeof(struct pop3_entry *));
    size_t i;

    *count = 0;
    if (sorted == NULL)
        return NULL;
    for (i = 0; i < listing->count; i++) {
        if (listing->entries[i].uid != NULL)
            sorted[(*count)++] = &listing->entries[i];
    }
    qsort(sorted, *count, sizeof(*sorted), by_uid);
    return sorted;
}

int plan_uids(struct pop3_listing *listing, const char ***uids, size_t *count)
{
    size_t sorted_count;
    struct pop3_entry **sorted = sorted_entries(listing, &sorted_count);
    const char **result = malloc((listing->count + 1) * sizeof(char *));
    size_t i;
    size_t end;

    *uids = NULL;
    *count = 0;
    if (sorted == NULL || result == NULL) {
        free(sorted);
        free(result);
        return -1;
    }
    for (i = 0; i < sorted_count; i = end) {
        const char *uid = sorted[i]->uid;
        for (end = i + 1; end < sorted_count && strcmp(sorted[end]->uid, uid) == 0; end++)
            continue;
        if (end == i + 1) {
            result[(*count)++] = uid;
            continue;
        }
        for (; i < end; i++)
            sorted[i]->uid = NULL;
    }
    free(sorted);
    *uids = result;
    return 0;
}

bool plan_may_delete(const struct history_row *row, const struct plan_limits *limits)
{
    if (row->state != HISTORY_RECORDED && row->state != HISTORY_GONE && row->state != HISTORY_QUARANTINED)
        return false;
    if (limits->keep_days > 0) {
        if (limits->now < limits->newest_receipt)
            return false;
        return row->delivered + (int64_t)limits->keep_days * DAY <= limits->now;
    }
    return !limits->keep;
}

bool plan_oversize(const struct pop3_entry *entry, const struct plan_limits *limits)
{
    return limits->max_size > 0 && !limits->all_sizes && entry->octets > limits->max_size;
}

bool plan_waits(const struct history_row *row, int64_t now)
{
    return row->refusals > 1 && clock_waits(row->retry_at, now);
}

bool plan_another(const struct pop3_entry *entry, const struct history_row *row)
{
    return (row->absent || row->returned) && entry->has_octets && row->octets != 0 &&
           entry->octets != row->octets;
}

/* What to do with a message that nothing was recorded about, or that is still owed to somebody. */
static enum plan_action action_of_new(const struct pop3_entry *entry, const struct history_row *row,
                                      const struct plan_limits *limits)
{
    /* Where some recipients have it already, its size is no question for the others. */
    if (plan_oversize(entry, limits) && (row == NULL || row->delivered == 0))
        return limits->notice ? PLAN_NOTICE : PLAN_OVERSIZE;
    if (row != NULL && plan_waits(row, limits->now) && !plan_another(entry, row))
        return PLAN_WAIT;
    return PLAN_RETRIEVE;
}

/* What is to be read again for its own sake must have its old digest, and be small enough. */
static bool may_be_reread(const struct pop3_entry *entry, const struct history_row *row,
                          const struct plan_limits *limits)
{
    return row->has_digest && !plan_oversize(entry, limits);
}

static enum plan_action action_of_known(const struct pop3_entry *entry, const struct history_row *row,
                                        const struct plan_limits *limits)
{
    bool resized = entry->has_octets && entry->octets != row->octets;
    bool away = row->absent || row->returned;

    switch (row->state) {
    case HISTORY_LISTED:
        return action_of_new(entry, row, limits);
    case HISTORY_SEEN:
        if (!plan_another(entry, row))
            return PLAN_KEEP;
        return row->has_digest ? PLAN_COMPARE : action_of_new(entry, NULL, limits);
    case HISTORY_NOTICED:
        if (plan_another(entry, row))
            return action_of_new(entry, NULL, limits);
        if (!plan_oversize(entry, limits))
            return plan_waits(row, limits->now) ? PLAN_WAIT : PLAN_RETRIEVE;
        return PLAN_KEEP;
    case HISTORY_GONE:
        return PLAN_COMPARE;
    case HISTORY_RECORDED:
    case HISTORY_QUARANTINED:
        break;
    }
    if (resized)
        return PLAN_COMPARE;
    /* A server that forgot a UID may give it to another message, which would be deleted unread, or kept. */
    if (!plan_may_delete(row, limits))
        return away && may_be_reread(entry, row, limits) ? PLAN_COMPARE : PLAN_KEEP;
    return entry->has_octets && !away ? PLAN_DELETE : PLAN_COMPARE;
}

static void decide(struct plan_item *item, const struct pop3_entry *entry, const struct history_row *row,
                   const struct plan_limits *limits)
{
    item->entry = entry;
    item->row = row;
    if (entry->uid == NULL)
        item->action = plan_oversize(entry, limits) ? PLAN_OVERSIZE : PLAN_IDENTIFY;
    else if (row == NULL)
        item->action = action_of_new(entry, NULL, limits);
    else
        item->action = action_of_known(entry, row, limits);
    /* A header that is unknown: the message may be known all the same, by a UID or by its whole digest. */
    if (row == NULL && item->action == PLAN_RETRIEVE &&
        strncmp(entry->uid, PLAN_TOP_UID, strlen(PLAN_TOP_UID)) == 0)
        item->action = PLAN_IDENTIFY;
    /* A known message that must be read again to be known: too large is too large. */
    if (item->action == PLAN_COMPARE && plan_oversize(entry, limits))
        item->action = PLAN_OVERSIZE;
}

static unsigned stumbles(const struct plan_item *item)
{
    return item->row != NULL ? item->row->stumbles : 0;
}

static int by_turn(const void *a, const void *b)
{
    const struct plan_item *x = a;
    const struct plan_item *y = b;

    if (stumbles(x) != stumbles(y))
        return stumbles(x) < stumbles(y) ? -1 : 1;
    if (x->unread != y->unread)
        return x->unread ? -1 : 1;
    if (x->entry->number != y->entry->number)
        return x->entry->number < y->entry->number ? -1 : 1;
    return 0;
}

static bool is_work(enum plan_action action)
{
    return action == PLAN_RETRIEVE || action == PLAN_COMPARE || action == PLAN_IDENTIFY;
}

/* Apply max_messages and count. */
static void finish(struct plan *plan, const struct plan_limits *limits)
{
    bool kept = limits->keep || limits->keep_days > 0;
    size_t counted = 0;
    size_t i;

    for (i = 0; i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        bool counts = is_work(item->action) && (!kept || item->action == PLAN_RETRIEVE);
        if (counts && limits->max_messages > 0 && counted++ >= limits->max_messages)
            item->action = PLAN_LATER;
        plan->actions[item->action]++;
        if (is_work(item->action)) {
            plan->work++;
            plan->work_octets += item->entry->octets;
        }
    }
}

/* Rows known by their digest alone are absent only if no message turns out to have it; see
 * mailbox_identity.c. */
static void note_absent(struct plan *plan, const struct history_row *row)
{
    if (!row->absent && strncmp(row->uid, PLAN_DIGEST_UID, strlen(PLAN_DIGEST_UID)) != 0)
        plan->absent[plan->absent_count++] = row->id;
}

/* Walk the sorted entries beside the sorted rows: a row for each entry that has one, the other rows are
 * absent. */
static void merge(struct plan *plan, struct pop3_entry *const *sorted, size_t count,
                  const struct history_rows *rows, const struct plan_limits *limits)
{
    size_t row = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        const struct history_row *found = NULL;
        int order = 1;
        while (row < rows->count && (order = strcmp(rows->rows[row].uid, sorted[i]->uid)) < 0)
            note_absent(plan, &rows->rows[row++]);
        if (row < rows->count && order == 0) {
            found = &rows->rows[row++];
            if (found->absent && plan_another(sorted[i], found))
                plan->another[plan->another_count++] = found->id;
            else if (found->absent)
                plan->present[plan->present_count++] = found->id;
        }
        decide(&plan->items[plan->count++], sorted[i], found, limits);
    }
    while (row < rows->count)
        note_absent(plan, &rows->rows[row++]);
}

int plan_make(struct plan *plan, const struct pop3_listing *listing, const struct history_rows *rows,
              const struct plan_limits *limits)
{
    size_t count;
    struct pop3_entry **sorted = sorted_entries(listing, &count);
    size_t i;

    *plan = (struct plan){0};
    plan->items = calloc(listing->count + 1, sizeof(*plan->items));
    plan->present = malloc((rows->count + 1) * sizeof(*plan->present));
    plan->another = malloc((rows->count + 1) * sizeof(*plan->another));
    plan->absent = malloc((rows->count + 1) * sizeof(*plan->absent));
    if (sorted == NULL || plan->items == NULL || plan->present == NULL || plan->another == NULL ||
        plan->absent == NULL) {
        free(sorted);
        plan_free(plan);
        return -1;
    }
    merge(plan, sorted, count, rows, limits);
    for (i = 0; i < listing->count; i++) {
        if (listing->entries[i].uid != NULL)
            continue;
        plan->items[plan->count].unread = listing->last > 0 && listing->entries[i].number > listing->last;
        decide(&plan->items[plan->count++], &listing->entries[i], NULL, limits);
    }
    qsort(plan->items, plan->count, sizeof(*plan->items), by_turn);
    finish(plan, limits);
    free(sorted);
    return 0;
}

void plan_free(struct plan *plan)
{
    free(plan->items);
    free(plan->present);
    free(plan->another);
    free(plan->absent);
    *plan = (struct plan){0};
}
