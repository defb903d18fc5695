#include "poll/delivery_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stop.h"
#include "config/secret.h"

#define SLICE_MS 250 /* how soon a wait notices the stop flag */

int delivery_outbox_init(struct delivery_outbox *outbox)
{
    *outbox = (struct delivery_outbox){0};
    if (pthread_mutex_init(&outbox->mutex, NULL) != 0)
        return -1;
    if (clock_condition(&outbox->filled) == 0)
        return 0;
    (void)pthread_mutex_destroy(&outbox->mutex);
    return -1;
}

void delivery_outbox_destroy(struct delivery_outbox *outbox)
{
    (void)pthread_cond_destroy(&outbox->filled);
    (void)pthread_mutex_destroy(&outbox->mutex);
}

struct delivery_job *delivery_outbox_take(struct delivery_outbox *outbox, unsigned wait_ms, size_t wanted)
{
    struct delivery_job *jobs;

    (void)pthread_mutex_lock(&outbox->mutex);
    outbox->wanted = wanted;
    if (outbox->count < wanted && wait_ms > 0)
        (void)clock_wait(&outbox->filled, &outbox->mutex, clock_us() + (int64_t)wait_ms * 1000);
    jobs = outbox->first;
    outbox->first = outbox->last = NULL;
    outbox->count = 0;
    (void)pthread_mutex_unlock(&outbox->mutex);
    return jobs;
}

void delivery_hand_back(struct delivery_job *job)
{
    struct delivery_outbox *outbox = job->outbox;

    message_free(job->message);
    job->message = NULL;
    job->next = NULL;
    (void)pthread_mutex_lock(&outbox->mutex);
    if (outbox->last != NULL)
        outbox->last->next = job;
    else
        outbox->first = job;
    outbox->last = job;
    if (++outbox->count >= outbox->wanted)
        (void)pthread_cond_signal(&outbox->filled);
    (void)pthread_mutex_unlock(&outbox->mutex);
}

/* Split recipients into job->names and job->addresses. */
static int set_recipients(struct delivery_job *job, const char *recipients, const char *domain, size_t count)
{
    size_t len = strlen(recipients);
    size_t domain_len = domain != NULL ? strlen(domain) + 1 : 0;
    char *name;
    char *address;
    size_t i;

    job->names = malloc(len + 1);
    job->addresses = malloc(len + 1 + count * domain_len);
    if (job->names == NULL || job->addresses == NULL)
        return -1;
    memcpy(job->names, recipients, len + 1);
    name = job->names;
    address = job->addresses;
    for (i = 0; i < count; i++) {
        char *end = strchrnul(name, '\n');
        *end = '\0';
        job->rcpt[i].address = address;
        address = stpcpy(address, name);
        if (domain != NULL && strchr(name, '@') == NULL) {
            *address++ = '@';
            address = stpcpy(address, domain);
        }
        address++;
        name = end + 1;
    }
    return 0;
}

struct delivery_job *delivery_job_new(const char *recipients, const char *domain)
{
    struct delivery_job *job;
    const char *at;
    size_t count = 1;

    for (at = recipients; (at = strchr(at, '\n')) != NULL; at++)
        count++;
    job = calloc(1, sizeof(*job) + count * sizeof(job->rcpt[0]));
    if (job == NULL)
        return NULL;
    buf_init(&job->trace, DELIVERY_TRACE_MAX);
    buf_init(&job->xclient, DELIVERY_XCLIENT_MAX);
    job->recorded_state = HISTORY_RECORDED;
    job->transaction.rcpt = job->rcpt;
    job->transaction.rcpt_count = count;
    if (set_recipients(job, recipients, domain, count) == 0)
        return job;
    delivery_job_free(job);
    return NULL;
}

void delivery_job_free(struct delivery_job *job)
{
    if (job == NULL)
        return;
    message_free(job->message);
    buf_free(&job->trace);
    buf_free(&job->xclient);
    free(job->names);
    free(job->addresses);
    free(job);
}

struct delivery *delivery_new(const struct config_destination *destination, const struct config *config,
                              struct history *history, struct delivery_stop *stop)
{
    struct delivery *delivery = calloc(1, sizeof(*delivery));

    if (delivery == NULL)
        return NULL;
    delivery->destination = destination;
    delivery->config = config;
    delivery->history = history;
    delivery->stop = stop;
    if (destination->socket != NULL)
        (void)snprintf(delivery->label, sizeof(delivery->label), "%s", destination->socket);
    else
        (void)snprintf(delivery->label, sizeof(delivery->label), "%s:%u", destination->peer.host,
                       destination->peer.port);
    delivery->limit = destination->connections;
    delivery->threads = calloc(destination->connections, sizeof(*delivery->threads));
    buf_init(&delivery->secret, SECRET_MAX);
    if (delivery->threads != NULL && pthread_mutex_init(&delivery->mutex, NULL) == 0) {
        if (pthread_mutex_init(&delivery->secret_mutex, NULL) == 0 && clock_condition(&delivery->queued) == 0)
            return delivery;
        (void)pthread_mutex_destroy(&delivery->mutex);
    }
    free(delivery->threads);
    free(delivery);
    return NULL;
}

