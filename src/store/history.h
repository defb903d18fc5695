/* The history: what was delivered, what must still be deleted, what failed and why. SQLite in the state
 * directory (history.db), WAL, synchronous=FULL: what a function here has returned 0 for survives a power
 * cut.
 *
 * Ownership: history_open() gives the handle to the caller; rows that are handed out are freed with
 * history_rows_free().
 * Threads: all functions may be called from any thread; one connection, one mutex. history_receipt() groups
 * the commits of sessions that arrive together: whoever comes first commits for all that wait.
 * Processes: several may use it at once.
 * Errors: FAULT_OF_RUN with FAULT_STATE. A reserve file (history.reserve) is given up when the disk is full,
 * so that the receipts of messages in flight can still be written; without it no run begins. An unreadable,
 * foreign or newer history is a fault, never a silent start from nothing. One of an older popferry is upgraded
 * in place, in one transaction; HISTORY_READ upgrades a copy in memory. */
#ifndef POPFERRY_STORE_HISTORY_H
#define POPFERRY_STORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"

struct history;

enum history_mode {
    HISTORY_WRITE, /* made if it is not there */
    HISTORY_READ,  /* status, check, --dry-run: a missing one reads as empty, nothing is written */
};

int history_open(struct history **history, const char *dir, enum history_mode mode, struct fault *fault);
void history_close(struct history *history);

/* Whether the disk was full and the reserve is gone: what was recorded is safe, but nothing more may be
 * delivered. (history_plan() fails then.) A later run has to make the reserve again before it begins. */
bool history_exhausted(struct history *history);

/* Read all of it. A fault if it is damaged anywhere. One thread. */
int history_examine(struct history *history, struct fault *fault);

/* Move the history (history.db, -wal, -shm) aside, to names with the time in them: the one way out of a
 * history that cannot be used, for `popferry history --reset`. moved_to is told where history.db is now. A
 * fault if there is none, or a run is in progress. */
int history_reset(const char *dir, char *moved_to, size_t size, struct fault *fault);

/* The state of a message, by which a run goes on where a killed one stopped. */
enum history_state {
    HISTORY_LISTED,      /* planned: owed to the recipients in `owed` */
    HISTORY_RECORDED,    /* every recipient's receipt is committed; in delete mode a DELE is still owed */
    HISTORY_GONE,        /* QUIT confirmed the DELE */
    HISTORY_SEEN,        /* nobody wants it from us (any more): imported, or marked with history --seen */
    HISTORY_QUARANTINED, /* refused for good and put into the quarantine: as RECORDED */
    HISTORY_NOTICED,     /* over max_size: the notice of it was delivered, the message itself is still to be had */
};

struct history_row {
    int64_t id;
    char *uid;           /* as listed; "sha256:HEX" where the server has no usable UID */
    uint64_t octets;     /* as last listed */
    bool has_digest;
    unsigned char digest[32]; /* message_digest() */
    enum history_state state;
    char *owed;          /* recipients still owed, separated by '\n'; NULL or "" when none */
    bool absent;         /* was not in the last listing */
    bool returned;       /* was absent in between: until it is read again it may be another message */
    int64_t first_seen;  /* seconds since the epoch, like all times here */
    int64_t delivered;   /* time of the last receipt, 0: none */
    unsigned refusals;   /* 5xx answers so far */
    int64_t retry_at;    /* not before; after the first refusal its time, which bars nothing. 0: never refused */
    unsigned stumbles;   /* tries in vain: such messages go last */
    char *reply;         /* the server's last words about it, or NULL */
};

/* When the message was last refused for good, 0: never, or not known any more. Pure. */
int64_t history_refused_at(const struct history_row *row);

struct history_rows {
    struct history_row *rows; /* sorted by uid (strcmp), then id */
    size_t count;
    size_t room;  /* of rows, for the history itself */
    void *memory; /* what the rows' strings are in, likewise */
};
void history_rows_free(struct history_rows *rows);

/* A mailbox, by identity (`username@host`): its row, made when missing (not in HISTORY_READ mode, id 0
 * then). */
struct history_mailbox {
    int64_t id;
    int64_t last_attempt;
    int64_t last_success;
    int64_t last_fault_time;
    char last_fault[512];        /* "" if the last run was without fault */
    char last_fault_class[16];   /* fault_class_name() */
    unsigned failed_runs;        /* failed runs in a row, whatever the fault */
    unsigned login_refusals;     /* runs in a row whose login was refused */
    int64_t login_retry_at;      /* the account is left alone until then, 0: not */
    int64_t poll_not_before;     /* LOGIN-DELAY, 0: none */
    unsigned char settings[32];  /* digest of the login's settings; when it changes, waiting ends */
    int64_t newest_receipt;      /* its time: a clock that stands before it is wrong */
};
int history_mailbox(struct history *history, const char *identity, struct history_mailbox *mailbox,
                    struct fault *fault);

/* Rows of the mailbox: all that were in its last listing, and those of `uids` (count of them, sorted by
 * strcmp, without duplicates) that were not. Its cost grows with the listing, not with the history. */
int history_load(struct history *history, int64_t mailbox, const char *const *uids, size_t count,
                 struct history_rows *rows, struct fault *fault);

/* The rows with that digest that were not in the last listing (no UID, or a UID twice in one listing). Its
 * cost grows with those rows. */
int history_find_digest(struct history *history, int64_t mailbox, const unsigned char digest[32],
                        struct history_rows *rows, struct fault *fault);

