#include "report/outcome.h"

#include <string.h>

#include "base/buf.h"
#include "report/human.h"
#include "report/log.h"

void outcome_fault(struct outcome *outcome, const struct fault *fault, bool counted)
{
    outcome->faults[fault->class]++;
    if (outcome->first.class == FAULT_NONE ||
        fault_graver(outcome->first.class, fault->class) != outcome->first.class)
        outcome->first = *fault;
    if (counted && fault->scope != FAULT_OF_MESSAGE)
        outcome->troubled = true;
    if (counted)
        outcome->gravest = fault_graver(outcome->gravest, fault->class);
}

int outcome_exit_status(const struct outcome *outcomes, size_t count)
{
    enum fault_class gravest = FAULT_NONE;
    size_t i;

    for (i = 0; i < count; i++)
        gravest = fault_graver(gravest, outcomes[i].gravest);
    return fault_exit_status(gravest);
}

struct totals {
    uint64_t delivered, octets, waiting, refused, quarantined, oversize;
    uint64_t polled, busy, left_alone, failed;
};

static struct totals add_up(const struct outcome *outcomes, size_t count)
{
    struct totals totals = {0};
    size_t i;

    for (i = 0; i < count; i++) {
        const struct outcome *outcome = &outcomes[i];
        totals.delivered += outcome->delivered;
        totals.octets += outcome->octets;
        totals.waiting += outcome->waiting_messages;
        totals.refused += outcome->refused;
        totals.quarantined += outcome->quarantined;
        totals.oversize += outcome->oversize;
        totals.polled += outcome->polled;
        totals.busy += outcome->busy;
        totals.left_alone += outcome->left_alone;
        totals.failed += (!outcome->polled || outcome->troubled) && !outcome->busy && !outcome->left_alone;
    }
    return totals;
}

/* "; 1 refused", "; 2 waiting, 1 refused": what a person should know besides. */
static void put_rest(struct buf *text, const struct totals *totals)
{
    const struct {
        uint64_t count;
        const char *one, *many;
    } rest[] = {
        {totals->waiting, "waiting", "waiting"},
        {totals->refused, "refused", "refused"},
        {totals->quarantined, "quarantined", "quarantined"},
        {totals->oversize, "too large", "too large"},
        {totals->failed, "mailbox with faults", "mailboxes with faults"},
        {totals->left_alone, "mailbox left alone", "mailboxes left alone"},
        {totals->busy, "mailbox busy", "mailboxes busy"},
    };
    const char *separator = "; ";
    size_t i;

    for (i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        if (rest[i].count == 0)
            continue;
        (void)buf_printf(text, "%s%llu %s", separator, (unsigned long long)rest[i].count,
                         rest[i].count == 1 ? rest[i].one : rest[i].many);
        separator = ", ";
    }
}

int outcome_summary_text(const struct outcome *outcomes, size_t count, int64_t duration_ms, char *dst,
                         size_t size)
{
    const struct totals totals = add_up(outcomes, count);
    char octets[HUMAN_SIZE], duration[HUMAN_SIZE];
    struct buf text;
    int written;

    buf_init(&text, 1024);
    if (totals.delivered > 0)
        (void)buf_printf(&text, "%llu message%s (%s)", (unsigned long long)totals.delivered,
                         totals.delivered == 1 ? "" : "s", human_octets(octets, totals.octets));
    else
        (void)buf_puts(&text, "no new messages");
    (void)buf_printf(&text, " from %llu mailbox%s in %s", (unsigned long long)totals.polled,
                     totals.polled == 1 ? "" : "es", human_duration(duration, duration_ms));
    put_rest(&text, &totals);
    written = text.len < size && text.data != NULL ? 0 : -1;
    if (written == 0)
        memcpy(dst, text.data, text.len + 1);
    buf_free(&text);
    return written;
}

void outcome_summary(const struct outcome *outcomes, size_t count, int64_t duration_ms)
{
    char text[1024];
    struct log_event event = {
        .event = "summary",
        .size = (int64_t)add_up(outcomes, count).octets,
        .duration = duration_ms,
        .text = text,
    };

    if (outcome_summary_text(outcomes, count, duration_ms, text, sizeof(text)) == 0)
        log_event(LOG_LEVEL_NOTICE, NULL, &event);
}
