#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "poll/connect.h"
#include "poll/delivery_private.h"
#include "poll/verdict.h"
#include "report/log.h"

#define STRIKES 3         /* sessions lost in a row before the destination counts as down */

struct session {
    struct delivery *delivery;
    struct smtp *smtp;         /* NULL: not connected */
    struct delivery_job *next; /* rides behind the current one */
    bool used;                 /* the connection has carried a message */
    bool served;               /* and the server has taken one */
    bool over;                 /* this thread shall end */
    int64_t step_at;           /* when the current step began */
};

static const char *title_of(const struct session *session)
{
    return session->delivery->destination->peer.title;
}

static void count_open(struct session *session, int change)
{
    (void)pthread_mutex_lock(&session->delivery->mutex);
    session->delivery->open = (unsigned)((int)session->delivery->open + change);
    (void)pthread_mutex_unlock(&session->delivery->mutex);
}

static void hang_up(struct session *session)
{
    if (session->smtp == NULL)
        return;
    smtp_close(session->smtp);
    session->smtp = NULL;
    count_open(session, -1);
}

static void say_goodbye(struct session *session)
{
    if (session->smtp != NULL)
        smtp_quit(session->smtp);
    hang_up(session);
}

/* The destination's password, fetched once for all its sessions. */
static int fetch_secret(struct delivery *delivery, struct fault *fault)
{
    int result = 0;

    (void)pthread_mutex_lock(&delivery->secret_mutex);
    if (delivery->secret.len == 0)
        result = connect_destination_secret(delivery->config, delivery->destination, &delivery->secret,
                                            fault);
    (void)pthread_mutex_unlock(&delivery->secret_mutex);
    return result;
}

static int open_smtp(struct session *session, struct fault *fault)
{
    struct delivery *delivery = session->delivery;
    const struct connect_params params = {.config = delivery->config};

    if (fetch_secret(delivery, fault) < 0)
        return -1;
    return connect_destination(&session->smtp, &params, delivery->destination, delivery->secret.data, fault);
}

/* Connect for this job. -1: it has been handed back or put back, and the thread shall end. */
static int connect_for(struct session *session, struct delivery_job *job)
{
    struct delivery *delivery = session->delivery;
    struct fault fault;
    bool alone;
    int result;

    (void)pthread_mutex_lock(&delivery->mutex);
    delivery->connecting++;
    (void)pthread_mutex_unlock(&delivery->mutex);
    result = open_smtp(session, &fault);
    (void)pthread_mutex_lock(&delivery->mutex);
    delivery->connecting--;
    session->used = session->served = false;
    if (result == 0)
        delivery->open++;
    /* A server that lets us have fewer sessions than we want is served by fewer. */
    alone = delivery->open == 0 && delivery->connecting == 0;
    if (result < 0 && !alone) {
        delivery->alive--;
        delivery->limit = delivery->started;
    }
    (void)pthread_mutex_unlock(&delivery->mutex);
    if (result == 0)
        return 0;
    session->over = true;
    if (alone) {
        delivery_set_down(delivery, &fault);
        delivery_untried(delivery, job);
    } else {
        log_line(LOG_LEVEL_INFO, title_of(session), "one session less: %s", fault.text);
        delivery_put_back(delivery, job);
    }
    return -1;
}

static bool nobody_is_owed(const struct delivery_job *job)
{
    size_t i;

    for (i = 0; i < job->transaction.rcpt_count; i++) {
        if (job->rcpt[i].state != SMTP_RCPT_DELIVERED)
            return false;
    }
    return true;
}

/* The server has it, the history has not. Deleting it on the POP3 server is then all that keeps it from coming
 * twice, but not while somebody has it still to get. */
static void unrecorded(struct delivery_job *job)
{
    job->outcome = nobody_is_owed(job) ? DELIVERY_UNRECORDED : DELIVERY_OWED;
}

/* Commit the receipt, then hand the job back: never the other way round. */
static void record(struct session *session, struct delivery_job *job, const struct verdict *verdict)
{
    struct fault fault;

    if (job->row != 0)
        delivery_note(session->delivery, &verdict->receipt);
    if (job->row != 0 && history_receipt(session->delivery->history, &verdict->receipt, &fault) < 0) {
        job->fault = fault;
        if (verdict->receipt.delivered)
            unrecorded(job);
        if (fault.scope > FAULT_OF_MESSAGE) /* else the history has lost this one row, and goes on */
            delivery_stop_all(session->delivery, &fault);
    }
    /* The receipt went into the space that was kept back for it; there is none for another. */
    if (history_exhausted(session->delivery->history)) {
        (void)fault_set(&fault, FAULT_OF_RUN, FAULT_STATE, "history",
                        "the disk that holds the history is full");
        delivery_stop_all(session->delivery, &fault);
    }
    if (verdict->receipt.delivered)
        job->delivered_octets = message_octets(job->message);
    delivery_tell(job, &verdict->receipt, clock_ms() - session->step_at);
    delivery_hand_back(job);
}