void delivery_free(struct delivery *delivery)
{
    unsigned i;

    if (delivery == NULL)
        return;
    (void)pthread_mutex_lock(&delivery->mutex);
    delivery->closing = true;
    (void)pthread_cond_broadcast(&delivery->queued);
    (void)pthread_mutex_unlock(&delivery->mutex);
    for (i = 0; i < delivery->started; i++)
        (void)pthread_join(delivery->threads[i], NULL);
    buf_free(&delivery->secret);
    (void)pthread_cond_destroy(&delivery->queued);
    (void)pthread_mutex_destroy(&delivery->secret_mutex);
    (void)pthread_mutex_destroy(&delivery->mutex);
    free(delivery->threads);
    free(delivery);
}

bool delivery_stopping(struct delivery *delivery, struct fault *fault)
{
    bool stopped;

    (void)pthread_mutex_lock(&delivery->stop->mutex);
    stopped = delivery->stop->stopped;
    if (stopped)
        *fault = delivery->stop->fault;
    (void)pthread_mutex_unlock(&delivery->stop->mutex);
    if (!stopped && stop_requested()) {
        (void)fault_set(fault, FAULT_OF_RUN, FAULT_RETRY, "signal", "stopped by a signal");
        stopped = true;
    }
    return stopped;
}

void delivery_stop_all(struct delivery *delivery, const struct fault *fault)
{
    (void)pthread_mutex_lock(&delivery->stop->mutex);
    if (!delivery->stop->stopped)
        delivery->stop->fault = *fault;
    delivery->stop->stopped = true;
    (void)pthread_mutex_unlock(&delivery->stop->mutex);
}

void delivery_untried(struct delivery *delivery, struct delivery_job *job)
{
    job->outcome = DELIVERY_UNTRIED;
    if (!delivery_stopping(delivery, &job->fault) && !delivery_fault(delivery, &job->fault))
        (void)fault_set(&job->fault, FAULT_OF_DESTINATION, FAULT_INTERNAL, "delivery", "%s: no session",
                        delivery->destination->peer.title);
    delivery_hand_back(job);
}

/* Everything that waits, taken off the queue. */
static struct delivery_job *empty_queue(struct delivery *delivery)
{
    struct delivery_job *jobs = delivery->first;

    delivery->first = delivery->last = NULL;
    delivery->waiting = 0;
    return jobs;
}

static void untried_all(struct delivery *delivery, struct delivery_job *jobs)
{
    while (jobs != NULL) {
        struct delivery_job *job = jobs;
        jobs = job->next;
        delivery_untried(delivery, job);
    }
}

void delivery_set_down(struct delivery *delivery, const struct fault *fault)
{
    struct delivery_job *jobs;

    (void)pthread_mutex_lock(&delivery->mutex);
    if (!delivery->down)
        delivery->fault = *fault;
    delivery->down = true;
    jobs = empty_queue(delivery);
    (void)pthread_cond_broadcast(&delivery->queued);
    (void)pthread_mutex_unlock(&delivery->mutex);
    untried_all(delivery, jobs);
}

bool delivery_fault(struct delivery *delivery, struct fault *fault)
{
    bool down;

    (void)pthread_mutex_lock(&delivery->mutex);
    down = delivery->down;
    if (down)
        *fault = delivery->fault;
    (void)pthread_mutex_unlock(&delivery->mutex);
    return down;
}

void delivery_note(struct delivery *delivery, const struct history_receipt *receipt)
{
    (void)pthread_mutex_lock(&delivery->mutex);
    if (receipt->delivered)
        delivery->takes_others = true;
    else if (receipt->refused && delivery->refused++ == 0)
        (void)snprintf(delivery->refusal, sizeof(delivery->refusal), "%s", receipt->reply);
    else if (receipt->refused && strcmp(delivery->refusal, receipt->reply) != 0)
        delivery->takes_others = true;
    (void)pthread_mutex_unlock(&delivery->mutex);
}

bool delivery_refuses_all(struct delivery *delivery)
{
    bool all;

    (void)pthread_mutex_lock(&delivery->mutex);
    all = delivery->refused > 1 && !delivery->takes_others;
    (void)pthread_mutex_unlock(&delivery->mutex);
    return all;
}

