/* What delivery.c (the queue), delivery_session.c (a session's thread) and delivery_tell.c share. For these
 * only.
 *
 * Ownership: as in delivery.h; a job that was taken is the session's until it is put or handed back. Threads:
 * any session's; `mutex` guards what stands below it, and each function takes it itself. Errors: told in the
 * jobs. */
#ifndef POPFERRY_POLL_DELIVERY_PRIVATE_H
#define POPFERRY_POLL_DELIVERY_PRIVATE_H

#include "poll/delivery.h"

struct delivery {
    const struct config_destination *destination;
    const struct config *config;
    struct history *history;
    struct delivery_stop *stop;
    char label[300]; /* the server's name in faults: "localhost:25", or the socket's path */

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t queued; /* a job came, or an end */
    struct delivery_job *first;
    struct delivery_job *last;
    size_t waiting;    /* jobs in the queue */
    pthread_t *threads;
    unsigned started;  /* threads, each joined at the end */
    unsigned limit;    /* sessions that the server lets us have */
    unsigned idle;     /* threads that wait for a job */
    unsigned alive;    /* threads that can take a job */
    unsigned open;     /* sessions that are connected */
    unsigned connecting;
    unsigned strikes;  /* sessions lost since the last success; a stall counts double */
    bool closing;
    bool down;
    bool warned_xclient;
    size_t refused;    /* messages refused for good */
    bool takes_others; /* it has taken one, or refused one with other words */
    char refusal[sizeof(((struct smtp_reply *)NULL)->text)]; /* the first refusal's words */
    struct fault fault; /* why it is down */
    pthread_mutex_t secret_mutex;
    struct buf secret; /* the destination's password, fetched once */
};

/* The next job, or NULL when the session shall end. Waits. idle_ms: after so long without one, sets *idle and
 * returns NULL. */
struct delivery_job *delivery_take(struct delivery *delivery, int64_t idle_ms, bool *idle);

/* A job to ride behind the one that is about to be sent, if more wait than other sessions will take at
 * once. */
struct delivery_job *delivery_take_behind(struct delivery *delivery);

/* Back to the head of the queue, untouched. */
void delivery_put_back(struct delivery *delivery, struct delivery_job *job);

/* Hand a job back through its outbox. */
void delivery_hand_back(struct delivery_job *job);

/* Hand it back as UNTRIED, with the fault that stands in its way. */
void delivery_untried(struct delivery *delivery, struct delivery_job *job);

/* The destination is down: everything that waits goes back. */
void delivery_set_down(struct delivery *delivery, const struct fault *fault);

/* A delivery session ends before the queue is empty: others go on, a new one is started where there is none,
 * and after the last that may be the destination is down. */
void delivery_retire(struct delivery *delivery, const struct fault *fault);

/* A commit failed: every session of the run stops. */
void delivery_stop_all(struct delivery *delivery, const struct fault *fault);

/* Note what became of a message, for delivery_refuses_all(). */
void delivery_note(struct delivery *delivery, const struct history_receipt *receipt);

bool delivery_stopping(struct delivery *delivery, struct fault *fault);

/* delivery_tell.c: the events "delivered", "notice", "refused" and "deferred". duration: milliseconds. */
void delivery_tell(const struct delivery_job *job, const struct history_receipt *receipt, int64_t duration);

/* A session's thread. argument: the struct delivery. */
void *delivery_session(void *argument);

#endif
