/* What the mailbox_*.c files share. For these only.
 *
 * Ownership: struct mailbox lives as long as one poll; mailbox_poll() frees what it holds. Threads: the
 * mailbox's own. Errors: noted in the mailbox (mailbox_fault.c), and told when the poll has ended. */
#ifndef POPFERRY_POLL_MAILBOX_PRIVATE_H
#define POPFERRY_POLL_MAILBOX_PRIVATE_H

#include "poll/mailbox.h"
#include "poll/plan.h"
#include "protocol/pop3.h"

/* A fault and how often it was met; equal ones are told once. */
struct mailbox_fault {
    struct fault fault;
    size_t count;
    char uid[80]; /* of the first message that met it, "" if it concerns none */
};

enum item_state {
    ITEM_UNTOUCHED,
    ITEM_ASKED,      /* RETR or TOP was asked */
    ITEM_DELIVERING, /* a job is with the delivery */
    ITEM_DELIVERED,  /* recorded */
    ITEM_KNOWN,      /* compared or identified: nothing to deliver */
    ITEM_LEFT,       /* a fault: it stays on the server */
    ITEM_REJECTED,   /* refused for the second time at least, and on_reject has something to do */
};

struct mailbox_item {
    int64_t row; /* the history's; 0: none yet */
    enum item_state state;
    uint64_t memory; /* octets charged to the windows while it is under way */
    uint64_t file;
    bool has_charge;
    bool marked; /* its DELE was accepted */
    bool refused_before; /* in an earlier run, for good */
    int64_t refused_at;  /* when that was the last time, 0: unknown */
    struct mailbox_rejection *rejection; /* REJECTED */
};

/* A refusal that on_reject may yet deal with; told as a fault only if it does not. */
struct mailbox_rejection {
    struct fault fault;
    struct smtp_reply reply;
};

/* A question whose answer is awaited; item is an index into the plan. */
struct mailbox_question {
    enum pop3_verb verb;
    size_t item;
};

struct mailbox {
    const struct mailbox_params *params;
    const struct config_account *account;
    struct outcome *outcome;
    struct mailbox_shared_fault *shared;
    size_t slot; /* in the progress */
    int lock;
    struct pop3 *pop3; /* NULL: not connected, or lost */
    struct history_mailbox record;
    struct history_result result;
    struct pop3_listing listing;
    char *top_uids; /* identities made from TOP; the listing points into them */
    struct history_rows rows;
    const struct history_row **by_digest; /* see mailbox_identity.c */
    size_t digest_count;
    bool *row_used; /* beside rows.rows: a message turned out to be this one */
    struct plan_limits limits;
    struct plan plan;
    struct mailbox_item *items; /* beside plan.items */
    struct delivery_outbox outbox;
    bool has_outbox;

    size_t cursor;     /* the next plan item to be asked for */
    size_t delivering; /* jobs with the delivery */
    uint64_t memory;   /* octets charged */
    uint64_t file;
    size_t under_way;  /* messages asked for or delivering */
    bool full;         /* the window had no room for the next one */
    size_t fresh;      /* messages that turned out to be new, where max_messages cannot count before */
    bool unlooked;     /* some were not looked at, since fresh has reached max_messages */
    struct mailbox_question *questions; /* ring */
    size_t question_first;
    size_t question_count;
    size_t question_size;
    size_t *deletable; /* items that may be deleted; those from deletable_first on have not been asked for */
    size_t deletable_first;
    size_t deletable_count;
    int64_t *gone;     /* rows whose DELE was accepted */
    size_t gone_count;
    size_t marked;     /* DELEs accepted */
    size_t poison;     /* the item whose DELE ended the session, counted from 1; 0: none */
    size_t rejected;   /* items in state ITEM_REJECTED */
    size_t retrieved_only; /* retrieved and neither delivered nor known: EXPIRE 0 must not take them */
    int64_t noop_at;

    struct buf unknown; /* multidrop: recipients without a rule, each with its NUL: each is told once */
    size_t unknown_count;

    struct mailbox_fault *faults; /* MAILBOX_FAULTS, then one for the rest of each class */
    size_t fault_count;
};

#define MAILBOX_FAULTS 64 /* different faults that are told one by one */