bool delivery_obstacle(struct delivery *delivery, struct fault *fault)
{
    return delivery_fault(delivery, fault) || delivery_stopping(delivery, fault);
}

bool delivery_down(struct delivery *delivery)
{
    struct fault fault;

    return delivery_obstacle(delivery, &fault);
}

static struct delivery_job *pop(struct delivery *delivery)
{
    struct delivery_job *job = delivery->first;

    delivery->first = job->next;
    if (delivery->first == NULL)
        delivery->last = NULL;
    delivery->waiting--;
    job->next = NULL;
    return job;
}

struct delivery_job *delivery_take(struct delivery *delivery, int64_t idle_ms, bool *idle)
{
    int64_t idle_at = clock_ms() + idle_ms;
    struct delivery_job *job = NULL;
    struct delivery_job *orphans = NULL;
    struct fault fault;

    *idle = false;
    (void)pthread_mutex_lock(&delivery->mutex);
    delivery->idle++;
    for (;;) {
        if (delivery_stopping(delivery, &fault)) {
            orphans = empty_queue(delivery);
            break;
        }
        if (delivery->first != NULL) {
            job = pop(delivery);
            break;
        }
        if (delivery->closing || delivery->down)
            break;
        if (clock_ms() >= idle_at) {
            *idle = true;
            break;
        }
        (void)clock_wait(&delivery->queued, &delivery->mutex, clock_us() + SLICE_MS * 1000);
    }
    delivery->idle--;
    (void)pthread_mutex_unlock(&delivery->mutex);
    untried_all(delivery, orphans);
    return job;
}

struct delivery_job *delivery_take_behind(struct delivery *delivery)
{
    struct delivery_job *job = NULL;
    struct fault fault;

    if (delivery_stopping(delivery, &fault))
        return NULL;
    (void)pthread_mutex_lock(&delivery->mutex);
    /* Two connections with one message each beat one with two. */
    if (delivery->waiting > delivery->idle && delivery->first->xclient.len == 0)
        job = pop(delivery);
    (void)pthread_mutex_unlock(&delivery->mutex);
    return job;
}

void delivery_put_back(struct delivery *delivery, struct delivery_job *job)
{
    struct fault fault;
    bool down;

    (void)pthread_mutex_lock(&delivery->mutex);
    /* Once the run is stopping, the other sessions may have looked at the queue for the last time. */
    down = delivery->down || delivery->alive == 0 || delivery_stopping(delivery, &fault);
    if (!down) {
        job->next = delivery->first;
        delivery->first = job;
        if (delivery->last == NULL)
            delivery->last = job;
        delivery->waiting++;
        (void)pthread_cond_signal(&delivery->queued);
    }
    (void)pthread_mutex_unlock(&delivery->mutex);
    if (down)
        delivery_untried(delivery, job);
}

/* One more session if no idle one will take what waits. Called with the mutex held. Returns -1 if there is
 * none at all. */
static int start_session(struct delivery *delivery)
{
    if (delivery->waiting <= delivery->idle || delivery->started >= delivery->limit)
        return delivery->alive > 0 || delivery->waiting == 0 ? 0 : -1;
    delivery->alive++;
    if (pthread_create(&delivery->threads[delivery->started], NULL, delivery_session, delivery) == 0) {
        delivery->started++;
        return 0;
    }
    delivery->alive--;
    return delivery->alive > 0 ? 0 : -1;
}

void delivery_submit(struct delivery *delivery, struct delivery_job *job)
{
    struct fault fault;
    bool refused;
    int started = 0;

    (void)pthread_mutex_lock(&delivery->mutex);
    refused = delivery->down || delivery_stopping(delivery, &fault);
    if (!refused) {
        job->next = NULL;
        if (delivery->last != NULL)
            delivery->last->next = job;
        else
            delivery->first = job;
        delivery->last = job;
        delivery->waiting++;
        started = start_session(delivery);
        (void)pthread_cond_signal(&delivery->queued);
    }
    (void)pthread_mutex_unlock(&delivery->mutex);
    if (refused)
        delivery_untried(delivery, job);
    if (started < 0) {
        (void)fault_set(&fault, FAULT_OF_DESTINATION, FAULT_INTERNAL, "delivery", "cannot start a thread");
        delivery_set_down(delivery, &fault);
    }
}

void delivery_retire(struct delivery *delivery, const struct fault *fault)
{
    bool none;

    (void)pthread_mutex_lock(&delivery->mutex);
    delivery->alive--;
    none = start_session(delivery) < 0 || (delivery->alive == 0 && delivery->started >= delivery->limit);
    (void)pthread_mutex_unlock(&delivery->mutex);
    if (none)
        delivery_set_down(delivery, fault);
}