static void hand_back_short_of_memory(struct session *session, struct delivery_job *job)
{
    (void)fault_set(&job->fault, FAULT_OF_RUN, FAULT_INTERNAL, "delivery", "out of memory");
    job->outcome = DELIVERY_DEFERRED;
    if (job->transaction.result == SMTP_DELIVERED) {
        unrecorded(job);
        delivery_stop_all(session->delivery, &job->fault);
    }
    delivery_hand_back(job);
}

/* LMTP: the session was lost before all recipients had their reply. */
static bool some_unanswered(const struct delivery_job *job)
{
    size_t i;

    for (i = 0; i < job->transaction.rcpt_count; i++) {
        if (job->transaction.dot_sent && job->rcpt[i].state == SMTP_RCPT_ACCEPTED)
            return job->transaction.result == SMTP_DELIVERED;
    }
    return false;
}

/* A transaction whose result is decided. lost: why not for all recipients, NULL: it is. */
static void conclude(struct session *session, struct delivery_job *job, const struct fault *lost)
{
    struct verdict verdict;

    if (verdict_of(job, session->delivery->label, &verdict) < 0) {
        hand_back_short_of_memory(session, job);
        return;
    }
    if (lost != NULL && job->fault.class == FAULT_RETRY)
        (void)fault_set(&job->fault, FAULT_OF_MESSAGE, lost->class, lost->stage,
                        "%s; some recipients have the message, others may get it once more", lost->text);
    if (verdict.receipt.delivered && lost == NULL) {
        session->served = true;
        (void)pthread_mutex_lock(&session->delivery->mutex);
        session->delivery->strikes = 0;
        (void)pthread_mutex_unlock(&session->delivery->mutex);
    }
    record(session, job, &verdict);
    free(verdict.owed);
}

/* As if it had never been begun: a fresh transaction with the same envelope. */
static void reset(struct delivery_job *job)
{
    size_t i;

    job->begun = false;
    job->transaction.result = SMTP_UNDECIDED;
    job->transaction.dot_sent = false;
    for (i = 0; i < job->transaction.rcpt_count; i++)
        job->rcpt[i].state = SMTP_RCPT_PENDING;
}

/* Count a lost session; true when that was one too many. */
static bool struck_out(struct session *session, bool stalled)
{
    struct delivery *delivery = session->delivery;
    bool out;

    (void)pthread_mutex_lock(&delivery->mutex);
    delivery->strikes += stalled ? 2 : 1;
    out = delivery->strikes >= STRIKES;
    (void)pthread_mutex_unlock(&delivery->mutex);
    return out;
}

/* The session was lost in the middle of this job. */
static void lost(struct session *session, struct delivery_job *job, const struct fault *fault)
{
    struct delivery *delivery = session->delivery;
    bool stalled = clock_ms() - session->step_at >= (int64_t)delivery->config->timeout * 1000;
    struct delivery_job *next = session->next;
    struct fault stop;
    struct verdict verdict;

    hang_up(session);
    session->next = NULL;
    if (next != NULL) {
        reset(next);
        delivery_put_back(delivery, next);
    }
    if (job->transaction.result == SMTP_REFUSED || job->transaction.result == SMTP_NO_RCPT ||
        job->transaction.result == SMTP_DELIVERED) {
        /* It hung up, but it did say what it thinks of the message. */
        bool doubtful = some_unanswered(job);
        if (doubtful) {
            session->over = true;
            delivery_retire(delivery, fault);
        }
        conclude(session, job, doubtful ? fault : NULL);
        return;
    }
    if (delivery_stopping(delivery, &stop) && !job->transaction.dot_sent) {
        delivery_untried(delivery, job);
        return;
    }
    if (job->transaction.dot_sent) {
        /* It may have been taken. One such message a session and run is enough. */
        session->over = true;
        delivery_retire(delivery, fault);
    } else if (session->served && !stalled && fault->class != FAULT_PROTOCOL) {
        /* A server that closes after some messages: each connection has brought the queue forward. */
        reset(job);
        delivery_put_back(delivery, job);
        return;
    } else if (fault->class == FAULT_PROTOCOL || struck_out(session, stalled)) {
        session->over = true;
        delivery_set_down(delivery, fault);
    } else if (!job->again && !stalled) {
        reset(job);
        job->again = true;
        delivery_put_back(delivery, job);
        return;
    }
    if (verdict_of_lost(job, fault, &verdict) < 0) {
        hand_back_short_of_memory(session, job);
        return;
    }
    record(session, job, &verdict);
    free(verdict.owed);
}