/* mailbox_fault.c */
void mailbox_fault(struct mailbox *mailbox, const struct fault *fault, const char *uid);
/* Tell the faults, as report_after allows, and count them in the outcome. */
void mailbox_tell_faults(struct mailbox *mailbox, const struct history_mailbox *after);

/* mailbox_tell.c: the events "oversize", "skipped" and "kept"; "deleted", once QUIT has confirmed it;
 * "polled"; "recovered" */
void mailbox_tell_plan(const struct mailbox *mailbox);
void mailbox_tell_deleted(const struct mailbox *mailbox);
void mailbox_tell_polled(const struct mailbox *mailbox);
/* The run was a success: were the ones before failures? */
void mailbox_tell_recovery(const struct mailbox *mailbox);
/* --dry-run: what would be done, on standard output; with -v message by message. */
void mailbox_show_plan(const struct mailbox *mailbox);

/* mailbox_connect.c: secret, token, login. -1: the fault is noted. */
int mailbox_connect(struct mailbox *mailbox);
/* Whether the account is left alone for now; tells why. */
bool mailbox_left_alone(struct mailbox *mailbox);

/* mailbox_identity.c: who is who where the server has no UIDs */
/* keep mode: identities from TOP n 0. */
int mailbox_identify_by_top(struct mailbox *mailbox);
/* The row of an IDENTIFY item's message, by digest; *row NULL: it is new. rows: where it may be kept, to be freed
 * by the caller. -1: nobody knows whether it is new. */
int mailbox_identified(struct mailbox *mailbox, const struct message *message, struct history_rows *rows,
                       const struct history_row **row, struct fault *fault);
/* The row that an earlier session, without UIDs, made for a message that has one now; likewise. */
int mailbox_named_since(struct mailbox *mailbox, const struct message *message,
                        const struct history_row **row, struct fault *fault);
/* Rows known by digest that no message had: absent. Called when every item was looked at. */
void mailbox_forget_unidentified(struct mailbox *mailbox);

/* mailbox_cross.c: the window */
void mailbox_cross(struct mailbox *mailbox);
/* NOOP, if the server has been left waiting for so long. */
void mailbox_keep_alive(struct mailbox *mailbox);
/* Retrieve one message now, outside the window. NULL: refused or lost (noted). */
struct message *mailbox_retrieve(struct mailbox *mailbox, size_t item);
void mailbox_lost(struct mailbox *mailbox, const struct fault *fault);
/* The item may be deleted on the server: DELE is asked with the next batch. */
void mailbox_may_delete(struct mailbox *mailbox, size_t item);
/* Ask for deletions: all when last, else while few answers are owed. */
int mailbox_ask_deletions(struct mailbox *mailbox, bool last);
int mailbox_read_reply(struct mailbox *mailbox);
/* Nothing is under way any more with this item. */
void mailbox_release(struct mailbox *mailbox, size_t item);
void mailbox_leave(struct mailbox *mailbox, size_t item, const struct fault *fault);

/* mailbox_recipients.c: to whom a message goes that nobody has yet, separated by '\n': by its envelope header
 * where the account is for a domain. */
void mailbox_recipients(struct mailbox *mailbox, const struct message *message, struct buf *owed);

/* mailbox_notice.c: what is delivered of an oversize message, made of its header. Takes the header. NULL:
 * memory is short (noted). */
struct message *mailbox_notice(struct mailbox *mailbox, size_t item, struct message *header);

/* mailbox_hand_over.c: from a retrieved message to a job, and what comes back */
void mailbox_hand_over(struct mailbox *mailbox, size_t item, struct message *message);
/* Whether max_messages is reached by messages that only their digest showed to be new. */
bool mailbox_has_enough(const struct mailbox *mailbox);
void mailbox_take_back(struct mailbox *mailbox, struct delivery_job *job);

/* mailbox_quit.c: the last DELEs and QUIT. Where the session ended before them, they get another. */
void mailbox_quit(struct mailbox *mailbox);

/* mailbox_reject.c: on_reject */
/* A message was refused for good. */
void mailbox_refused(struct mailbox *mailbox, const struct delivery_job *job);
void mailbox_deal_with_rejected(struct mailbox *mailbox);

const char *mailbox_uid(const struct mailbox *mailbox, size_t item);

#endif
