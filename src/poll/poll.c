#include "poll/poll.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/stop.h"
#include "poll/mailbox.h"
#include "poll/schedule.h"
#include "report/log.h"
#include "report/outcome.h"
#include "report/progress.h"

#define MEMORY_WINDOW (1408 * 1024)            /* octets of messages in memory, shared by the mailboxes of a destination */
#define MEMORY_WINDOW_MIN (256 * 1024)         /* for each mailbox: 20 of them must not cost round trips */
#define FILE_WINDOW (128ULL * 1024 * 1024)     /* octets of messages in temporary files */
#define FILE_WINDOW_MIN (8ULL * 1024 * 1024)
#define NAMES_MAX 4096

struct poll {
    const struct poll_params *params;
    struct delivery **deliveries; /* beside config->destinations; NULL: not used */
    struct delivery_stop stop;
    struct progress *progress;
    struct outcome *outcomes; /* beside params->accounts, as the following */
    struct mailbox_shared_fault *shared;
    size_t *sharing;          /* beside config->destinations: accounts that deliver there */
    size_t workers;

    pthread_mutex_t mutex; /* guards all below */
    struct schedule schedule;
    bool *begun;
};

static struct delivery *delivery_of(const struct poll *poll, const struct config_account *account)
{
    return poll->deliveries == NULL
               ? NULL
               : poll->deliveries[account->destination - poll->params->config->destinations];
}

/* How many mailboxes of one destination are polled at the same time, at most. */
static size_t sharing(const struct poll *poll, const struct config_account *account)
{
    size_t count = poll->sharing[account->destination - poll->params->config->destinations];

    return count < poll->workers ? count : poll->workers;
}

static void poll_account(struct poll *poll, size_t index)
{
    const struct config_account *account = poll->params->accounts[index];
    size_t share = sharing(poll, account);
    struct mailbox_params params = {.config = poll->params->config,
                                    .account = account,
                                    .state_dir = poll->params->state_dir,
                                    .history = poll->params->history,
                                    .delivery = delivery_of(poll, account),
                                    .progress = poll->progress,
                                    .window = MEMORY_WINDOW / share,
                                    .file_window = FILE_WINDOW / share,
                                    .named = poll->params->named,
                                    .all_sizes = poll->params->all_sizes};

    /* A share of its own for each mailbox: one that stalls holds back nobody else's room. */
    if (params.window < MEMORY_WINDOW_MIN)
        params.window = MEMORY_WINDOW_MIN;
    if (params.file_window < FILE_WINDOW_MIN)
        params.file_window = FILE_WINDOW_MIN;
    mailbox_poll(&params, &poll->outcomes[index], &poll->shared[index]);
}

/* Ends when no mailbox may begin: its host's other workers see to the rest. */
static void *work(void *argument)
{
    struct poll *poll = argument;
    size_t index;

    (void)pthread_mutex_lock(&poll->mutex);
    while (!stop_requested() && (index = schedule_next(&poll->schedule)) != SCHEDULE_NONE) {
        poll->begun[index] = true;
        (void)pthread_mutex_unlock(&poll->mutex);
        poll_account(poll, index);
        (void)pthread_mutex_lock(&poll->mutex);
        schedule_done(&poll->schedule, index);
    }
    (void)pthread_mutex_unlock(&poll->mutex);
    return NULL;
}

static int make_schedule(struct poll *poll)
{
    size_t count = poll->params->account_count;
    const char **hosts = calloc(count + 1, sizeof(*hosts));
    size_t width;
    size_t i;
    int result = -1;

    for (i = 0; hosts != NULL && i < count; i++)
        hosts[i] = poll->params->accounts[i]->peer.host;
    if (hosts != NULL)
        result = schedule_make(&poll->schedule, hosts, count, poll->params->config->jobs_per_host);
    free(hosts);
    width = schedule_width(&poll->schedule);
    poll->workers = poll->params->config->jobs < width ? poll->params->config->jobs : width;
    return result;
}

static int make_deliveries(struct poll *poll)
{
    const struct poll_params *params = poll->params;
    size_t i;

    if (params->dry_run)
        return 0;
    poll->deliveries = calloc(params->config->destination_count + 1, sizeof(struct delivery *));
    if (poll->deliveries == NULL)
        return -1;
    for (i = 0; i < params->account_count; i++) {
        const struct config_destination *to = params->accounts[i]->destination;
        struct delivery **delivery = &poll->deliveries[to - params->config->destinations];
        if (*delivery == NULL)
            *delivery = delivery_new(to, params->config, params->history, &poll->stop);
        if (*delivery == NULL)
            return -1;
    }
    return 0;
}

