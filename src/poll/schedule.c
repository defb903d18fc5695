#include "poll/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct named {
    const char *host;
    size_t mailbox;
};

static int by_host(const void *a, const void *b)
{
    const struct named *x = a;
    const struct named *y = b;
    int order = strcasecmp(x->host, y->host);

    return order != 0 ? order : (x->mailbox > y->mailbox) - (x->mailbox < y->mailbox);
}

static void push(struct schedule *schedule, size_t host)
{
    schedule->ready[(schedule->ready_first + schedule->ready_count++) % schedule->host_count] = host;
}

/* Mailboxes that share a host, side by side. */
static void fill(struct schedule *schedule, const struct named *sorted, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (i == 0 || strcasecmp(sorted[i].host, sorted[i - 1].host) != 0)
            schedule->hosts[schedule->host_count++] = (struct schedule_host){.next = i};
        schedule->hosts[schedule->host_count - 1].end = i + 1;
        schedule->host_of[sorted[i].mailbox] = schedule->host_count - 1;
        schedule->order[i] = sorted[i].mailbox;
    }
    /* The hosts in the order in which they were named first. */
    for (i = 0; i < count; i++) {
        size_t host = schedule->host_of[i];
        if (schedule->order[schedule->hosts[host].next] == i)
            push(schedule, host);
    }
}

int schedule_make(struct schedule *schedule, const char *const *hosts, size_t count, unsigned limit)
{
    struct named *sorted = calloc(count + 1, sizeof(*sorted));
    size_t i;

    *schedule = (struct schedule){.limit = limit > 0 ? limit : 1};
    schedule->order = calloc(count + 1, sizeof(*schedule->order));
    schedule->host_of = calloc(count + 1, sizeof(*schedule->host_of));
    schedule->hosts = calloc(count + 1, sizeof(*schedule->hosts));
    schedule->ready = calloc(count + 1, sizeof(*schedule->ready));
    if (sorted == NULL || schedule->order == NULL || schedule->host_of == NULL || schedule->hosts == NULL ||
        schedule->ready == NULL) {
        free(sorted);
        schedule_free(schedule);
        return -1;
    }
    for (i = 0; i < count; i++)
        sorted[i] = (struct named){hosts[i], i};
    qsort(sorted, count, sizeof(*sorted), by_host);
    fill(schedule, sorted, count);
    free(sorted);
    return 0;
}

void schedule_free(struct schedule *schedule)
{
    free(schedule->order);
    free(schedule->host_of);
    free(schedule->hosts);
    free(schedule->ready);
    *schedule = (struct schedule){0};
}

size_t schedule_width(const struct schedule *schedule)
{
    size_t width = 0;
    size_t i;

    for (i = 0; i < schedule->host_count; i++) {
        const struct schedule_host *host = &schedule->hosts[i];
        size_t mailboxes = host->end - host->next + host->busy;
        width += mailboxes < schedule->limit ? mailboxes : schedule->limit;
    }
    return width;
}

size_t schedule_next(struct schedule *schedule)
{
    struct schedule_host *host;
    size_t number;
    size_t mailbox;

    if (schedule->ready_count == 0)
        return SCHEDULE_NONE;
    number = schedule->ready[schedule->ready_first];
    schedule->ready_first = (schedule->ready_first + 1) % schedule->host_count;
    schedule->ready_count--;
    host = &schedule->hosts[number];
    mailbox = schedule->order[host->next++];
    host->busy++;
    if (host->next < host->end && host->busy < schedule->limit)
        push(schedule, number);
    return mailbox;
}

void schedule_done(struct schedule *schedule, size_t mailbox)
{
    size_t number = schedule->host_of[mailbox];
    struct schedule_host *host = &schedule->hosts[number];

    if (host->busy == schedule->limit && host->next < host->end)
        push(schedule, number);
    host->busy--;
}