/* Tell the MTA who handed the mail to the provider (XCLIENT, Postfix). Such a session carries one message. */
static int introduce_client(struct session *session, struct delivery_job *job, struct fault *fault)
{
    struct smtp_reply reply;
    bool warn;
    int result;

    if (!smtp_extensions(session->smtp)->xclient) {
        (void)pthread_mutex_lock(&session->delivery->mutex);
        warn = !session->delivery->warned_xclient;
        session->delivery->warned_xclient = true;
        (void)pthread_mutex_unlock(&session->delivery->mutex);
        if (warn)
            log_line(LOG_LEVEL_WARNING, title_of(session),
                     "offers no XCLIENT; is this host in smtpd_authorized_xclient_hosts?");
        return 0;
    }
    smtp_reply_clear(&reply);
    result = smtp_xclient(session->smtp, job->xclient.data, &reply, fault);
    if (result == 0 && reply.code < 400)
        return 0;
    if (result == 0 && reply.code >= 500 && reply.code < 510) {
        /* Not the client: the attributes, whose words the client chose. */
        log_line(LOG_LEVEL_WARNING, job->account, "message %s: no XCLIENT: %s refused it: %s", job->uid,
                 session->delivery->label, reply.text);
        return 0;
    }
    /* The server turns this client away. Others may still come, so it is the message that is refused. */
    if (reply.code >= 400 && reply.code != 421) {
        job->transaction.result = SMTP_REFUSED;
        job->transaction.stage = "XCLIENT";
        job->transaction.reply = reply;
    }
    return result < 0 ? -1
                      : fault_set(fault, FAULT_OF_DESTINATION, FAULT_RETRY, "XCLIENT",
                                  "%s refused XCLIENT: %s", session->delivery->label, reply.text);
}

static int begin(struct session *session, struct delivery_job *job, struct fault *fault)
{
    job->transaction.message = job->message;
    job->transaction.trace = job->trace.data;
    job->transaction.trace_len = job->trace.len;
    /* Where the server takes no such address the null sender is better than mail that never arrives. */
    job->transaction.sender = job->sender;
    if (envelope_address_utf8(job->sender) && !smtp_extensions(session->smtp)->smtputf8)
        job->transaction.sender = "";
    job->begun = true;
    return smtp_begin(session->smtp, &job->transaction, fault);
}

/* Body, final dot and its reply; another job's MAIL rides behind the dot. */
static int hand_over(struct session *session, struct delivery_job *job, struct fault *fault)
{
    struct delivery_job *next = NULL;

    if (smtp_extensions(session->smtp)->pipelining && job->xclient.len == 0)
        next = delivery_take_behind(session->delivery);
    session->next = next;
    if (next != NULL && begin(session, next, fault) < 0)
        return -1;
    if (smtp_send(session->smtp, &job->transaction, next != NULL ? &next->transaction : NULL, fault) < 0)
        return -1;
    session->step_at = clock_ms();
    return smtp_finish(session->smtp, &job->transaction, fault);
}

static int transact(struct session *session, struct delivery_job *job, struct fault *fault)
{
    session->step_at = clock_ms();
    if (!job->begun) {
        if (job->xclient.len > 0 && introduce_client(session, job, fault) < 0)
            return -1;
        if (begin(session, job, fault) < 0)
            return -1;
    }
    session->used = true;
    if (job->transaction.result == SMTP_UNDECIDED && smtp_ready(session->smtp, &job->transaction, fault) < 0)
        return -1;
    if (job->transaction.result != SMTP_READY)
        return 0;
    session->step_at = clock_ms();
    return hand_over(session, job, fault);
}

static void serve(struct session *session, struct delivery_job *job)
{
    struct fault fault;

    /* Postfix keeps XCLIENT's attributes for the whole session. */
    if (job->xclient.len > 0 && session->used)
        say_goodbye(session);
    if (session->smtp == NULL && connect_for(session, job) < 0)
        return;
    if (transact(session, job, &fault) < 0) {
        lost(session, job, &fault);
        return;
    }
    if (job->xclient.len > 0)
        say_goodbye(session);
    conclude(session, job, NULL);
}

/* Nothing to deliver for a while: keep the server from hanging up. */
static void keep_alive(struct session *session)
{
    struct smtp_reply reply;
    struct fault fault;

    if (session->smtp != NULL && smtp_command(session->smtp, &reply, &fault, "NOOP") < 0)
        hang_up(session);
}

/* The job that rides behind the last one, unless the run is stopping: then its body is never sent. */
static struct delivery_job *riding(struct session *session)
{
    struct delivery_job *job = session->next;
    struct fault fault;

    session->next = NULL;
    if (job == NULL || !delivery_stopping(session->delivery, &fault))
        return job;
    hang_up(session);
    delivery_untried(session->delivery, job);
    return NULL;
}

void *delivery_session(void *argument)
{
    struct session session = {.delivery = argument};
    bool idle = false;

    while (!session.over) {
        struct delivery_job *job = riding(&session);
        if (job == NULL)
            job = delivery_take(session.delivery, connect_noop_ms(session.delivery->config), &idle);
        if (job != NULL)
            serve(&session, job);
        else if (idle)
            keep_alive(&session);
        else
            break;
    }
    say_goodbye(&session);
    return NULL;
}