static int prepare(struct poll *poll)
{
    size_t count = poll->params->account_count;
    size_t i;

    poll->outcomes = calloc(count + 1, sizeof(*poll->outcomes));
    poll->shared = calloc(count + 1, sizeof(*poll->shared));
    poll->sharing = calloc(poll->params->config->destination_count + 1, sizeof(*poll->sharing));
    poll->begun = calloc(count + 1, sizeof(*poll->begun));
    if (poll->outcomes == NULL || poll->shared == NULL || poll->sharing == NULL || poll->begun == NULL ||
        make_schedule(poll) < 0)
        return -1;
    for (i = 0; i < count; i++) {
        poll->outcomes[i].account = poll->params->accounts[i]->peer.title;
        poll->outcomes[i].identity = poll->params->accounts[i]->identity;
        poll->sharing[poll->params->accounts[i]->destination - poll->params->config->destinations]++;
    }
    return make_deliveries(poll);
}

static void clean_up(struct poll *poll)
{
    size_t i;

    for (i = 0; poll->deliveries != NULL && i < poll->params->config->destination_count; i++)
        delivery_free(poll->deliveries[i]);
    free(poll->deliveries);
    free(poll->outcomes);
    free(poll->shared);
    free(poll->sharing);
    free(poll->begun);
    schedule_free(&poll->schedule);
    (void)pthread_mutex_destroy(&poll->stop.mutex);
    (void)pthread_mutex_destroy(&poll->mutex);
}

/* The first worker is this thread itself: it works even where no other can be started. */
static void run_workers(struct poll *poll)
{
    pthread_t *threads = calloc(poll->workers + 1, sizeof(*threads));
    size_t started = 0;

    while (threads != NULL && started + 1 < poll->workers &&
           pthread_create(&threads[started], NULL, work, poll) == 0)
        started++;
    (void)work(poll);
    while (started > 0)
        (void)pthread_join(threads[--started], NULL);
    free(threads);
}

/* Faults of a destination or of the run: each once, with the accounts that it concerns. */
static void tell_shared(struct poll *poll)
{
    size_t count = poll->params->account_count;
    struct buf names;
    bool cut;
    size_t i;
    size_t j;

    buf_init(&names, NAMES_MAX);
    for (i = 0; i < count; i++) {
        if (!poll->shared[i].met)
            continue;
        buf_clear(&names);
        cut = false;
        for (j = i; j < count; j++) {
            if (!poll->shared[j].met || strcmp(poll->shared[j].fault.text, poll->shared[i].fault.text) != 0)
                continue;
            if (!cut &&
                buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", poll->outcomes[j].account) < 0) {
                (void)buf_puts(&names, ", ...");
                cut = true;
            }
            if (j > i)
                poll->shared[j].met = false;
            if (log_singles_out())
                log_fault(poll->outcomes[j].account, &poll->shared[j].fault);
        }
        if (!log_singles_out())
            log_fault(names.data, &poll->shared[i].fault);
    }
    buf_free(&names);
}

static void note_unpolled(struct poll *poll)
{
    struct fault fault;
    size_t i;

    (void)fault_set(&fault, FAULT_OF_RUN, FAULT_RETRY, "signal", "stopped by a signal before it was polled");
    for (i = 0; i < poll->params->account_count; i++) {
        if (poll->begun[i])
            continue;
        outcome_fault(&poll->outcomes[i], &fault, true);
        poll->shared[i] = (struct mailbox_shared_fault){.met = true, .fault = fault};
    }
}

static int finish(struct poll *poll, int64_t begun)
{
    const struct poll_params *params = poll->params;
    int status;
    struct fault fault;

    progress_free(poll->progress);
    note_unpolled(poll);
    tell_shared(poll);
    status = outcome_exit_status(poll->outcomes, params->account_count);
    if (!params->dry_run)
        outcome_summary(poll->outcomes, params->account_count, clock_ms() - begun);
    /* A run of some accounts would drop the others' samples. */
    if (params->config->metrics_file != NULL && !params->dry_run && !params->named &&
        outcome_metrics(poll->outcomes, params->account_count, params->config->metrics_file, &fault) < 0) {
        log_fault(NULL, &fault);
        if (status == 0)
            status = fault_exit_status(fault.class);
    }
    return status;
}

int poll_run(const struct poll_params *params)
{
    struct poll poll = {.params = params};
    int64_t begun = clock_ms();
    struct fault fault;
    int status;

    if (pthread_mutex_init(&poll.mutex, NULL) != 0 || pthread_mutex_init(&poll.stop.mutex, NULL) != 0 ||
        prepare(&poll) < 0) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_INTERNAL, "start", "out of memory");
        log_fault(NULL, &fault);
        clean_up(&poll);
        return fault_exit_status(FAULT_INTERNAL);
    }
    poll.progress = progress_new(params->quiet || params->dry_run);
    run_workers(&poll);
    status = finish(&poll, begun);
    clean_up(&poll);
    return status;
}