/* The plan, committed before the first MAIL, in one transaction: */
struct history_new {
    const char *uid;
    uint64_t octets;
    const char *owed; /* recipients, separated by '\n' */
    int64_t id;       /* told */
};
struct history_plan {
    struct history_new *fresh; /* inserted as LISTED */
    size_t fresh_count;
    const int64_t *present; /* rows listed now that were marked absent: returned, if they were delivered */
    size_t present_count;
    const int64_t *another; /* rows listed now that were marked absent, with another size: returned, whatever
                               their state */
    size_t another_count;
    const int64_t *absent; /* rows not listed any more: marked with the time, GONE ones deleted */
    size_t absent_count;
    int64_t forget_before; /* rows absent since before this time are deleted; 0: none */
};
/* Always writes (the attempt is noted), so that a full or read-only disk shows here. */
int history_plan(struct history *history, int64_t mailbox, struct history_plan *plan, struct fault *fault);

/* A receipt: the outcome of one delivery, committed when 0 is returned. Blocks for one commit. */
struct history_receipt {
    int64_t id;
    enum history_state state; /* RECORDED when nobody is owed any more, else LISTED */
    const char *owed;         /* still owed; NULL or "": none */
    const unsigned char *digest;
    uint64_t octets;          /* as listed */
    bool delivered;           /* at least one recipient has it now */
    bool refused;             /* a refusal more: waits for the next run, then 1 h doubling to 24 h */
    bool stumbled;            /* tried in vain: it goes behind what was tried less often */
    const char *reply;        /* may be NULL */
};
int history_receipt(struct history *history, const struct history_receipt *receipt, struct fault *fault);

/* Without a receipt: a message met a fault (RETR refused, too large, ...). */
int history_stumble(struct history *history, int64_t id, const char *reply, struct fault *fault);

/* QUIT confirmed the deletion of these rows: GONE. */
int history_gone(struct history *history, const int64_t *ids, size_t count, struct fault *fault);

/* A known message was read again and is the same one: it is present, with this size. */
int history_compared(struct history *history, int64_t id, uint64_t octets, struct fault *fault);

/* A UID was reused for another message: the row's old content is forgotten, the new is LISTED and owed. */
int history_reused(struct history *history, int64_t id, uint64_t octets, const char *owed,
                   struct fault *fault);

/* The end of a mailbox's poll. A failed run counts in failed_runs; a login that was refused, in
 * login_refusals, and then waits 15 min doubling to 24 h (login_retry_at); success resets all of them.
 * `after` is told the mailbox's new row (may be NULL). */
struct history_result {
    bool success;
    enum fault_class class;   /* of the gravest fault */
    const char *fault;        /* its sentence, NULL on success */
    bool login_refused;       /* [AUTH], or a plain -ERR: the second in a row makes the account wait */
    bool login_surely;        /* [AUTH]: waits from the first */
    unsigned login_delay;     /* seconds of LOGIN-DELAY, 0: none */
    unsigned char settings[32];
    uint64_t messages;        /* delivered in this run */
    uint64_t octets;
    uint64_t waiting;         /* left on the server to be retried */
    uint64_t refused;
    uint64_t owed_deletions;
};
int history_finish(struct history *history, int64_t mailbox, const struct history_result *result,
                   struct history_mailbox *after, struct fault *fault);

/* For status and history: */
struct history_summary {
    char identity[512];
    struct history_mailbox mailbox;
    uint64_t run_messages, run_octets;   /* last run */
    uint64_t day_messages, day_octets;   /* last 24 hours */
    uint64_t week_messages[7], week_octets[7]; /* days of the local calendar, the last is today */
    uint64_t waiting, refused, owed_deletions; /* as the last run left them */
    uint64_t quarantined;                      /* in the last seven days */
};
/* In the order of the identities. take() must not call the history; when it does not return 0, that ends it
 * and is returned. */
int history_summaries(struct history *history, int64_t now,
                      int (*take)(void *context, const struct history_summary *summary), void *context,
                      struct fault *fault);

/* Rows for a person to read, by identity, then in the order in which they were first listed. NULL filters
 * take all. state: -1 all. since: seen first or delivered since then, 0 all. take() as above; its row is good
 * until it returns. */
struct history_filter {
    const char *identity;
    const char *search; /* part of the UID or of the reply */
    int state;
    bool refused_only;
    int64_t since;
};
int history_each(struct history *history, const struct history_filter *filter,
                 int (*take)(void *context, const char *identity, const struct history_row *row),
                 void *context, struct fault *fault);

/* Changes made by hand; each is one commit and tells how many messages it touched through *changed (may be
 * NULL). An identity that is not known touches none, and is no fault.
 * move: what is known of `from` becomes `to`'s; where both know a UID, the delivered one stays.
 * forget: uid NULL: all of the mailbox. Forgotten mail that is still listed comes again.
 * seen: the UIDs count as delivered before; those that were listed but not delivered yet, or noticed, are no
 * longer owed.
 * Makes the mailbox. octets NULL, or 0 for a message: not known.
 * retry: refused messages and refused logins (told through *logins) wait no longer; identity NULL: all
 * mailboxes.
 * prune: all rows of the mailbox that were not listed any more since before that time. Its lock must be held: a run
 * may have found one of them listed again. */
int history_move(struct history *history, const char *from, const char *to, uint64_t *changed,
                 struct fault *fault);
int history_forget(struct history *history, const char *identity, const char *uid, uint64_t *changed,
                   struct fault *fault);
int history_seen(struct history *history, const char *identity, const char *const *uids,
                 const uint64_t *octets, size_t count, uint64_t *changed, struct fault *fault);
int history_retry(struct history *history, const char *identity, uint64_t *changed, uint64_t *logins,
                  struct fault *fault);
int history_prune(struct history *history, const char *identity, int64_t absent_before, uint64_t *changed,
                  struct fault *fault);

#endif
